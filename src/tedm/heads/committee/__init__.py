"""A head that is made of several heads, which learn from the same images and vote together."""
