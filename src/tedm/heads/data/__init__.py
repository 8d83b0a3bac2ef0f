"""What heads learn from: blocks as rows or as products, labelled images, samples of pixels, nested subsets."""
