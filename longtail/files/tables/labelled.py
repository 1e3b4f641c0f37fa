"""Files that are given beside others: those of another split, and lists of files without labels."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from longtail.errors import InputError
from longtail.files.images.folder import Kind
from longtail.files.listing import Listing, missing_files
from longtail.files.tables.columnar import SUFFIXES as COLUMNAR
from longtail.files.tables.columns import Columns
from longtail.files.tables.packed import has_images
from longtail.files.tables.table import SUFFIXES, is_table, read_rows
from longtail.messages import escape, some


class Listed(NamedTuple):
    """A file: how it is reached, and what it is called by whoever gave it."""

    path: str
    name: str


def start_of_paths(table: Path, folder: Path, columns: Columns) -> Path | None:
    """Where the relative paths of a table beside a folder of images start: ``folder`` where the first of them leads
    there and not beside the table; None for the folder of the table."""
    if not is_table(table):
        return None
    first = next(iter(read_rows(table, columns).paths), "")
    return folder if (folder / first).exists() and not (table.parent / first).exists() else None


def without_files(listing: Listing, others: Sequence[str]) -> Listing:
    """A listing less the files that are among others, whatever path leads to them."""
    held = {os.path.realpath(path) for path in others}
    rows = [row for row, path in enumerate(listing.paths) if os.path.realpath(path) not in held]
    return listing.subset(np.array(rows, dtype=np.int64))


def listed_files(table: Path, kind: Kind, column: str = "path") -> list[Listed]:
    """The files that a table lists in a column, or a list file line by line; labels in it are not looked at.

    Relative paths start from the folder of the table. What a file is called is its path as it is listed. Where the
    table has the images themselves, these are listed.

    Raises:
        InputError: the table cannot be read, is empty, or lists a file that is not there.
    """
    if table.suffix.lower() in COLUMNAR and has_images(table):
        inside = read_rows(table, Columns(labelled=False))
        return [Listed(str(inside.home / path), path) for path in inside.paths if inside.home and path]
    rows = read_rows(table, Columns(path=column, labelled=False))
    if not rows.paths:
        raise InputError(f"{escape(table)}: the table is empty; add a row for every {kind.noun}")
    names = list(rows.paths)
    if table.suffix.lower() in SUFFIXES[-2:]:  # lines of a path, and perhaps a label
        names = [name if (table.parent / name).exists() else name.rsplit(maxsplit=1)[0] for name in names]
    paths = [str(table.parent / name) for name in names]
    if missing := missing_files(paths, kind.folders):
        others = some([paths[row] for row in missing])
        raise rows.error(missing[0], f"no such file: {others}; correct the paths, which start from {table.parent}")
    return [Listed(path, name) for path, name in zip(paths, names, strict=True)]
