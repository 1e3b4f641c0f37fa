"""Pascal VOC's palette, by which many tools paint the numbers of classes or of objects."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from longtail.files.listing import IntegerArray


def pascal_colours() -> NDArray[np.int64]:
    """The colours of Pascal VOC's palette (256, 3): bits 0, 3, 6 of an index are the upper bits of red, and so on."""
    indices = np.arange(256)[:, None]
    colours = np.zeros((256, 3), dtype=np.int64)
    for bit in range(8):
        colours |= ((indices >> (3 * bit + np.arange(3))) & 1) << (7 - bit)
    return colours


def pascal_indices(colours: IntegerArray) -> NDArray[np.uint8]:
    """The place of each colour (..., 3) in Pascal VOC's palette (...); 0 for one that is not in it."""
    wide, indices = colours.astype(np.int64), np.zeros(colours.shape[:-1], dtype=np.int64)
    for bit in range(3):
        indices |= (((wide >> (7 - bit)) & 1) << (3 * bit + np.arange(3))).sum(-1) & 255
    indices[(pascal_colours()[indices] != wide).any(-1)] = 0
    return indices.astype(np.uint8)
