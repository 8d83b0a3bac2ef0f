"""The commands: one module each, which parses, calls the library once and prints one line of result."""
