"""Data sets that are listed in a table: CSV, TSV, Parquet, or plain lines of path and label."""

# ruff: noqa: PTH100, PTH112, PTH113, PTH117, PTH118 - plain strings: objects are slow

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from longtail.errors import InputError
from longtail.files.listing import Listing, missing_files
from longtail.messages import shown, some

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_MOST_CLASSES = 1_000_000  # a larger class index is some other number


SUFFIXES = (".csv", ".tsv", ".parquet", ".txt", ".lst")


def is_table(file: Path) -> bool:
    """Whether the name of a file is that of a table."""
    return file.suffix.lower() in SUFFIXES


def read_table(
    file: Path,
    root: Path | None = None,
    path_column: str = "path",
    label_column: str = "label",
    classes: Sequence[str] | None = None,
    folders: bool = False,
) -> Listing:
    """Read a table of image paths and labels.

    The suffix says which kind it is: ``.csv``, ``.tsv`` and ``.parquet`` have columns with names; ``.txt`` and ``.lst``
    have lines of a path, which may contain spaces, and a label. Text is UTF-8.

    Labels that are all whole numbers are class indices, and the classes are named "0", "1", ... up to the largest.
    Other labels are class names, sorted as text. With ``classes``, labels are looked up there by name, or are indices
    into it where they are whole numbers that are not all names.

    Args:
        file: the table.
        root: the folder that relative paths start from, and that all must lie in; by default that of the table.
        path_column: name of the column of paths.
        label_column: name of the column of labels.
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
    rows = _read(file, path_column, label_column)
    if not rows.paths:
        raise InputError(f"{shown(file)}: the table is empty; add a row for every image")
    targets, names = _indices(rows) if classes is None else _looked_up(rows, classes)
    paths = below(folder, rows)
    if missing := missing_files(paths, folders):
        raise rows.error(
            missing[0],
            f"no such file: {some([paths[i] for i in missing])}; "
            f"correct the paths, which start from {shown(folder)}, or give another root",
        )
    return Listing(paths, targets, names)


@dataclass(frozen=True)
class Rows:
    """The two columns as text, and where in the file each row stands."""

    file: Path
    paths: list[str]
    labels: list[str]
    numbers: list[int]
    unit: str = "line"

    def error(self, index: int, message: str) -> InputError:
        return InputError(f"{shown(self.file)}, {self.unit} {self.numbers[index]}: {message}")


def _read(file: Path, path_column: str, label_column: str) -> Rows:
    if not os.path.isfile(file):
        problem = "is a folder" if os.path.isdir(file) else "no such file"
        raise InputError(f"{shown(file)}: {problem}; give the path of a table")
    match file.suffix.lower():
        case ".csv":
            return _read_csv(file, ",", path_column, label_column)
        case ".tsv":
            return _read_csv(file, "\t", path_column, label_column)
        case ".parquet":
            return _read_parquet(file, path_column, label_column)
        case ".txt" | ".lst":
            return _read_lines(file)
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


def _read_csv(file: Path, delimiter: str, path_column: str, label_column: str) -> Rows:
    rows = Rows(file, [], [], [])
    reader = csv.reader(io.StringIO(file_text(file), newline=""), delimiter=delimiter, strict=True)
    try:
        header = [name.strip() for name in next(filter(None, reader), [])]
        if not header:
            return rows
        _require(file, header, path_column, label_column)
        path_at, label_at = header.index(path_column), header.index(label_column)
        for row in filter(None, reader):
            rows.numbers.append(reader.line_num)
            if len(row) != len(header):
                fields = f"{len(row)} field{'s' if len(row) > 1 else ''}"
                message = f"{fields} where the header has {len(header)}; correct the row, with quotes around text"
                raise rows.error(-1, f"{message} that contains the separator")
            rows.paths.append(row[path_at])
            rows.labels.append(row[label_at].strip())
    except csv.Error as error:
        raise InputError(f"{shown(file)}, line {reader.line_num}: {error}; correct the quotes of this row") from error
    return rows


def _read_lines(file: Path) -> Rows:
    rows = Rows(file, [], [], [])
    for number, line in enumerate(io.StringIO(file_text(file), newline=None), start=1):
        fields = line.strip().rsplit(maxsplit=1)
        if not fields:
            continue
        rows.numbers.append(number)
        if len(fields) < 2:
            raise rows.error(-1, f"only one field, {shown(fields[0])}; write a path, a space and a label")
        rows.paths.append(fields[0])
        rows.labels.append(fields[1])
    return rows


def _read_parquet(file: Path, path_column: str, label_column: str) -> Rows:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise InputError(f'{shown(file)}: Parquet needs pyarrow; pip install "longtail[parquet]"') from error
    try:
        with pq.ParquetFile(file) as table:
            _require(file, table.schema_arrow.names, path_column, label_column)
            columns = table.read(columns=[path_column, label_column])
            paths, labels = columns[path_column].to_pylist(), columns[label_column].to_pylist()
    except (pa.ArrowException, OSError, UnicodeDecodeError, OverflowError) as error:
        reason = shown(str(error).partition("\n")[0])
        raise InputError(f"{shown(file)}: not a readable Parquet file ({reason}); write it again") from error
    rows = Rows(
        file,
        ["" if path is None else path for path in paths],
        ["" if label is None else str(label).strip() for label in labels],
        list(range(1, len(paths) + 1)),
        "row",
    )
    for name, values, kind in ((path_column, rows.paths, str), (label_column, labels, str | int | float | None)):
        odd = next((i for i, value in enumerate(values) if not isinstance(value, kind)), None)
        if odd is not None:
            expected = "text" if kind is str else "text or whole numbers"
            raise rows.error(odd, f"{shown(name)} is of type {type(values[odd]).__name__}; store it as {expected}")
    return rows


def _require(file: Path, present: Sequence[str], *columns: str) -> None:
    """Refuse a table that has not each of the columns once."""
    for name in columns:
        if name not in present:
            raise InputError(
                f"{shown(file)}: no column called {shown(name)}, only {some(present, 10)}; "
                "rename one or say which column to use"
            )
        if present.count(name) > 1:
            raise InputError(f"{shown(file)}: two columns are called {shown(name)}; rename one of them")


def _indices(rows: Rows) -> tuple[NDArray[np.int64], list[str]]:
    """Class indices (M,) of labels that bring their own classes, and the class names."""
    distinct = set(rows.labels)
    _refuse_empty(rows, distinct)
    integers = {label for label in distinct if _INTEGER.fullmatch(label)}
    numbers = {label for label in distinct if _NUMBER.fullmatch(label)}
    if numbers and len(numbers) < len(distinct):
        odd = _first(rows, distinct - numbers)
        number = rows.labels[_first(rows, numbers)]
        raise rows.error(
            odd,
            f"label {shown(rows.labels[odd])} is text while others are numbers, such as {number}; "
            "use one kind, or give the class names",
        )
    if len(integers) < len(numbers):
        odd = _first(rows, numbers - integers)
        raise rows.error(odd, f"label {rows.labels[odd]} is not a whole number; write class indices as 0, 1, 2, ...")
    if integers:
        index = {label: int(label) for label in distinct}
        names = [str(i) for i in range(_check_range(rows, index))]
    else:
        names = sorted(distinct)
        index = {name: i for i, name in enumerate(names)}
    if len(set(index.values())) < 2:
        raise InputError(
            f"{shown(rows.file)}: all rows have the label {shown(rows.labels[0])}; at least two classes are needed"
        )
    return _targets(rows, index), names


def _looked_up(rows: Rows, classes: Sequence[str]) -> tuple[NDArray[np.int64], list[str]]:
    """Class indices (M,) of labels that name or number given classes, and these classes."""
    names = {name: i for i, name in enumerate(classes)}
    if len(names) < len(classes):
        raise ValueError("a name is twice in classes")
    distinct = set(rows.labels)
    _refuse_empty(rows, distinct)
    if distinct <= names.keys():
        return _targets(rows, names), list(classes)
    if not all(_INTEGER.fullmatch(label) for label in distinct):
        odd = _first(rows, distinct - names.keys())
        raise rows.error(
            odd,
            f"label {shown(rows.labels[odd])} is not one of the {len(names)} known classes ({some(names)}); "
            "correct it or remove the row",
        )
    index = {label: int(label) for label in distinct}
    _check_range(rows, index, len(names))
    return _targets(rows, index), list(classes)


def _refuse_empty(rows: Rows, distinct: set[str]) -> None:
    if "" in distinct:
        raise rows.error(rows.labels.index(""), "the label is empty; fill it in or remove the row")


def _check_range(rows: Rows, index: dict[str, int], classes: int | None = None) -> int:
    """The number of classes up to the largest index; refuses one that is negative or too large, and counting from 1."""
    limit, most = classes or _MOST_CLASSES, max(index.values())
    if min(index.values()) == 1 < most == (classes or most):
        way_out = "subtract 1, as class indices begin with 0, or write names"
        raise InputError(f"{shown(rows.file)}: labels run from 1 to {most}; {way_out}")
    if bad := {label for label, i in index.items() if not 0 <= i < limit}:
        at = _first(rows, bad)
        problem = "is negative" if index[rows.labels[at]] < 0 else f"is not below {limit}"
        raise rows.error(
            at, f"label {rows.labels[at]} {problem}; class indices are 0, 1, ... up to the number of classes"
        )
    return most + 1


def _first(rows: Rows, labels: set[str]) -> int:
    """The first row with one of ``labels``."""
    return next(i for i, label in enumerate(rows.labels) if label in labels)


def _targets(rows: Rows, index: dict[str, int]) -> NDArray[np.int64]:
    return np.fromiter((index[label] for label in rows.labels), dtype=np.int64, count=len(rows.labels))


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
