"""Arrays in, masks out: what a notebook or a plugin asks for, without files."""
