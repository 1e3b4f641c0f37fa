"""Outlines of shapes that are no polygons in their file."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from longtail.files.coco.results import codec

_CORNERS = 64  # of the polygon that an ellipse becomes


def turned(x: float, y: float, points: NDArray[np.float64], degrees: float) -> list[float]:
    """Points (N, 2) around a centre, turned clockwise as it looks: x1, y1, x2, y2, ... in the image."""
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    corners: list[float] = (np.array([x, y]) + points @ turn).ravel().tolist()
    return corners


def ellipse(x: float, y: float, rx: float, ry: float, degrees: float = 0) -> list[float]:
    """A polygon of 64 points in the place of an ellipse around a centre, turned clockwise."""
    angles = np.arange(_CORNERS) * (2 * np.pi / _CORNERS)
    return turned(x, y, np.stack([rx * np.cos(angles), ry * np.sin(angles)], 1), degrees)


def run_lengths(x: int, y: int, pixels: Any, width: int, height: int) -> dict[str, Any]:  # an array; JSON
    """Pixels (h, w) at a place of an image of a size, as run lengths of COCO."""
    whole = np.zeros((height, width), dtype=np.uint8, order="F")
    inside = pixels[max(0, -y) : max(0, height - y), max(0, -x) : max(0, width - x)]
    whole[max(0, y) : max(0, y) + inside.shape[0], max(0, x) : max(0, x) + inside.shape[1]] = inside
    encoded = codec().encode(whole)
    return {"size": [height, width], "counts": encoded["counts"].decode("ascii")}
