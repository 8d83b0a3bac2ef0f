"""What a table, a folder or a data set says about images, in rows, before any of them is opened."""
