"""Data modules for images with one label each."""
