"""Checkpoint files: what they are, checked before they are read; their tensors and settings; the weights among these."""
