"""Videos: frames and clips of them."""
