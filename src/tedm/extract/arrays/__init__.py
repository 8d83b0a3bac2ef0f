"""Images that lie in memory and in no file."""
