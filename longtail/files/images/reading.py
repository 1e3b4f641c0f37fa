"""Reading image files: one way to decode every kind."""

from __future__ import annotations

import logging
import os
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import BinaryIO, TypeVar

from PIL import ExifTags, Image, UnidentifiedImageError

from longtail.errors import InputError
from longtail.files.images.depth import FULL, deep_values, eight_bits, header, sixteen_bits, visible
from longtail.files.images.formats import AVIF, HEIF, HEIF_BRANDS, HEIF_SUFFIXES, NEEDS_HEIF, formats
from longtail.files.members import open_binary
from longtail.files.threads import NoAnswer
from longtail.messages import escape
from longtail.plain import AnyPath

T = TypeVar("T")

logger = logging.getLogger(__name__)

# What a listing takes for an image. The content decides how a file is decoded, so a PNG called .jpg is fine.
SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .png .bmp .gif .webp .tif .tiff .ppm .pgm .pbm .pnm .jp2 .j2k".split()  # noqa: SIM905
    + [".avif"] * AVIF
    + sorted(HEIF_SUFFIXES) * HEIF
)

_LOOKED_AT = 32

_UPRIGHT = {  # EXIF orientation: what undoes it
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode(
    path: AnyPath, reduction: Callable[[int, int], float] | None = None, bit_depth: int | None = None
) -> Image.Image:
    """Decode an image file to RGB with 8 bits per channel.

    The EXIF orientation is applied and transparency is laid on white. Of several frames or pages the first is taken.
    Values of 16 bits are scaled from 0..2^b - 1, b being the number of bits that count; grey ones of 32 bits likewise
    where one is over 255, and taken as they are otherwise; floating-point values are scaled from [0, 1] where none is
    over 1, and taken as [0, 255] otherwise.

    Args:
        path: of the file, or of one in a shard; its content, not its suffix, decides the format.
        reduction: called with the width and height in the file, says how many times smaller the image may be. A JPEG
            is then decoded at 1/2, 1/4 or 1/8, which is much faster, where that is not smaller; others stay as they
            are.
        bit_depth: b of the files that do not say it; 16 where left out. A PNG says it by its significant bits (sBIT), a
            TIFF by its bits per sample, a PGM by its largest value, and a JPEG 2000 always.

    Raises:
        InputError: the file is missing, empty, truncated, damaged, of another format, or has more than Pillow's limit
            of pixels.
        NoAnswer: the store of the shard does not answer.
    """
    path = os.fspath(path)
    try:
        with bombs_are_errors(), opened(path) as (file, image):
            if reduction is not None:
                scale = next((s for s in (8, 4, 2) if s <= reduction(*image.size)), 1)
                image.draft(None, (max(1, image.width // scale), max(1, image.height // scale)))
            return rgb(file, image, bit_depth)
    except (MemoryError, NoAnswer):
        raise
    except Exception as error:  # on damaged files, decoders raise nearly anything
        raise InputError(f"{escape(path)}: {reason(path, error)}; replace or remove the file") from error


def upright(file: BinaryIO, image: Image.Image) -> tuple[int, int]:
    """Width and height of an opened image once it is turned."""
    if image.format == "TIFF":  # turns itself while it is loaded
        return rgb(file, image).size
    width, height = image.size
    try:  # a PNG would be decoded in the search for metadata that hardly any has
        metadata = {} if image.format == "PNG" and "exif" not in image.info else image.getexif()
    except Exception:  # damaged metadata around a good image
        metadata = {}
    return (height, width) if metadata.get(ExifTags.Base.Orientation) in (5, 6, 7, 8) else (width, height)


def upright_size(path: str) -> tuple[int, int]:
    """Width and height as ``decode`` gives them, mostly from the header."""
    with opened(path) as (file, image):
        return upright(file, image)


def few(files: Sequence[T]) -> Sequence[T]:
    """Some of the files of a set, spread over all of it, that are looked at for the whole."""
    return files[:: max(1, len(files) // _LOOKED_AT)]


def tell_depth(paths: Sequence[str], bit_depth: int | None) -> None:
    """Look at the images of ``few``, and say where they have 16 bits of which the upper ones are never used, or where
    ``bit_depth`` changes nothing.

    Raises:
        InputError: an image has a value over the largest of ``bit_depth``, or ``bit_depth`` cannot be used.
    """
    if bit_depth is not None and not 8 <= bit_depth <= FULL:
        raise InputError(f"bit_depth must be from 8 to {FULL}, got {bit_depth}")
    values = {path: _largest_value(path, bit_depth is not None) for path in paths}
    largest = {path: value for path, value in values.items() if value is not None}
    needed = max(max(largest.values(), default=0).bit_length(), 8)
    if bit_depth is None:
        if any(largest.values()) and needed < FULL - 1:
            logger.info(
                f"images have 16 bits and are scaled from 0..65535, but of {len(largest)} none has a value over "
                f"{max(largest.values())}: give --data.bit_depth {needed} if that is their depth"
            )
    elif not largest:
        logger.info(f"--data.bit_depth {bit_depth} changes nothing: images have 8 bits, or say how many count")
    elif needed > bit_depth:
        path = max(largest, key=lambda path: largest[path])
        raise InputError(
            f"{escape(path)}: has the value {largest[path]}, over the {2**bit_depth - 1} of bit_depth {bit_depth}: "
            f"{f'give --data.bit_depth {needed}' if needed <= FULL else 'leave it out'}"
        )


def _largest_value(path: str, of_more_bits: bool) -> int | None:
    """That of an image of 16 bits, or of more, which leaves open how many count; None of another, or of a bad file."""
    try:
        with bombs_are_errors(), opened(path) as (file, image):
            deep = header(file, image)
            if deep is None or deep.bits is not None or image.mode == "F":
                return None
            if not of_more_bits and not sixteen_bits(image, deep):
                return None
            image.load()
            return int(visible(deep_values(file, image, deep)).max())
    except (MemoryError, NoAnswer):
        raise
    except InputError as error:
        raise InputError(f"{escape(path)}: {error}") from error
    except Exception:  # a bad file is told where it is decoded
        return None


@contextmanager
def opened(path: str) -> Iterator[tuple[BinaryIO, Image.Image]]:
    """The file and the image in it, of which only the header is read yet."""
    # Not opened by Pillow, which would map an uncompressed TIFF into memory and jumble it if it is to be turned.
    with open_binary(path) as file, Image.open(file, formats=formats()) as image:
        yield file, image


MOST_PIXELS = "LONGTAIL_MAX_PIXELS"  # the variable of the environment, which worker processes inherit

_filters = threading.Lock()
_inside, _undo = 0, ExitStack()


@contextmanager
def bombs_are_errors() -> Iterator[None]:
    """Makes Pillow's warning of too many pixels an error and silences its others, until the last thread has left."""
    global _inside
    with _filters:
        if not _inside:
            _undo.enter_context(warnings.catch_warnings())
            if most := os.environ.get(MOST_PIXELS):
                Image.MAX_IMAGE_PIXELS = int(most)
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
        _inside += 1
    try:
        yield
    finally:
        with _filters:
            _inside -= 1
            if not _inside:
                _undo.close()


def reason(path: str, error: Exception) -> str:
    """Why ``path`` could not be decoded, in one line."""
    if isinstance(error, Image.DecompressionBombWarning | Image.DecompressionBombError):
        most = Image.MAX_IMAGE_PIXELS
        return f"more than {most} pixels, which a damaged file can pretend: allow as many as it has by --max-pixels"
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, UnidentifiedImageError):
        with open_binary(path) as file:
            start = file.read(12)
        if start[4:8] == b"ftyp" and start[8:] in HEIF_BRANDS:
            return NEEDS_HEIF
        return "empty file" if not start else f"not an image in a known format ({', '.join(formats())})"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()  # such as: no such file or directory
    return f"cannot be decoded ({escape(error)})"


def rgb(file: BinaryIO, image: Image.Image, bit_depth: int | None = None) -> Image.Image:
    """Upright, on white, RGB; loads ``image``."""
    deep = header(file, image)
    image.load()
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)  # after loading: TIFF turns itself then
    except Exception:  # damaged metadata around a good image
        orientation = None
    if deep is not None:
        image = eight_bits(file, image, deep, bit_depth)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("RGB")
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image
