"""Which image to annotate next."""
