"""Segmentation networks on images: the supervised baseline, and networks whose weights were learned before."""
