"""Scores of heads on labelled images: records, tables, reliability, examples."""
