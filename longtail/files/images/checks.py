"""Checks of many image files: a quick one by their headers, and one that decodes them all."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import BinaryIO

from PIL import Image

from longtail.files.apart import apart
from longtail.files.images.reading import bombs_are_errors, opened, reason, rgb, upright
from longtail.files.progress import progress_bar
from longtail.files.threads import NoAnswer, in_threads
from longtail.messages import escape

logger = logging.getLogger(__name__)

HEADERS_ONLY = (
    "images are checked by their headers and ends: damage inside a file shows when it is read, or before training by "
    "--full-check"
)


def bad_images(
    paths: Sequence[str], full: bool, sizes: Sequence[tuple[int, int]] | None = None
) -> list[tuple[str, str]]:
    """As ``check_images``, which is said and shown."""
    if not full:
        logger.info(HEADERS_ONLY)
    with progress_bar(len(paths), "checking images", "image") as bar:
        return check_images(paths, progress=bar.update, sizes=sizes, full=full)


def check_images(
    paths: Sequence[str],
    workers: int = 8,
    progress: Callable[[int], object] | None = None,
    sizes: Sequence[tuple[int, int]] | None = None,
    full: bool = False,
) -> list[tuple[str, str]]:
    """Find files that ``decode`` would refuse, or that have another size than they should, mostly without decoding
    them.

    The header of every file is read. Whether it is complete shows at the end of a JPEG, PNG or GIF and in the header of
    a WebP; where it does not, and for other formats, the image is decoded. Damage in the middle is not found.

    A full check decodes every image, in processes of their own. One that takes longer than a loader would wait for it,
    or crashes its decoder, is bad too.

    Args:
        paths: of the files.
        workers: number of threads.
        progress: called now and then with the number of files checked since the last call.
        sizes: width and height that each image should have once it is upright, where they are known.
        full: whether to decode all.

    Returns:
        The bad files with the reasons, sorted by path.

    Raises:
        NoAnswer: if a file never answers, and it is no full check.
    """
    files = list(zip(paths, [None] * len(paths) if sizes is None else sizes, strict=True))
    faults = _full(files) if full else _quick(files, workers)
    bad: list[tuple[str, str]] = []
    with closing(faults):
        for path, fault in zip(paths, faults, strict=True):
            bad += [(path, fault)] * bool(fault)
            if progress is not None:
                progress(1)
    return sorted(bad)


def _quick(files: Sequence[tuple[str, tuple[int, int] | None]], workers: int) -> Generator[str]:
    with bombs_are_errors():
        yield from in_threads(lambda file: _fault(*file), files, workers, lambda file: escape(file[0]))


def _full(files: Sequence[tuple[str, tuple[int, int] | None]]) -> Generator[str]:
    for fault, fate in apart(fault_of, [(path, size, True) for path, size in files]):
        yield f"cannot be decoded ({fate})" if fate else fault


def fault_of(path: str, size: Sequence[int] | None = None, full: bool = False) -> str:
    """What ``check_images`` says of one file, checked here and now; empty where nothing is wrong."""
    with bombs_are_errors():
        return _fault(path, size, full)


def _fault(path: str, size: Sequence[int] | None, full: bool = False) -> str:
    try:
        with opened(path) as (file, image):
            if size is not None and (other := _other_size(file, image, size)):
                return other
            if full or not _is_complete(file, image.format):
                rgb(file, image)
        return ""
    except (MemoryError, NoAnswer):
        raise
    except Exception as error:
        return reason(path, error)


def _other_size(file: BinaryIO, image: Image.Image, size: Sequence[int]) -> str:
    """Why an image is not of the size that is wanted; empty where it is."""
    turned = " once its EXIF orientation is applied" if image.size == tuple(size) else ""
    width, height = upright(file, image)
    if (width, height) == tuple(size):
        return ""
    return f"is {width} x {height} pixels{turned}, not {size[0]} x {size[1]}"


def _is_complete(file: BinaryIO, kind: str | None) -> bool:
    """Whether the end of the file, or for WebP its length, shows that nothing is cut off."""
    position = file.tell()
    file.seek(0)
    start = file.read(8)
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 32))
    end = file.read()
    file.seek(position)  # where Pillow goes on
    match kind:
        case "JPEG" | "MPO":
            return b"\xff\xd9" in end
        case "PNG":
            return b"IEND" in end
        case "GIF":
            return end.rstrip(b"\0").endswith(b";")
        case "WEBP":
            return size >= 8 + int.from_bytes(start[4:], "little")
        case _:
            return False
