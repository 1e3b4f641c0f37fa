"""The formats of images that can be decoded, as far as they are installed."""

from functools import cache
from importlib.util import find_spec

AVIF = find_spec("PIL._avif") is not None  # since Pillow 11.3, where it was built with it
HEIF = find_spec("pillow_heif") is not None  # the extra heif
HEIF_SUFFIXES = frozenset({".heic", ".heif", ".hif"})
HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})  # bytes 8 to 12
NEEDS_HEIF = 'HEIC needs pip install "longtail[heif]"'


@cache
def formats() -> tuple[str, ...]:
    """The formats that are tried, by Pillow's names, and no others: some of Pillow's start external programs."""
    if HEIF:
        from pillow_heif import register_heif_opener

        register_heif_opener()
    return "JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", *["AVIF"] * AVIF, *["HEIF"] * HEIF
