"""Commands that write what other software reads."""
