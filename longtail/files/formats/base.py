"""What the formats of images with one class each share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from longtail.errors import InputError
from longtail.files.tables.labels import Rows
from longtail.files.tables.table import file_text
from longtail.messages import escape
from longtail.plain import JSON

_LOOKED_AT = 2**20  # bytes


class Format(NamedTuple):
    """A format of files about images.

    Attributes:
        name: what it is called.
        is_file: whether a file is of it, told from its first bytes.
        read: the rows of such a file; the second argument names what groups the images, None for nothing.
    """

    name: str
    is_file: Callable[[Path], bool]
    read: Callable[[Path, str | None], Rows]


def start(file: Path, suffixes: str = ".json") -> str:
    """The first characters of a file with one of some suffixes; nothing of another, or where it cannot be read."""
    return text_start(file, _LOOKED_AT) if file.suffix.lower() in suffixes.split() else ""


def text_start(file: Path, size: int) -> str:
    """The text in the first bytes of a file; nothing where it cannot be read, which whoever reads the set will say."""
    try:
        with file.open("rb") as stream:
            return stream.read(size).decode("utf-8-sig", "ignore")
    except OSError:
        return ""


def load(file: Path) -> JSON:
    """The content of a JSON file.

    Raises:
        InputError: it is none; the message names the line.
    """
    try:
        return json.loads(file_text(file))
    except json.JSONDecodeError as error:
        raise InputError(f"{escape(file)}, line {error.lineno}: no JSON ({error.msg}); write it again") from error
    except RecursionError as error:
        raise InputError(f"{escape(file)}: no JSON of such a set; give another file") from error
