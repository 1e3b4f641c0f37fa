"""Annotations and results in COCO's format."""
