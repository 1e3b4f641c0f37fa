"""Measurements of speed and memory, and the tables of the papers."""
