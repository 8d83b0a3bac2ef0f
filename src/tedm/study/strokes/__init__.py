"""A few strokes on an image: what is learned from them, and what is kept of them."""
