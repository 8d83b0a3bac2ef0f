"""Chunks of Zarr arrays: packed without copies, and unpacked within bounds."""
