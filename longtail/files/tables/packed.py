"""Tables by columns as rows, also those in which the images themselves are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from longtail.errors import InputError
from longtail.files.cache import kept_in
from longtail.files.tables.columnar import arrow, columnar, first_rows
from longtail.files.tables.columns import SAMPLE, Body, Columns, as_text, find_columns, likeliest_path
from longtail.files.tables.features import Features, features_of
from longtail.files.tables.labels import Rows, row_error
from longtail.files.tables.unpacking import image_suffix, unpacked
from longtail.messages import command, escape, some


def has_images(file: Path) -> bool:
    """Whether the bytes of images are in a Parquet or Arrow file; raises ``InputError`` where it cannot be read."""
    with columnar(file) as table:
        schema = table.schema
    return bool(image_columns(file, schema, features_of(file, schema)))


def read_columnar(file: Path, columns: Columns, root: Path | None = None, configuration: str = "") -> Rows:
    """The columns of a Parquet or Arrow file as text.

    Where the images are in it, they are unpacked, and the paths are those of their files below ``Rows.home``. Class
    numbers are replaced by names where the file, or what Hugging Face has beside it, says them.

    Args:
        file: the table.
        columns: what is known of its columns; the path is that of the images.
        root: folder of the set; by default that of the file.
        configuration: of the set, where it has several.

    Raises:
        InputError: it cannot be used; the message names the row, counted from 1.
    """
    with columnar(file) as table:
        schema, header = table.schema, list(table.schema.names)
    features = features_of(file, schema, configuration)
    packed = image_columns(file, schema, features)
    image = _chosen(file, packed, columns)
    header = [name for name in header if name == image or name not in packed]
    if image is not None:
        named = [name for name in features.classes if name in header]
        columns = replace(columns, path=image, label=columns.label or (named[0] if len(named) == 1 else None))
    texts = [name for name in header if name != image]
    sample = [[as_text(row.get(name)) for name in header] for row in first_rows(file, texts, SAMPLE)]
    places = find_columns(escape(file), header, sample, columns)
    about, home = places.about(header, columns), None
    values = _values(file, {at: header[at] for at in places.used if header[at] != image})
    for at in set(values) & {places.path, *places.labels}:
        values[at] = _checked(file, values[at], header[at], at == places.path, features)
    if image is not None:
        home = kept_in(root or file.parent, "images")
        values[places.path] = unpacked(file, image, home, file.relative_to(root or file.parent))
    if places.labels and (names := features.classes.get(header[places.labels[0]])):
        about["classes"] = [*names, *sorted(set(map(as_text, values[places.labels[0]])) - {*names, ""})]
    body = Body(file, "row", header, places, columns.several)
    body.add(range(1, len(values[places.path]) + 1), {at: list(map(as_text, its)) for at, its in values.items()})
    return body.rows(home=home, **about)


def _values(file: Path, names: dict[int, str]) -> dict[int, list[Any]]:  # Python's, of any type
    """The columns of these names, each under its number."""
    values: dict[int, list[Any]] = {at: [] for at in names}
    with columnar(file) as table:
        for batch in table.batches(list(names.values())) if names else ():
            for at, name in names.items():
                values[at] += batch.column(name).to_pylist()
    return values


def _checked(file: Path, values: list[Any], name: str, is_path: bool, features: Features) -> list[Any]:
    """The values of a column, if they can be paths or classes; class numbers by their names."""
    kind, words = (str | None, "text") if is_path else (str | int | float | None, "text or whole numbers")
    classes = None if is_path else features.classes.get(name)
    for row, value in enumerate(values):
        problem = ""
        if not isinstance(value, kind):
            problem = f"{escape(name)} is of type {type(value).__name__}; store it as {words}"
        elif classes is not None and isinstance(value, int) and value >= len(classes):
            problem = f"{escape(name)} is {value}, and there are {len(classes)} names from 0; correct it"
        if problem:
            raise row_error(file, row + 1, problem, "row")
    if classes is None:
        return values
    return [(classes[value] if value >= 0 else "") if isinstance(value, int) else value for value in values]


def image_columns(file: Path, schema: Any, features: Features) -> list[str]:  # of pyarrow
    """The columns with bytes of images: those that the set says, or of the form of Hugging Face, or that begin so."""
    pa = arrow(file)

    def is_binary(kind: Any) -> bool:  # of pyarrow
        return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))

    def is_struct(kind: Any) -> bool:  # of pyarrow
        return pa.types.is_struct(kind) and any(part.name == "bytes" and is_binary(part.type) for part in kind)

    of_bytes = [column.name for column in schema if is_binary(column.type)]
    columns = [column.name for column in schema if is_struct(column.type)]
    columns += [name for name in of_bytes if name in features.images]
    if plain := [name for name in of_bytes if name not in columns]:
        rows = first_rows(file, plain, 3)
        columns += [name for name in plain if any(image_suffix(row[name] or b"") for row in rows)]
    return [name for name in schema.names if name in columns]


def _chosen(file: Path, packed: Sequence[str], columns: Columns) -> str | None:
    """The column of the images; None where the table has paths.

    Raises:
        InputError: it may be one of several.
    """
    if columns.path is not None or not packed:
        return columns.path if columns.path in packed else None
    if len(packed) == 1:
        return packed[0]
    likely = likeliest_path(packed)
    if likely is None:
        way_out = command("--data.path_column", packed[0])
        raise InputError(f"{escape(file)}: which column has the images? There are {some(packed, 10)}: give {way_out}")
    return likely
