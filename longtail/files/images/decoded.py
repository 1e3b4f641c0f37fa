"""Images decoded once: their pixels in one file that is mapped into memory, shared by all processes and later runs."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from longtail.errors import InputError
from longtail.files.cache import alone, filling, kept_in, settle
from longtail.files.images.reading import decode
from longtail.files.progress import progress_bar
from longtail.files.states import fingerprint
from longtail.files.threads import in_threads
from longtail.messages import escape, plural

logger = logging.getLogger(__name__)

_VERSION = 1  # a new one whenever other pixels are made of the same file
_PIXELS, _SHAPES, _DONE = "pixels.bin", "shapes.bin", "shapes.npy"
_MEMORY = Path("/dev/shm")  # a file in it lies in memory
_BLOCK = 128  # images that are held in memory until they are written


class Pixels:
    """Images in a file of pixels, which each process maps into its memory when it reads the first one.

    Args:
        file: the pixels.
        starts: (N,) the first byte of each image.
        shapes: (N, 2) their heights and widths.
    """

    def __init__(self, file: Path, starts: NDArray[np.int64], shapes: NDArray[np.int64]) -> None:
        self._file, self._starts, self._shapes = file, starts, shapes
        self._bytes: NDArray[np.uint8] | None = None

    def __getstate__(self) -> dict[str, object]:
        return {**vars(self), "_bytes": None}

    def __getitem__(self, row: int) -> NDArray[np.uint8]:
        """The pixels of an image, uint8 (H, W, 3), of which only what is looked at is read. Writing into them changes
        no file."""
        if self._bytes is None:
            self._bytes = np.memmap(self._file, np.uint8, "c")
        start, (height, width) = self._starts[row], self._shapes[row]
        return self._bytes[start : start + height * width * 3].reshape(height, width, 3)


class Decoded:
    """The pixels of images, as they lie in a file.

    Args:
        folder: that ``decoded`` has filled.
        rows: of each image, by its path, the place in the file.
    """

    def __init__(self, folder: Path, rows: dict[str, int]) -> None:
        self.folder = folder
        self.rows = rows
        self._shapes: NDArray[np.int64] = np.load(folder / _DONE)
        self._ends = np.cumsum(self._shapes.prod(1) * 3)

    def reader(self, paths: Sequence[str]) -> Pixels:
        """What reads the images at some paths."""
        places = np.array([self.rows[path] for path in paths], dtype=np.int64)
        shapes = self._shapes[places]
        return Pixels(self.folder / _PIXELS, self._ends[places] - shapes.prod(1) * 3, shapes)


def pixel_folder(where: Literal["disk", "ram"], place: str | Path) -> Path:
    """The folder of what is kept of a set at a place, on the disk or in memory.

    Raises:
        InputError: this machine has no memory that looks like a folder.
    """
    if where == "disk":
        return kept_in(place, "decoded")
    if not _MEMORY.is_dir():
        raise InputError(f"--data.cache ram: this machine has no {_MEMORY}: give --data.cache disk")
    return _MEMORY / f"longtail-{os.getuid()}"


def decoded(paths: Sequence[str], side: int, bit_depth: int | None, home: Path) -> Decoded:
    """The images at some paths as pixels, decoded unless that was done before of files in the same state.

    What a stopped process has decoded is kept, and gone on with; several processes wait for the one that is at it.

    Args:
        paths: of images.
        side: the shorter side of what is kept, in pixels; larger images are made smaller.
        bit_depth: see ``images.decode``.
        home: folder of all that is kept.

    Raises:
        InputError: an image cannot be decoded, or the disk is full.
    """
    distinct = sorted(set(paths))
    rows = {path: row for row, path in enumerate(distinct)}
    folder = home / _name(distinct, side, bit_depth)
    if not (folder / _DONE).is_file():
        with filling(home), alone(home) as locked:
            if not (folder / _DONE).is_file():  # of a process that was quicker
                name = f"{folder.name}.part" if locked else f"{folder.name}.{uuid4().hex}"
                _write(distinct, side, bit_depth, folder, home / name)
    size = (folder / _PIXELS).stat().st_size / 1e9
    logger.info(f"pixels of {plural(len(distinct), 'image')} in {escape(folder)}, {size:.1f} GB, kept for later runs")
    return Decoded(folder, rows)


def _name(paths: Sequence[str], side: int, bit_depth: int | None) -> str:
    """What changes with the files, and with what is made of them."""
    return f"{side}-{fingerprint(paths, repr((_VERSION, side, bit_depth)))[:16]}"


def _write(paths: Sequence[str], side: int, bit_depth: int | None, folder: Path, part: Path) -> None:
    """Decode into a folder of another name, ``part``, and rename it in the end."""
    part.mkdir(parents=True, exist_ok=True)
    done = _whole(part)

    def pixels_of(path: str) -> NDArray[np.uint8]:
        return np.asarray(_small(decode(path, lambda *size: min(size) / side, bit_depth), side))

    try:
        with (
            (part / _PIXELS).open("ab") as pixels,
            (part / _SHAPES).open("ab") as shapes,
            progress_bar(len(paths), "decoding images", "image", done) as bar,
        ):
            for start in range(done, len(paths), _BLOCK):
                block = list(in_threads(pixels_of, paths[start : start + _BLOCK], os.cpu_count() or 1, escape))
                if start == done:
                    _check_room(part, sum(image.nbytes for image in block) / len(block) * (len(paths) - start))
                pixels.writelines(image.data for image in block)
                pixels.flush()  # before what says that they are there
                shapes.write(np.array([image.shape[:2] for image in block], dtype=np.int64).tobytes())
                shapes.flush()
                bar.update(len(block))
            os.fsync(pixels.fileno())
        np.save(part / _DONE, np.fromfile(part / _SHAPES, dtype=np.int64).reshape(-1, 2))
        (part / _SHAPES).unlink()
        settle(part, folder, (folder / _DONE).is_file)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            shutil.rmtree(part, ignore_errors=True)  # a full disk stops others too
        raise


def _whole(part: Path) -> int:
    """How many images a stopped process has written whole; the files are cut after them."""
    pixels, shapes = part / _PIXELS, part / _SHAPES
    if not (pixels.is_file() and shapes.is_file()):
        shutil.rmtree(part)
        part.mkdir()
        return 0
    content = shapes.read_bytes()
    sizes = np.frombuffer(content[: len(content) // 16 * 16], dtype=np.int64).reshape(-1, 2)
    ends = np.cumsum(sizes.prod(1) * 3)
    done = int(np.searchsorted(ends, pixels.stat().st_size, side="right"))
    os.truncate(shapes, 16 * done)
    os.truncate(pixels, int(ends[done - 1]) if done else 0)
    return done


def _small(image: Image.Image, side: int) -> Image.Image:
    """An image whose shorter side is at most ``side``."""
    shorter = min(image.size)
    if shorter <= side:
        return image
    return image.resize([max(side, round(size * side / shorter)) for size in image.size], Image.Resampling.BICUBIC)


def _check_room(folder: Path, needed: float) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        shutil.rmtree(folder, ignore_errors=True)
        raise InputError(
            f"{escape(folder.parent)}: the pixels need about {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free: "
            "give a smaller --data.cache_size, or leave --data.cache out"
        )
