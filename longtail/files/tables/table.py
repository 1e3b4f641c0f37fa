"""Data sets that are listed in a table: CSV, TSV, lines of JSON, Parquet, Arrow, or plain lines of path and label."""

# ruff: noqa: PTH100, PTH112, PTH113, PTH117, PTH118 - plain strings: objects are slow

from __future__ import annotations

import csv
import io
import logging
import os
from collections.abc import Iterator, Sequence
from itertools import chain, islice, repeat
from pathlib import Path
from typing import Any

from longtail.errors import InputError
from longtail.files.images.folder import IMAGES, VIDEOS
from longtail.files.listing import Listing
from longtail.files.tables.columns import (
    SAMPLE,
    SEVERAL,
    Body,
    Columns,
    as_text,
    find_columns,
    is_data,
    labels_in,
    likeliest_label,
)
from longtail.files.tables.entries import Reading, listing_of
from longtail.files.tables.labels import Draft, Rows, row_error
from longtail.files.tables.nested import json_lines
from longtail.files.tables.packed import read_columnar
from longtail.files.texts import is_utf8
from longtail.messages import command, escape, plural
from longtail.plain import AnyPath

logger = logging.getLogger(__name__)

_ROWS = 2**9  # that are lists at a time: of more, the garbage collector would look at all objects again and again
SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet", ".arrow", ".txt", ".lst")


def is_table(file: Path) -> bool:
    """Whether the name of a file is that of a table."""
    return file.suffix.lower() in SUFFIXES


def read_table(
    file: AnyPath,
    root: AnyPath | None = None,
    path_column: str | None = None,
    label_column: str | None = None,
    classes: Sequence[str] | None = None,
    folders: bool = False,
) -> Listing:
    """Read a table of image paths and labels.

    The suffix says which kind it is: ``.csv``, ``.tsv``, ``.jsonl``, ``.parquet`` and ``.arrow`` have columns with
    names; ``.txt`` and ``.lst`` have lines of a path, which may contain spaces, and a label. Text is UTF-8.

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
    file = Path(file)
    folder = str(file.parent if root is None else Path(root))
    rows = read_rows(file, Columns(path_column, label_column))
    return listing_of(rows, [folder], classes, Reading(VIDEOS if folders else IMAGES, skip=None))


def read_rows(file: Path, columns: Columns) -> Rows:
    """The columns of a table as text; of a list file without labels each line is a path."""
    if not os.path.isfile(file):
        problem = "is a folder" if os.path.isdir(file) else "no such file"
        raise InputError(f"{escape(file)}: {problem}; give the path of a table")
    rows = _read(file, columns)
    if rows.columns:
        logger.info(f"{escape(file)}: read as a table, {rows.columns}")
    return rows


def _read(file: Path, columns: Columns) -> Rows:
    match file.suffix.lower():
        case ".csv":
            return _read_csv(file, ",", columns)
        case ".tsv":
            return _read_csv(file, "\t", columns)
        case ".parquet" | ".arrow":
            return read_columnar(file, columns)
        case ".jsonl":
            return _read_json_lines(file, columns)
        case ".txt" | ".lst":
            return _read_lines(file, columns)
        case _:
            suffixes = f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
            raise InputError(f"{escape(file)}: unknown kind of table; rename it to end in {suffixes}")


def file_text(file: Path) -> str:
    """A file of UTF-8."""
    return _utf8(file).decode("utf-8-sig")


def text_lines(file: Path, newline: str | None = "") -> io.TextIOWrapper:
    """The lines of a file of UTF-8, each a string as it is asked for."""
    return io.TextIOWrapper(io.BytesIO(_utf8(file)), "utf-8-sig", newline=newline)


def _utf8(file: Path) -> bytes:
    try:
        data = file.read_bytes()
        if not is_utf8(data):
            data.decode("utf-8-sig")  # tells where it is not
    except OSError as error:
        raise InputError(f"{escape(file)}: cannot read it ({error.strerror}); check its permissions") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise InputError(f"{escape(file)}, line {line}: not UTF-8 text; save the table as UTF-8") from error
    return data


def _read_csv(file: Path, delimiter: str, columns: Columns) -> Rows:
    lines = text_lines(file)
    first = next((part for line in lines for part in line.splitlines() if part.strip()), "")
    if delimiter not in first:
        delimiter = next((mark for mark in ",;\t|" if mark in first), delimiter)
    lines.seek(0)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        header = [name.strip() for name in next(filter(None, reader), [])]
        if not header:
            return Rows(file, [], [], [])
        if is_data(header) and columns.path is None:
            if len(header) == 1:
                return _read_lines(file, columns)
            if len(header) != 2:
                raise InputError(f"{escape(file)}, line {reader.line_num}: no header; write one, such as path,label")
            lines.seek(0)
            reader = csv.reader(lines, delimiter=delimiter, strict=True)
            header = ["path", "label"]
        place = f"{escape(file)}, line {max(reader.line_num, 1)}"
        blocks = _blocks(file, reader, len(header))
        sample = next(blocks, ([], []))
        places = find_columns(place, header, sample[1], columns)
        body = Body(file, "line", header, places, columns.several)
        for numbers, rows in chain([sample], blocks):
            body.add(numbers, {at: [row[at] for row in rows] for at in places.used})
    except csv.Error as error:
        raise InputError(f"{escape(file)}, line {reader.line_num}: {error}; correct the quotes of this row") from error
    return body.rows(**places.about(header, columns))


def _blocks(
    file: Path,
    reader: Any,  # of csv, which has no public name for it
    length: int,
) -> Iterator[tuple[list[int], list[list[str]]]]:
    """The rows that follow, each with its line, many at a time, ``SAMPLE`` first; all have so many fields. A fault is
    raised once those before it have gone out, in the sample at once."""
    for most in chain([SAMPLE], repeat(_ROWS)):
        numbers: list[int] = []
        rows: list[list[str]] = []
        fault: Exception | None = None
        try:
            for row in islice(filter(None, reader), most):
                numbers.append(reader.line_num)
                rows.append(row)
        except csv.Error as error:
            fault = error
        if not {*map(len, rows)} <= {length}:
            odd = next(at for at, row in enumerate(rows) if len(row) != length)
            message = f"{plural(len(rows[odd]), 'field')} where the header has {length}; correct the row"
            fault = row_error(file, numbers[odd], f"{message}, with quotes around text that contains the separator")
            del numbers[odd:], rows[odd:]
        if rows and (fault is None or most == _ROWS):
            yield numbers, rows
        if fault is not None:
            raise fault
        if not rows:
            return


def _read_lines(file: Path, columns: Columns) -> Rows:
    rows = Draft()
    for number, line in enumerate(text_lines(file, None), start=1):
        fields = line.strip().rsplit(maxsplit=1) if columns.labelled else [line.strip(), ""]
        if not any(fields):
            continue
        if len(fields) < 2:
            raise row_error(file, number, f"only one field, {escape(fields[0])}; write a path, a space and a label")
        for label in labels_in(fields[1]) if columns.several else fields[1:]:
            rows.add(number, fields[0], label)
    return rows.rows(file)


def _read_json_lines(file: Path, columns: Columns) -> Rows:
    """A JSON object in each line; lists of labels are taken where an image may have several, and other fields that are
    lists or objects themselves are passed over."""
    numbers: list[int] = []
    entries: list[dict[str, Any]] = []
    for number, entry in json_lines(file, file_text(file).split("\n")):
        numbers.append(number)
        entries.append(entry)
    names = list(dict.fromkeys(name for entry in entries[:SAMPLE] for name in entry))
    nested = {name for name in names if any(isinstance(entry.get(name), (dict, list)) for entry in entries)}
    label = columns.label or likeliest_label(names)
    for name in sorted(nested) if columns.labelled else ():
        if columns.several and _are_labels([entry.get(name) for entry in entries], name == label):
            for i, entry in enumerate(entries):
                entry[name] = _barred(file, numbers[i], entry.get(name))
            nested.remove(name)
        elif name == label:
            problem = "is not a list of names in each line; write one" if columns.several else f"has lists; {SEVERAL}"
            way_out = f"{problem}, or {command('--data.label_column', 'NAME')} for another column"
            raise row_error(file, numbers[0], f"{escape(name)} {way_out}")
    header = [name for name in names if name not in nested]
    if not header:
        return Rows(file, [], [], numbers)
    sample = [[as_text(entry.get(name)) for name in header] for entry in entries[:SAMPLE]]
    places = find_columns(f"{escape(file)}, line {numbers[0]}", header, sample, columns)
    body = Body(file, "line", header, places, columns.several)
    body.add(numbers, {at: [as_text(entry.get(header[at])) for entry in entries] for at in places.used})
    return body.rows(**places.about(header, columns))


def _are_labels(values: Sequence[object], likely: bool) -> bool:
    """Whether all values are labels or lists of them: text, or where it is likely also numbers."""
    kinds = (str, int, float) if likely else str
    parts = chain.from_iterable(value if isinstance(value, list) else [value] for value in values if value is not None)
    return all(isinstance(part, kinds) for part in parts)


def _barred(file: Path, number: int, value: object) -> object:
    """The labels of a list with ``|`` between them; another value as it is."""
    if not isinstance(value, list):
        return value
    parts = [as_text(part) for part in value]
    if odd := next((part for part in parts if "|" in part), None):
        raise row_error(file, number, f"label {escape(odd)} has a |, which separates labels; rename it")
    return "|".join(parts)


def below(root: str, rows: Rows) -> list[str]:
    """The paths joined to ``root``, without detours; refuses those outside and those that come twice."""
    if not os.path.isdir(root):
        raise InputError(
            f"{escape(root)}: no such folder; give the one that the paths of {escape(rows.file)} start from"
        )
    tops = [os.path.join(top, "") for top in (os.path.abspath(root), os.path.realpath(root))]
    first: dict[str, int] = {}
    for i, path in enumerate(rows.paths):
        if not path:
            raise rows.error(i, "the path is empty; fill it in or remove the row")
        inner = os.path.normpath(path)
        if os.path.isabs(inner):
            inner = next((inner[len(top) :] for top in tops if inner.startswith(top)), os.pardir)
        if inner in (os.curdir, os.pardir) or inner.startswith(os.pardir + os.sep):
            raise rows.error(i, f"path {escape(path)} is not inside {escape(root)}; correct it or give another root")
        if (before := first.setdefault(inner, i)) != i:
            raise rows.error(
                i, f"path {escape(path)} is also in {rows.unit} {rows.numbers[before]}; remove one of the two"
            )
    return [os.path.join(root, inner) for inner in first]
