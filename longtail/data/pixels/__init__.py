"""Data modules for images with a class for each pixel."""
