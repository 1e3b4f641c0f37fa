"""How many pixels of each class every annotation has, counted once and kept in a hidden folder ``.longtail``."""

import io
import itertools
import logging
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from longtail.augment.pixels import IGNORED
from longtail.errors import InputError
from longtail.files.cache import cache_folder, keep
from longtail.files.images.checks import bad_images
from longtail.files.images.reading import bombs_are_errors, upright_size
from longtail.files.listing import IntArray
from longtail.files.pixels.labels import PixelLabels
from longtail.files.pixels.pairs import INVALID, Pairs
from longtail.files.progress import progress_bar
from longtail.files.threads import in_threads
from longtail.messages import escape, plural
from longtail.writing import write_atomically

logger = logging.getLogger(__name__)

_VERSION = 3  # a new one whenever the arrays or their checks change
_THREADS = 8


@dataclass(frozen=True)
class PixelCounts:
    """What was counted in N pairs: M times a class occurs in one.

    Attributes:
        sizes: (N, 2) width and height.
        ignored: (N,) pixels without a class.
        owners: (M,) rows of the pairs, ascending.
        labels: (M,) the class.
        pixels: (M,) how many it has there.
        problems: (N,) why a pair cannot be used, a line with the file's name; empty where it can.
    """

    sizes: IntArray
    ignored: IntArray
    owners: IntArray
    labels: IntArray
    pixels: IntArray
    problems: list[str]

    def __len__(self) -> int:
        return len(self.sizes)

    def labelled(self) -> IntArray:
        """Pixels with a class in each pair (N,)."""
        return _sums(self.owners, self.pixels, len(self))

    def per_class(self, num_classes: int) -> IntArray:
        """Pixels of each class (C,)."""
        return _sums(self.labels, self.pixels, num_classes)

    def most(self, label: int, number: int) -> list[int]:
        """Rows of the pairs with most pixels of a class, at most ``number``."""
        places = np.flatnonzero(self.labels == label)
        rows: list[int] = self.owners[places[np.argsort(-self.pixels[places], kind="stable")][:number]].tolist()
        return rows

    def checksums(self) -> IntArray:
        """A number for what was counted in each pair (N,), which is another where that is."""
        bounds = np.searchsorted(self.owners, np.arange(len(self) + 1)).tolist()
        values = np.stack([self.labels, self.pixels], 1)
        sums = (zlib.crc32(values[start:end].tobytes()) for start, end in itertools.pairwise(bounds))
        return np.fromiter(sums, dtype=np.int64, count=len(self))

    def subset(self, rows: IntArray) -> "PixelCounts":
        """The pairs ``rows`` in that order, without others."""
        place = np.full(len(self), -1)
        place[rows] = np.arange(len(rows))
        owners = place[self.owners]
        in_order = np.argsort(owners, kind="stable")[np.count_nonzero(owners < 0) :]
        problems = [self.problems[row] for row in rows]
        parts = (owners[in_order], self.labels[in_order], self.pixels[in_order])
        return PixelCounts(self.sizes[rows], self.ignored[rows], *parts, problems)


def _sums(groups: IntArray, values: IntArray, length: int) -> IntArray:
    return np.bincount(groups, values, length).astype(np.int64)  # float64 in between, exact up to 2^53


def count_pixels(
    pairs: Pairs, labels: PixelLabels, classes: Sequence[str], root: Path, name: str, full: bool = False
) -> PixelCounts:
    """Count the pixels of pairs, or take them from the cache below ``root``, where nothing has changed since.

    Nothing is kept as long as a pair cannot be used.

    Args:
        pairs: what to count.
        labels: how the annotations tell the classes.
        classes: the C names.
        root: folder of the set, where the cache goes.
        name: of the split, for the cache.
        full: whether images and annotations are decoded before, in a way that a file cannot hang.
    """
    cache = _Cache(cache_folder(root), name, _fingerprint(pairs, labels, classes, root, full))
    counts = cache.read(len(pairs.images), len(classes))
    if counts is None:
        counts = _scan(pairs, labels, len(classes), full)
        number = plural(len(counts), "annotation")
        logger.info(f"counted the pixels of {number} ({name}): {counts.pixels.sum():,} labelled")
        if not any(counts.problems):  # they name files as they are now, and may be gone next time
            cache.write(counts)
    return counts


def _fingerprint(pairs: Pairs, labels: PixelLabels, classes: Sequence[str], root: Path, full: bool) -> str:
    """The same as long as the files, the labels and the classes are."""
    digest = sha256(repr((_VERSION, labels.state, list(classes)) + (full,) * full).encode())
    for path in (*pairs.images, *pairs.annotations):
        try:
            stat = Path(path).stat()
            state = (stat.st_size, stat.st_mtime_ns, stat.st_mode)
        except OSError as error:
            state = (-1, error.errno or 0, 0)
        digest.update(repr((os.path.relpath(path, root), state)).encode())
    return digest.hexdigest()[:16]


class _Counted(NamedTuple):
    """One pair: its size, how often every label of 0..255 occurs (256,), and what is wrong."""

    size: tuple[int, int]
    pixels: IntArray
    problem: str


def _scan(pairs: Pairs, labels: PixelLabels, num_classes: int, full: bool) -> PixelCounts:
    """Look at every image and count every annotation."""
    bad = dict(bad_images([*pairs.images, *pairs.annotations] if full else pairs.images, full))

    def count(pair: tuple[str, str]) -> _Counted:
        for path in pair:
            if path in bad:
                return _unusable(f"{escape(path)}: {bad[path]}")
        return _count(*pair, labels)

    files = list(zip(pairs.images, pairs.annotations, strict=True))
    results = []
    with progress_bar(len(files), "counting pixels", "file") as bar, bombs_are_errors():
        for result in in_threads(count, files, _THREADS, lambda pair: escape(pair[1])):
            results.append(result)
            bar.update()
    pixels = np.array([result.pixels for result in results], dtype=np.int64).reshape(-1, 256)
    owners, present = np.nonzero(pixels[:, :num_classes])
    sizes = np.array([result.size for result in results], dtype=np.int64).reshape(-1, 2)
    problems = [result.problem for result in results]
    return PixelCounts(sizes, pixels[:, IGNORED], owners, present, pixels[owners, present], problems)


def _count(image: str, annotation: str, labels: PixelLabels) -> _Counted:
    """Count one annotation, whose image is known to be readable."""
    try:
        values = labels.read(image, annotation)
    except InputError as error:
        return _unusable(str(error))
    (height, width), size = values.shape, upright_size(image)
    if size != (width, height):
        sizes = f"is {width} x {height} pixels, and {escape(image)} is {size[0]} x {size[1]}"
        return _unusable(f"{escape(annotation)}: {sizes}")
    pixels = np.array(Image.fromarray(values).histogram(), dtype=np.int64)
    if pixels[INVALID]:
        return _unusable(f"{escape(annotation)}: {labels.fault(annotation)}")
    return _Counted((width, height), pixels, "")


def _unusable(problem: str) -> _Counted:
    return _Counted((0, 0), np.zeros(256, dtype=np.int64), problem)


class _Cache:
    """The file that keeps the counts of a split. It is called by the state of the set, so an old one is not found."""

    def __init__(self, folder: Path, name: str, state: str) -> None:
        self._prefix = f"pixels-{name}-"
        self.file = folder / f"{self._prefix}{state}.npz"

    def read(self, length: int, num_classes: int) -> PixelCounts | None:
        """The counts; None where there are none, or they are damaged."""
        try:
            with self.file.open("rb") as file, np.load(file, allow_pickle=False) as content:
                arrays: dict[str, NDArray[Any]] = dict(content)
            fields = {name: array.astype(np.int64) for name, array in arrays.items()}
            counts = PixelCounts(**fields, problems=[""] * length)
            lengths = (len(counts.sizes), len(counts.ignored))
            if lengths != (length,) * 2 or len({len(counts.owners), len(counts.labels), len(counts.pixels)}) != 1:
                return None
        except Exception:  # whatever a damaged file leads to
            return None
        is_inside = all(
            ((part >= 0) & (part < n)).all() for part, n in ((counts.labels, num_classes), (counts.owners, length))
        )
        return counts if is_inside else None

    def write(self, counts: PixelCounts) -> None:
        """Keep the counts for next time, in the place of older ones."""
        content = io.BytesIO()
        np.savez_compressed(
            content,
            sizes=counts.sizes.astype(np.int32),
            ignored=counts.ignored.astype(np.int32),
            owners=counts.owners.astype(np.int32),
            labels=counts.labels.astype(np.uint8),
            pixels=counts.pixels.astype(np.int32),
        )
        keep(self.file.parent, lambda: self._replace(content.getvalue()))

    def _replace(self, content: bytes) -> None:
        write_atomically(self.file, content)
        for other in self.file.parent.glob(f"{self._prefix}*.npz"):
            if other != self.file:
                other.unlink(missing_ok=True)
