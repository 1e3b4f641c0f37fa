"""The shapes of annotations of COCO format, polygons and run lengths, as arrays."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longtail.files.listing import IntArray
from longtail.plain import JSON

Rle = dict[str, Any]  # "size": [height, width], "counts": bytes


@dataclass(frozen=True, eq=False)
class Segments:
    """Shapes of M annotations: polygons as they are in the file, run lengths compressed.

    Attributes:
        polygon: (M,) bool, whether an annotation has polygons and not run lengths.
        spans: (M, 2) int64, first and one past the last of its polygons, or of its bytes in ``counts``.
        ends: (P + 1,) int64: polygon i is ``points[ends[i] : ends[i + 1]]``.
        points: float64, x0, y0, x1, y1, ... in pixels. Rounded to float32 some masks would differ.
        counts: uint8, the bytes of compressed run lengths.
    """

    polygon: NDArray[np.bool_]
    spans: IntArray
    ends: IntArray
    points: NDArray[np.float64]
    counts: NDArray[np.uint8]

    def rle(self, k: int, height: int, width: int, codec: ModuleType) -> Rle:
        """Shape ``k``, in an image of this size, as compressed run lengths."""
        start, stop = self.spans[k].tolist()
        if not self.polygon[k]:
            return {"size": [height, width], "counts": self.counts[start:stop].tobytes()}
        polygons = [self.points[a:b].tolist() for a, b in pairwise(self.ends[start : stop + 1].tolist())]
        rle: Rle = codec.merge(codec.frPyObjects(polygons, height, width))
        return rle


def bounds(shape: JSON, codec: Callable[[], ModuleType]) -> list[float] | None:
    """The box of polygons or run lengths, as x, y, width, height; None where they are not any.

    Args:
        shape: as it is in a file.
        codec: gives the functions for run lengths, where they are needed.
    """
    try:
        if isinstance(shape, dict):
            counts, size = compressed(shape, codec())
            return list(map(float, codec().toBbox({"size": list(size), "counts": counts})))
        points = np.concatenate([np.array(polygon, np.float64).reshape(-1, 2) for polygon in shape])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    low, high = points.min(0), points.max(0)
    return [*low.tolist(), *(high - low).tolist()]


def compressed(rle: Rle, codec: ModuleType) -> tuple[bytes, tuple[int, int]]:
    """The compressed counts and the size (height, width) of run lengths as they are in a file.

    Raises:
        KeyError, TypeError, ValueError, OverflowError: they are not run lengths, or do not make up their size.
    """
    height, width = rle["size"]
    text = rle["counts"]
    counts = _decompressed(text.encode("ascii")) if isinstance(text, str) else np.array(text)
    if counts.dtype.kind != "i" or counts.ndim != 1 or {type(height), type(width)} != {int} or height < 1:
        raise ValueError
    if counts.min(initial=0) < 0 or counts.max(initial=0) > height * width or counts.sum() != height * width:
        raise ValueError
    if isinstance(text, str):
        return text.encode("ascii"), (height, width)
    return codec.frPyObjects({"size": [height, width], "counts": text}, height, width)["counts"], (height, width)


def _decompressed(text: bytes) -> IntArray:
    """The counts of compressed run lengths; a ``ValueError`` where they are not any.

    A number is written in characters of 5 bits, the lowest first, and a sixth that says whether more follow; the
    uppermost bit is its sign. From the fourth on, it is the difference to the count two before.
    """
    codes = np.frombuffer(text, np.uint8).astype(np.int64) - 48
    if not len(codes) or codes.min() < 0 or codes.max() > 63 or codes[-1] & 32:
        raise ValueError
    ends = np.flatnonzero(codes & 32 == 0)
    starts = np.concatenate(([0], ends[:-1] + 1))
    places = np.arange(len(codes)) - np.repeat(starts, ends - starts + 1)
    if places.max() > 6:
        raise ValueError
    counts = np.add.reduceat((codes & 31) << (5 * places), starts)
    counts -= np.where(codes[ends] & 16, 1 << (5 * places[ends] + 5), 0)
    counts[1::2] = counts[1::2].cumsum()
    counts[2::2] = counts[2::2].cumsum()
    return counts
