"""Images with their masks drawn over them, pixel for pixel, and sheets of many."""
