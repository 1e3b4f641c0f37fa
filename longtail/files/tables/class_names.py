"""Names of classes in words, from a file beside the data set."""

import json
from collections import Counter
from pathlib import Path

from longtail.errors import InputError
from longtail.files.tables.columns import Columns
from longtail.files.tables.table import SUFFIXES, file_text, read_rows
from longtail.messages import escape, some


def read_class_names(file: Path, classes: list[str]) -> list[str]:
    """The names of the classes of a set, in their order.

    A table (CSV, TSV, Parquet) has columns "class", as the set calls it, and "name"; JSON has an object of the two, or
    a list of names; any other file has a name a line. A list and lines are in the order of the classes. What a table
    or an object says of other classes is passed over.

    Args:
        file: the names.
        classes: as the set calls them.

    Raises:
        InputError: if the file cannot be read, does not name every class, names one twice or all alike.
    """
    if not file.is_file():
        raise InputError(f"{escape(file)}: no such file; give one with a name for each class by --data.class_names")
    names = _read(file)
    if isinstance(names, dict):
        if missing := [name for name in classes if name not in names]:
            others = [name for name in names if name not in classes]
            instead = f"; it has {some(others)} instead" if others else ""
            raise InputError(
                f"{escape(file)} does not name {len(missing)} of {len(classes)} classes: {some(missing)}{instead}"
            )
        names = [names[name] for name in classes]
    if len(names) != len(classes):
        raise InputError(f"{escape(file)} has {len(names)} names and the set {len(classes)} classes: give one for each")
    if empty := [name for name, text in zip(classes, names, strict=True) if not text.strip()]:
        raise InputError(f"{escape(file)} has no name for {some(empty)}: give one for each class")
    if len(names) > 1 and len(set(names)) == 1:  # some may share one: ImageNet has two cranes
        raise InputError(f"{escape(file)} calls every class {escape(names[0])}: give each a name of its own")
    return names


def _read(file: Path) -> dict[str, str] | list[str]:
    suffix = file.suffix.lower()
    if suffix == ".json":
        try:
            content = json.loads(file_text(file), object_pairs_hook=lambda pairs: _named_once(file, pairs))
        except InputError:
            raise
        except ValueError as error:
            raise InputError(f"{escape(file)}: no JSON ({error}); correct it") from error
        values = list(content.values()) if isinstance(content, dict) else content
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise InputError(f"{escape(file)}: wants an object of class and name, or a list of names")
        return content  # type: ignore[no-any-return]  # one of the two
    if suffix in SUFFIXES[:-2]:
        rows = read_rows(file, Columns("class", "name"))
        return _named_once(file, [*zip(rows.paths, map(str, rows.labels), strict=True)])
    return [line.strip() for line in file_text(file).strip().splitlines()]


def _named_once(file: Path, pairs: list[tuple[str, str]]) -> dict[str, str]:
    if twice := [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]:
        raise InputError(f"{escape(file)} names a class more than once: {some(twice)}; leave one name for each")
    return dict(pairs)
