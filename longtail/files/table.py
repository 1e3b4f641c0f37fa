"""Data sets that are listed in a table: CSV, TSV, Parquet, or plain lines of path and label."""

# ruff: noqa: PTH100, PTH112, PTH113, PTH117, PTH118 - plain strings: objects are slow

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path

from longtail.errors import InputError
from longtail.files.labels import Rows, indices_among, own_indices
from longtail.files.listing import Listing, missing_files
from longtail.messages import command, shown, some

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
        InputError: the table, a row or a file cannot be used, or labels are counted from 1; the message names the
            line, or for Parquet the row, counted from 1.
        ValueError: a name is twice in ``classes``.
    """
    folder = str(file.parent if root is None else root)
    rows = read_rows(file, path_column, label_column)
    if not rows.paths:
        raise InputError(f"{shown(file)}: the table is empty; add a row for every image")
    targets, names = own_indices(rows) if classes is None else indices_among(rows, classes)
    paths = below(folder, rows)
    if missing := missing_files(paths, folders):
        raise rows.error(
            missing[0],
            f"no such file: {some([paths[i] for i in missing])}; "
            f"correct the paths, which start from {shown(folder)}, or give another root",
        )
    return Listing(paths, targets, names)


def read_rows(file: Path, path_column: str, label_column: str | None) -> Rows:
    """The columns of a table as text; without a label column all labels are empty, and a line of a list is a path."""
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
            return _read_lines(file, label_column is not None)
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


def _read_csv(file: Path, delimiter: str, path_column: str, label_column: str | None) -> Rows:
    rows = Rows(file, [], [], [])
    reader = csv.reader(io.StringIO(file_text(file), newline=""), delimiter=delimiter, strict=True)
    try:
        header = [name.strip() for name in next(filter(None, reader), [])]
        if not header:
            return rows
        place = f"{shown(file)}, line {reader.line_num}"
        _check_separator(place, header, delimiter)
        _require(place, header, path_column, label_column)
        path_at, label_at = header.index(path_column), None if label_column is None else header.index(label_column)
        for row in filter(None, reader):
            rows.numbers.append(reader.line_num)
            if len(row) != len(header):
                fields = f"{len(row)} field{'s' if len(row) > 1 else ''}"
                message = f"{fields} where the header has {len(header)}; correct the row, with quotes around text"
                raise rows.error(-1, f"{message} that contains the separator")
            rows.paths.append(row[path_at])
            rows.labels.append("" if label_at is None else row[label_at].strip())
    except csv.Error as error:
        raise InputError(f"{shown(file)}, line {reader.line_num}: {error}; correct the quotes of this row") from error
    return rows


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


def _read_parquet(file: Path, path_column: str, label_column: str | None) -> Rows:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise InputError(f'{shown(file)}: Parquet needs pyarrow; pip install "longtail[parquet]"') from error
    try:
        with pq.ParquetFile(file) as table:
            _require(shown(file), table.schema_arrow.names, path_column, label_column)
            columns = table.read(columns=[name for name in (path_column, label_column) if name is not None])
            paths = columns[path_column].to_pylist()
            labels = [None] * len(paths) if label_column is None else columns[label_column].to_pylist()
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


def _check_separator(place: str, header: Sequence[str], delimiter: str) -> None:
    """Refuse a header of one column that another separator would make several of."""
    other = next((mark for mark in ",;\t|" if mark in header[0]), None) if len(header) == 1 else None
    if other is not None:
        wanted = {",": ".csv has commas", "\t": ".tsv has tabs"}[delimiter]
        suffix = {",": ", or name the file .csv", "\t": ", or name the file .tsv"}.get(other, "")
        names = {"\t": "tabs", ",": "commas", ";": 'semicolons ";"', "|": 'bars "|"'}
        raise InputError(f"{place}: the columns are separated by {names[other]}, and a {wanted}: save it so{suffix}")


def _require(place: str, present: Sequence[str], path_column: str, label_column: str | None) -> None:
    """Refuse a table that has not each of the columns once; None stands for no column."""
    for option, name in (("path_column", path_column), ("label_column", label_column)):
        if name is None:
            continue
        if name not in present:
            alike = next((other for other in present if other.lower() == name.lower()), None)
            raise InputError(
                f"{place}: no column called {shown(name)}, only {some(present, 10)}; "
                f"rename one, or give {command(f'--data.{option}', alike or 'NAME')}"
            )
        if present.count(name) > 1:
            raise InputError(f"{place}: two columns are called {shown(name)}; rename one of them")


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
