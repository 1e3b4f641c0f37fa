"""Files that are given beside others: labelled ones whose classes are known, and lists of files without labels."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from longtail.errors import InputError
from longtail.files.folder import Kind, scan_labelled
from longtail.files.listing import Listing, missing_files
from longtail.files.table import SUFFIXES, read_rows, read_table
from longtail.messages import shown, some

Columns = tuple[str, str]


class Listed(NamedTuple):
    """A file: how it is reached, and what it is called by whoever gave it."""

    path: str
    name: str


def read_labelled(
    place: Path, classes: list[str], split: str, kind: Kind, columns: Columns, root: Path | None = None
) -> Listing:
    """The labelled files of a table, or of a folder of class folders, whose classes are known.

    Args:
        place: the table or the folder.
        classes: the class names in order, such as those of the training images.
        split: "val" or "test": of a folder with splits that one is taken.
        kind: what the files are.
        columns: headers of the paths and of the labels in a table.
        root: folder that the relative paths of a table start from; by default its own.

    Raises:
        InputError: see ``scan_labelled`` and ``read_table``.
    """
    if place.is_dir():
        return scan_labelled(place, classes, split, kind)
    return read_table(place, root, *columns, classes=classes, folders=kind.folders)


def start_of_paths(table: Path, folder: Path, columns: Columns) -> Path | None:
    """Where the relative paths of a table beside a folder of images start: ``folder`` where the first of them leads
    there and not beside the table; None for the folder of the table."""
    if table.is_dir():
        return None
    first = next(iter(read_rows(table, *columns).paths), "")
    return folder if (folder / first).exists() and not (table.parent / first).exists() else None


def without_files(listing: Listing, others: list[str]) -> Listing:
    """A listing less the files that are among others, whatever path leads to them."""
    held = {os.path.realpath(path) for path in others}
    kept = [row for row, path in enumerate(listing.paths) if os.path.realpath(path) not in held]
    return listing.subset(np.array(kept, dtype=np.int64))


def listed_files(table: Path, kind: Kind, column: str = "path") -> list[Listed]:
    """The files that a table lists in a column, or a list file line by line; labels in it are not looked at.

    Relative paths start from the folder of the table. What a file is called is its path as it is listed.

    Raises:
        InputError: the table cannot be read, is empty, or lists a file that is not there.
    """
    rows = read_rows(table, column, None)
    if not rows.paths:
        raise InputError(f"{shown(table)}: the table is empty; add a row for every {kind.noun}")
    names = list(rows.paths)
    if table.suffix.lower() in SUFFIXES[-2:]:  # lines of a path, and perhaps a label
        names = [name if (table.parent / name).exists() else name.rsplit(maxsplit=1)[0] for name in names]
    paths = [str(table.parent / name) for name in names]
    if missing := missing_files(paths, kind.folders):
        others = some([paths[row] for row in missing])
        raise rows.error(missing[0], f"no such file: {others}; correct the paths, which start from {table.parent}")
    return [Listed(path, name) for path, name in zip(paths, names, strict=True)]
