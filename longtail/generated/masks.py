"""Masks as COCO's annotations hold them: outlines, run lengths and boxes."""

import numpy as np
from numpy.typing import NDArray


def outlines(mask: NDArray[np.bool_]) -> list[list[int]]:
    """Outlines of a mask (H, W) along the edges of its pixels: the corners x, y, x, y, ... of every closed line.

    Lines run clockwise around the mask and anticlockwise around a hole. Pixels that touch at a corner belong together.
    """
    edges: dict[tuple[int, int, int, int], None] = {}  # x and y of an edge's start, its direction; the mask is right
    for dx, dy in ((1, 0), (0, 1), (-1, 0), (0, -1)):
        beside = np.roll(np.pad(mask, 1), (dx, -dy), (0, 1))[1:-1, 1:-1]  # the pixel left of the edge
        rows, columns = np.nonzero(mask & ~beside)
        starts = zip((columns + (dy > 0 or dx < 0)).tolist(), (rows + (dx < 0 or dy < 0)).tolist(), strict=True)
        edges.update(dict.fromkeys((x, y, dx, dy) for x, y in starts))
    lines = []
    done = set()
    # Every line has a first edge to the right, and that begins at a corner.
    for start in [edge for edge in edges if edge[2] == 1]:
        if start in done:
            continue
        line: list[int] = []
        x, y, dx, dy = start
        while True:
            done.add((x, y, dx, dy))
            x, y = x + dx, y + dy
            turns = ((dy, -dx), (dx, dy), (-dy, dx))  # left, straight on, right
            turn = next(step for step in turns if (x, y, *step) in edges)
            if turn != (dx, dy):
                line += [x, y]
            dx, dy = turn
            if (x, y, dx, dy) == start:
                break
        lines.append(line)
    return lines


def run_lengths(mask: NDArray[np.bool_]) -> dict[str, list[int]]:
    """COCO's uncompressed run lengths of a mask (H, W): column by column, in turn outside and inside it."""
    flat = mask.ravel(order="F")
    ends = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff([0, *ends.tolist(), len(flat)]).tolist()
    return {"size": list(mask.shape), "counts": [0, *runs] if flat[0] else runs}


def segmentation(mask: NDArray[np.bool_], is_cut: bool) -> list[list[int]] | dict[str, list[int]]:
    """Polygons of a mask (H, W), or its run lengths where it is cut or has a hole."""
    lines = outlines(mask)
    return run_lengths(mask) if is_cut or any(_area(line) < 0 for line in lines) else lines


def box(mask: NDArray[np.bool_]) -> list[int]:
    """Left, top, width and height of the pixels of a mask (H, W)."""
    columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    left, top = int(columns[0]), int(rows[0])
    return [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top]


def _area(line: list[int]) -> float:
    """Area inside a closed line x, y, x, y, ..., in pixels; negative where the line runs anticlockwise."""
    x, y = np.array(line).reshape(-1, 2).T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2
