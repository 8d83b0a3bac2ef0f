"""What the formats of a store differ in, and what other readers of Zarr find in one: labels, and metadata in one document."""
