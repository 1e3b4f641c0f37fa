"""Sets of images in tar shards, read by an index and written."""
