"""Boxes and shapes in other formats than COCO's, as annotations of the same kind."""
