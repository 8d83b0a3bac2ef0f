"""Slices of volumes as images: which volumes, how they are cut and cropped, and their numbers as intensities."""
