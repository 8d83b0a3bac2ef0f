"""What a computation may take and who does it: memory, threads, workers."""
