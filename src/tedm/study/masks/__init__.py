"""A folder of masks: what it is of, how it goes on after an interruption, and the pictures in it."""
