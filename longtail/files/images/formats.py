"""The formats of images that can be decoded, as far as they are installed."""

from functools import cache
from importlib.util import find_spec

try:
    from pillow_heif import register_heif_opener
except ImportError:
    HEIF, NEEDS_HEIF = False, 'HEIC needs pip install "longtail[heif]"'
else:
    HEIF, NEEDS_HEIF = True, ""

AVIF = find_spec("PIL._avif") is not None  # since Pillow 11.3, where it was built with it
HEIF_SUFFIXES = frozenset({".heic", ".heif", ".hif"})
HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})  # bytes 8 to 12


def is_animated_webp(path: str) -> bool:
    """Whether a file is a WebP that moves, by the flag in its header."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - paths of a set are plain strings
            start = file.read(21)
    except OSError:
        return False
    return len(start) > 20 and start[:4] == b"RIFF" and start[8:16] == b"WEBPVP8X" and bool(start[20] & 2)


@cache
def formats() -> tuple[str, ...]:
    """The formats that are tried, by Pillow's names, and no others: some of Pillow's start external programs."""
    if HEIF:
        register_heif_opener()
    return "JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", *["AVIF"] * AVIF, *["HEIF"] * HEIF
