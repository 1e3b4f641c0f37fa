"""Images as they lie on disk: their formats, how they are decoded, cut, kept and checked."""
