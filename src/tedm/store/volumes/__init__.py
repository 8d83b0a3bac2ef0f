"""Volumes whose slices are images: where a slice lies, and how it finds its way back into the file's own axes."""
