"""Measures: a measure a file, from counts of pixels to the intervals and tests of means."""
