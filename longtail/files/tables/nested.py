"""Tables whose rows have lists and structures in them: Parquet, Arrow and lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from longtail.errors import InputError
from longtail.files.tables.columnar import arrow, columnar
from longtail.messages import escape
from longtail.plain import JSON

LINES = ".jsonl"
_SAMPLE = 50  # rows that tell what is in a table without a schema
_LONG = 2**24  # characters of a line that is looked at


def nested_fields(file: Path) -> dict[str, frozenset[str] | None]:
    """The columns with lists or structures, and the fields of these; None for lists of other things.

    Raises:
        InputError: the file cannot be read.
    """
    if file.suffix.lower() == LINES:
        return _fields_of_lines(file)
    types = arrow(file).types

    def fields(kind: Any) -> frozenset[str] | None:  # of pyarrow
        if types.is_struct(kind):
            return frozenset(kind.field(i).name for i in range(kind.num_fields))
        return fields(kind.value_type) if _is_list(types, kind) else None

    with columnar(file) as table:
        kinds = {column.name: column.type for column in table.schema}
    return {name: fields(kind) for name, kind in kinds.items() if types.is_struct(kind) or _is_list(types, kind)}


def plain_columns(file: Path) -> list[str]:
    """The other columns.

    Raises:
        InputError: the file cannot be read.
    """
    nested = nested_fields(file)
    if file.suffix.lower() == LINES:
        names = dict.fromkeys(name for entry in islice(_lines(file), _SAMPLE) for name in entry)
    else:
        with columnar(file) as table:
            names = dict.fromkeys(table.schema.names)
    return [name for name in names if name not in nested]


def _is_list(types: Any, kind: Any) -> bool:  # of pyarrow
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def nested_rows(file: Path, columns: Sequence[str]) -> Iterator[dict[str, Any]]:  # Python's, of any type
    """Some of the columns of all rows, as Python's values.

    Raises:
        InputError: the file cannot be read.
    """
    if file.suffix.lower() == LINES:
        for entry in _lines(file):
            yield {name: entry.get(name) for name in columns}
        return
    with columnar(file) as table:
        for batch in table.batches(list(columns)):
            yield from batch.to_pylist()


def _fields_of_lines(file: Path) -> dict[str, frozenset[str] | None]:
    fields: dict[str, frozenset[str] | None] = {}
    for entry in islice(_lines(file), _SAMPLE):
        for name, value in entry.items():
            parts = value if isinstance(value, list) else [value]
            names = frozenset(key for part in parts if isinstance(part, dict) for key in part)
            if names:
                fields[name] = (fields.get(name) or frozenset()) | names
            elif isinstance(value, list):
                fields.setdefault(name, None)
    return fields


def json_lines(file: Path, lines: Iterable[str]) -> Iterator[tuple[int, dict[str, JSON]]]:
    """The number and the object of each line that is not blank.

    Raises:
        InputError: there is none in a line.
    """
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            entry = None
        if not isinstance(entry, dict):
            raise InputError(f"{escape(file)}, line {number}: no JSON object; write one in each line")
        yield number, entry


def _lines(file: Path) -> Iterator[dict[str, JSON]]:
    try:
        with file.open(encoding="utf-8-sig") as stream:
            for _, entry in json_lines(file, iter(lambda: stream.readline(_LONG), "")):
                yield entry
    except UnicodeDecodeError as error:
        raise InputError(f"{escape(file)}: not UTF-8 text; save the table as UTF-8") from error
    except OSError as error:
        raise InputError(f"{escape(file)}: cannot read it ({error.strerror}); check its permissions") from error
