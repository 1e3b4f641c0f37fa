"""What JSON of COCO format says of its images beside what every set has."""

import re
from pathlib import Path

from longtail.errors import InputError
from longtail.files.coco.stream import JSONStream
from longtail.files.tables.groups import TIES, values_of_field
from longtail.messages import escape
from longtail.plain import JSON

_LOOKED_AT = 2**18  # characters at the beginning of a file


def tying_fields(file: Path) -> list[str]:
    """The fields by which camera traps tie images together, such as "location", among those at the beginning of a
    file; nothing where it cannot be read."""
    try:
        with file.open(encoding="utf-8-sig") as stream:
            text = stream.read(_LOOKED_AT)
    except (OSError, ValueError):
        return []
    return [name for name in TIES if re.search(rf'"{name}"\s*:', text)]


def image_field(file: Path, name: str) -> list[str]:
    """What each image has in a field such as "location" (N,), in the order of the file, which is read to the end of its
    images.

    Raises:
        InputError: no image has it, or the file cannot be read.
    """
    try:
        with file.open(encoding="utf-8-sig") as stream:
            entries = _images(JSONStream(stream))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{escape(file)}: cannot be read as JSON ({error}); export it again") from error
    return values_of_field(file, entries, name)


def _images(text: JSONStream) -> list[dict[str, JSON]]:
    """The entries of the images, which are read before by whoever checks them."""
    for key in text.members():
        if key == "images":
            return list(text.items())
        text.value()
    return []
