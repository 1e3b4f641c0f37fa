"""Data sets that are listed in a table: CSV, TSV, Parquet, or plain lines of path and label."""

# ruff: noqa: PTH100, PTH112, PTH113, PTH117, PTH118 - plain strings: objects are slow

from __future__ import annotations

import csv
import io
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

from longtail.errors import InputError
from longtail.files.columns import Columns, Places, find_columns, flag, is_data
from longtail.files.entries import Reading, listing_of
from longtail.files.folder import IMAGES, VIDEOS
from longtail.files.labels import Rows
from longtail.files.listing import Listing
from longtail.files.split_names import split_of
from longtail.messages import shown

logger = logging.getLogger(__name__)

_SAMPLE = 200  # rows that tell the columns
SUFFIXES = (".csv", ".tsv", ".parquet", ".txt", ".lst")


def is_table(file: Path) -> bool:
    """Whether the name of a file is that of a table."""
    return file.suffix.lower() in SUFFIXES


def read_table(
    file: Path,
    root: Path | None = None,
    path_column: str | None = None,
    label_column: str | None = None,
    classes: Sequence[str] | None = None,
    folders: bool = False,
) -> Listing:
    """Read a table of image paths and labels.

    The suffix says which kind it is: ``.csv``, ``.tsv`` and ``.parquet`` have columns with names; ``.txt`` and ``.lst``
    have lines of a path, which may contain spaces, and a label. Text is UTF-8.

    The classes are the distinct labels, numbers by value and other text as such. With ``classes``, labels are looked up
    there by name, or are indices into it where they are whole numbers and the names are not.

    Args:
        file: the table.
        root: the folder that relative paths start from, and that all must lie in; by default that of the table.
        path_column: name of the column of paths; by default one that is likely to be it.
        label_column: name of the column of labels; by default likewise.
        classes: the class names in order, such as those of the training table.
        folders: whether a path may be that of a folder.

    Returns:
        One row for every row of the table, in its order; paths start with ``root``.

    Raises:
        InputError: the table, a row or a file cannot be used; the message names the line, or for Parquet the row,
            counted from 1.
        ValueError: a name is twice in ``classes``.
    """
    folder = str(file.parent if root is None else root)
    rows = read_rows(file, Columns(path_column, label_column))
    return listing_of(rows, [folder], classes, Reading(VIDEOS if folders else IMAGES, skip=None))


def read_rows(file: Path, columns: Columns) -> Rows:
    """The columns of a table as text; of a list file without labels each line is a path."""
    if not os.path.isfile(file):
        problem = "is a folder" if os.path.isdir(file) else "no such file"
        raise InputError(f"{shown(file)}: {problem}; give the path of a table")
    match file.suffix.lower():
        case ".csv":
            return _read_csv(file, ",", columns)
        case ".tsv":
            return _read_csv(file, "\t", columns)
        case ".parquet":
            return _read_parquet(file, columns)
        case ".txt" | ".lst":
            return _read_lines(file, columns.labelled)
        case _:
            suffixes = f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
            raise InputError(f"{shown(file)}: unknown kind of table; rename it to end in {suffixes}")


def file_text(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{shown(file)}: cannot read it ({error.strerror}); check its permissions") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise InputError(f"{shown(file)}, line {line}: not UTF-8 text; save the table as UTF-8") from error


def _read_csv(file: Path, delimiter: str, columns: Columns) -> Rows:
    text = file_text(file)
    first = next(filter(str.strip, text.splitlines()), "")
    if delimiter not in first:
        delimiter = next((mark for mark in ",;\t|" if mark in first), delimiter)
    rows = Rows(file, [], [], [])
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = [name.strip() for name in next(filter(None, reader), [])]
        if not header:
            return rows
        if is_data(header) and columns.path is None:
            if len(header) == 1:
                return _read_lines(file, columns.labelled)
            if len(header) != 2:
                raise InputError(f"{shown(file)}, line {reader.line_num}: no header; write one, such as path,label")
            reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
            header = ["path", "label"]
        place = f"{shown(file)}, line {max(reader.line_num, 1)}"
        body = _of_length(rows, reader, len(header))
        sample = list(islice(body, _SAMPLE))
        places = find_columns(place, header, [row for _, row in sample], columns)
        _fill(rows, chain(sample, body), places, header)
        if columns.labelled:
            logger.info(f"{shown(file)}: read as a table, {places.words(header)}")
    except csv.Error as error:
        raise InputError(f"{shown(file)}, line {reader.line_num}: {error}; correct the quotes of this row") from error
    return replace(rows, several=True) if len(places.labels) > 1 else rows


def _of_length(
    rows: Rows,
    reader: Any,  # of csv, which has no public name for it
    length: int,
) -> Iterator[tuple[int, list[str]]]:
    """The rows that follow, each with its line; all have so many fields."""
    for row in filter(None, reader):
        if len(row) != length:
            rows.numbers.append(reader.line_num)
            fields = f"{len(row)} field{'s' if len(row) > 1 else ''}"
            message = f"{fields} where the header has {length}; correct the row, with quotes around text"
            raise rows.error(-1, f"{message} that contains the separator")
        yield reader.line_num, row


def _fill(rows: Rows, body: Iterable[tuple[int, Sequence[str]]], places: Places, header: Sequence[str]) -> None:
    """Add what stands in the columns; of several columns of classes a row for each that has a 1, or one without."""
    single = places.labels[0] if len(places.labels) == 1 else None
    for number, row in body:
        labels = [""]
        if single is not None:
            labels = [row[single].strip()]
        elif places.labels:
            try:
                labels = [header[at] for at in places.labels if flag(row[at])] or [""]
            except ValueError as error:
                rows.numbers.append(number)
                raise rows.error(-1, str(error)) from error
        for label in labels:
            rows.paths.append(row[places.path])
            rows.labels.append(label)
            rows.numbers.append(number)
            if places.group is not None:
                rows.groups.append(row[places.group].strip())
            if places.split is not None:
                rows.splits.append(split_of(row[places.split].strip()) or "")


def _read_lines(file: Path, labelled: bool) -> Rows:
    rows = Rows(file, [], [], [])
    for number, line in enumerate(io.StringIO(file_text(file), newline=None), start=1):
        fields = line.strip().rsplit(maxsplit=1) if labelled else [line.strip(), ""]
        if not any(fields):
            continue
        rows.numbers.append(number)
        if len(fields) < 2:
            raise rows.error(-1, f"only one field, {shown(fields[0])}; write a path, a space and a label")
        rows.paths.append(fields[0])
        rows.labels.append(fields[1])
    return rows


def _read_parquet(file: Path, columns: Columns) -> Rows:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise InputError(f'{shown(file)}: Parquet needs pyarrow; pip install "longtail[parquet]"') from error
    rows = Rows(file, [], [], [], "row")
    try:
        with pq.ParquetFile(file) as table:
            header = list(table.schema_arrow.names)
            some_rows = next(table.iter_batches(_SAMPLE), None)
            sample = [] if some_rows is None else [[_text(v) for v in row.values()] for row in some_rows.to_pylist()]
            places = find_columns(shown(file), header, sample, columns)
            used = [at for at in (places.path, *places.labels, places.group, places.split) if at is not None]
            content = table.read(columns=[header[at] for at in used])
            values = {at: content[header[at]].to_pylist() for at in used}
    except (pa.ArrowException, OSError, UnicodeDecodeError, OverflowError) as error:
        reason = shown(str(error).partition("\n")[0])
        raise InputError(f"{shown(file)}: not a readable Parquet file ({reason}); write it again") from error
    for at in (places.path, *places.labels):
        kind, words = (str | None, "text") if at == places.path else (str | int | float | None, "text or whole numbers")
        odd = next((i for i, value in enumerate(values[at]) if not isinstance(value, kind)), None)
        if odd is not None:
            rows.numbers.append(odd + 1)
            raise rows.error(
                -1, f"{shown(header[at])} is of type {type(values[at][odd]).__name__}; store it as {words}"
            )
    texts = {at: list(map(_text, column)) for at, column in values.items()}
    width = max(used) + 1
    body = (
        (i + 1, [texts[at][i] if at in texts else "" for at in range(width)]) for i in range(len(values[places.path]))
    )
    _fill(rows, body, places, header)
    return replace(rows, several=True) if len(places.labels) > 1 else rows


def _text(value: object) -> str:
    return "" if value is None else str(value)


def below(root: str, rows: Rows) -> list[str]:
    """The paths joined to ``root``, without detours; refuses those outside and those that come twice."""
    if not os.path.isdir(root):
        raise InputError(f"{shown(root)}: no such folder; give the one that the paths of {shown(rows.file)} start from")
    tops = [os.path.join(top, "") for top in (os.path.abspath(root), os.path.realpath(root))]
    first: dict[str, int] = {}
    for i, path in enumerate(rows.paths):
        if not path:
            raise rows.error(i, "the path is empty; fill it in or remove the row")
        inner = os.path.normpath(path)
        if os.path.isabs(inner):
            inner = next((inner[len(top) :] for top in tops if inner.startswith(top)), os.pardir)
        if inner in (os.curdir, os.pardir) or inner.startswith(os.pardir + os.sep):
            raise rows.error(i, f"path {shown(path)} is not inside {shown(root)}; correct it or give another root")
        if (before := first.setdefault(inner, i)) != i:
            raise rows.error(
                i, f"path {shown(path)} is also in {rows.unit} {rows.numbers[before]}; remove one of the two"
            )
    return [os.path.join(root, inner) for inner in first]
