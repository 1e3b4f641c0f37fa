"""Data modules for images with boxes and masks."""
