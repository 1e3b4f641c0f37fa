"""Images that come more than once: the same content to the byte, and pictures that look alike, by a perceptual hash."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from longtail.files.listing import IntArray
from longtail.files.members import open_binary
from longtail.files.states import file_sizes

SIZE = (17, 16)  # width and height that a picture is made small to; 16 x 16 differences are its hash
_MARGIN = 2  # grey levels: smaller differences are noise
_BANDS = 16
_MOST_BITS = 23
_LEAST_LIKENESS = 0.97
_LEAST_CONTRAST = 3.0  # grey levels: a picture whose neighbours differ by less is like every other flat one
_CROWD = 64  # more pictures that agree in a band are asked for two
_PAIRS = 2**18  # compared at once
_BLOCK = 2**16  # pictures made hashes of at once

Small = NDArray[np.uint8]
_ONES = np.unpackbits(np.arange(2**16, dtype=np.uint16).view(np.uint8).reshape(-1, 2), axis=1).sum(1, dtype=np.uint8)
_SPREAD = np.random.default_rng(0).permutation(SIZE[1] * (SIZE[0] - 1))  # so that each band sees the whole picture


def contents(paths: Sequence[str]) -> IntArray:
    """A number for the content of each file (N,), the same for files that are equal to the byte; of a folder that of
    the files in it. A file that cannot be read equals no other. Only files of one size are read."""
    sizes = file_sizes(paths).tolist()
    same: dict[int, list[int]] = defaultdict(list)
    for row, size in enumerate(sizes):
        same[size].append(row)
    numbers = np.arange(len(paths), dtype=np.int64)
    for rows in same.values():
        first: dict[bytes, int] = {}
        for row in rows if len(rows) > 1 else []:
            numbers[row] = first.setdefault(_digest(paths[row]) or str(row).encode(), row)
    return numbers


def _digest(path: str) -> bytes | None:
    """That of the content of a file, or of the files in a folder by their names; None of one that cannot be read."""
    digest = hashlib.blake2b(digest_size=16)
    try:
        if not os.path.isdir(path):  # noqa: PTH112 - thousands of paths, as strings
            _feed(digest, path)
            return digest.digest()
        for file in sorted(file for file in Path(path).iterdir() if file.is_file()):
            digest.update(os.fsencode(file.name))
            _feed(digest, str(file))
    except OSError:
        return None
    return digest.digest()


def _feed(digest: Any, path: str) -> None:  # of hashlib, which has no public name for it
    with open_binary(path) as file:
        while block := file.read(2**20):
            digest.update(block)


def small_picture(image: Image.Image) -> Small:
    """A picture made small and grey, for ``near``: (16, 17). One that is smaller yet tells too little, and is black."""
    if image.width < SIZE[0] or image.height < SIZE[1]:
        return np.zeros((SIZE[1], SIZE[0]), dtype=np.uint8)
    return np.asarray(image.convert("L").resize(SIZE, Image.Resampling.BOX), dtype=np.uint8)


def near(ours: Small, others: Small) -> IntArray:
    """The picture among others that each of ours looks like, where there is one.

    What counts are the differences of the 16 x 16 pairs of neighbours in the rows. The hash of a picture is a bit for
    each, 1 where the right one is lighter (dHash). Two pictures look alike if at most 23 of the 256 bits differ, and
    the cosine of their differences is at least 0.97: so do copies in another size, quality or brightness, and crops do
    not. Only pictures are compared that agree in one of 16 bands of 16 bits, as all do that differ in 15 bits, and 98
    of 100 that differ in 23. Nearly flat pictures are like no other.

    Args:
        ours: (M, 16, 17), of ``small_picture``.
        others: (N, 16, 17).

    Returns:
        (M,) int64, rows of ``others``, the nearest; -1 where none looks alike.
    """
    partner, best = np.full(len(ours), -1, dtype=np.int64), np.full(len(ours), _LEAST_LIKENESS)
    (our_bands, our_units), (bands, units) = _hashes(ours), _hashes(others)
    our_rows, rows = (np.flatnonzero(part.any(1)) for part in (our_units, units))
    for band in range(_BANDS):
        waiting = our_rows[partner[our_rows] < 0]  # one partner is enough
        for left, right in _agreeing(our_bands[waiting], bands[rows], band):
            left, right = waiting[left], rows[right]
            alike = _ONES[our_bands[left] ^ bands[right]].sum(1) <= _MOST_BITS
            left, right = left[alike], right[alike]
            likeness = np.einsum("ij,ij->i", *(part.astype(np.float32) for part in (our_units[left], units[right])))
            order = np.argsort(likeness, kind="stable")  # of several for one picture the last, the nearest, stays
            left, right, likeness = left[order], right[order], likeness[order]
            nearer = likeness >= best[left]
            partner[left[nearer]], best[left[nearer]] = right[nearer], likeness[nearer]
    return partner


def _hashes(pictures: Small) -> tuple[NDArray[np.uint16], NDArray[np.float16]]:
    """Of each picture the bands of its hash (N, 16), and its differences (N, 256), divided by their length; zeros where
    it is nearly flat."""
    bands = np.zeros((len(pictures), _BANDS), dtype=np.uint16)
    units = np.zeros((len(pictures), len(_SPREAD)), dtype=np.float16)
    for start in range(0, len(pictures), _BLOCK):
        block = slice(start, start + _BLOCK)
        steps = np.diff(pictures[block].astype(np.float32), axis=2).reshape(-1, len(_SPREAD))
        bits = np.packbits(steps[:, _SPREAD] > _MARGIN, axis=1)
        lengths = np.linalg.norm(steps, axis=1, keepdims=True)
        flat = lengths < _LEAST_CONTRAST * np.sqrt(len(_SPREAD))
        bands[block] = np.ascontiguousarray(bits).view(np.uint16)
        units[block] = np.where(flat, 0, steps / np.maximum(lengths, 1))
    return bands, units


def _agreeing(ours: NDArray[np.uint16], others: NDArray[np.uint16], band: int) -> Iterator[tuple[IntArray, IntArray]]:
    """Rows of pairs that agree in a band, some at a time; of very many in the next one as well, and of these some."""
    rows = np.arange(len(ours))
    for width in (1, 2):
        keys, our_keys = _keys(others, band, width), _keys(ours[rows], band, width)
        order = np.argsort(keys, kind="stable")
        starts = np.searchsorted(keys[order], our_keys)
        counts = np.searchsorted(keys[order], our_keys, side="right") - starts
        crowded = counts > _CROWD
        counts = np.where(crowded, 0 if width == 1 else _CROWD, counts)
        blocks = np.cumsum(counts) // _PAIRS
        for block in (np.flatnonzero(blocks == number) for number in np.unique(blocks)):
            left = np.repeat(block, counts[block])
            within = np.arange(len(left)) - np.repeat(np.cumsum(counts[block]) - counts[block], counts[block])
            yield rows[left], order[starts[left] + within]
        rows = rows[crowded]


def _keys(bands: NDArray[np.uint16], band: int, width: int) -> IntArray:
    keys = bands[:, band].astype(np.int64)
    return keys if width == 1 else keys * 2**16 + bands[:, (band + 1) % _BANDS]
