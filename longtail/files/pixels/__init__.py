"""Images with an annotation of every pixel."""
