"""Images with one class each in the files that tools write, as rows of the same kind."""
