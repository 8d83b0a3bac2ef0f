"""Arithmetic of opinions: merged, weighted, brought to a temperature, and how sure they are. Values in, values out."""
