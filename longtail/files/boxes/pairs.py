"""Images, and the files of annotations that go with them by their names."""

# ruff: noqa: PTH122 - paths are plain strings: objects are slow in their thousands

import os
from collections.abc import Collection
from pathlib import Path

from longtail.errors import InputError
from longtail.files.images.reading import SUFFIXES
from longtail.files.listing import is_file, is_folder, reading
from longtail.messages import escape


def files_below(folder: Path, suffixes: Collection[str] = SUFFIXES, deep: bool = True) -> list[str]:
    """Paths of the files with these suffixes in a folder, and with ``deep`` in those below, sorted; none that is
    hidden."""
    files: list[str] = []
    with reading(str(folder)), os.scandir(folder) as scan:
        for entry in sorted(scan, key=lambda entry: entry.name):
            if entry.name[0] == ".":
                continue
            if is_folder(entry):
                files += files_below(Path(entry.path), suffixes) if deep else []
            elif os.path.splitext(entry.name)[1].lower() in suffixes and is_file(entry):
                files.append(entry.path)
    return files


def by_stem(files: list[str], top: Path) -> dict[str, str]:
    """The files by their path below ``top`` without the suffix.

    Raises:
        InputError: two files have the same.
    """
    stems: dict[str, str] = {}
    for path in files:
        stem = os.path.splitext(os.path.relpath(path, top))[0]
        if stem in stems:
            raise InputError(
                f"{escape(path)} has the same name as {escape(stems[stem])}: annotations tell them not apart"
            )
        stems[stem] = path
    return stems


def read_text(file: Path | str) -> str:
    """The text of a file.

    Raises:
        InputError: if it cannot be read.
    """
    try:
        return Path(file).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{escape(file)}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{escape(file)}: not text in UTF-8; save it again as such") from error


def read_lines(file: Path) -> list[str]:
    """The lines of a file that are not empty.

    Raises:
        InputError: as ``read_text``.
    """
    return [line.strip() for line in read_text(file).splitlines() if line.strip()]
