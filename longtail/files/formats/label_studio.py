"""Exports of Label Studio for classification: JSON, JSON-MIN and CSV."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from longtail.errors import InputError
from longtail.files.formats.base import Format, load, start
from longtail.files.tables.labels import Draft, Rows, text
from longtail.files.tables.table import file_text
from longtail.messages import escape, some

_OF_TABLES = frozenset({"annotation_id", "annotator", "created_at", "lead_time", "updated_at"})
_NOT_CLASSES = _OF_TABLES | {"id", "sentiment", "agreement", "comment"}


def _is_json(file: Path) -> bool:
    head = start(file).lstrip()
    tasks = '"annotations"' in head and '"data"' in head and '"result"' in head
    return head.startswith("[") and (tasks or ('"annotation_id"' in head and '"annotator"' in head))


def _is_table(file: Path) -> bool:
    header = next(csv.reader(io.StringIO(start(file, ".csv .tsv"))), [])
    names = header if len(header) > 1 else "".join(header).split("\t")
    return set(names) >= {"annotation_id", "annotator", "lead_time"}


def _read_json(file: Path, group: str | None) -> Rows:
    rows = Draft()
    for number, task in enumerate(load(file), start=1):
        try:
            data = task.get("data", task)
            labels = _choices(task) if "annotations" in task else _labels(task)
            _add(rows, number, _image(data, file, number), labels, data, group)
        except (AttributeError, TypeError, KeyError) as error:
            raise InputError(f"{escape(file)}, task {number}: no task of Label Studio; export it again") from error
    return rows.rows(file, "task", several=True)


def _read_table(file: Path, group: str | None) -> Rows:
    rows = Draft()
    reader = csv.DictReader(
        io.StringIO(file_text(file), newline=""), delimiter="\t" if file.suffix.lower() == ".tsv" else ","
    )
    try:
        for task in reader:
            number = reader.line_num
            _add(rows, number, _image(task, file, number), _labels(task), task, group)
    except csv.Error as error:
        raise InputError(f"{escape(file)}, line {reader.line_num}: {error}; export it again") from error
    return rows.rows(file, several=True)


def _add(rows: Draft, number: int, image: str, labels: list[str], fields: dict[str, Any], group: str | None) -> None:
    for label in dict.fromkeys(labels or [""]):
        rows.add(number, image, label, text(fields[group]) if group is not None and group in fields else None)


def _choices(task: dict[str, Any]) -> list[str]:
    """The classes that the annotations of a task give, but for those that were cancelled."""
    results = [
        result
        for annotation in task["annotations"]
        if not annotation.get("was_cancelled")
        for result in annotation["result"]
        if result.get("type") == "choices"
    ]
    return [str(choice) for result in results for choice in result["value"]["choices"]]


def _labels(task: dict[str, Any]) -> list[str]:
    """The classes of a task of JSON-MIN or of a row: of "choice", or of the one field that is no part of the export."""
    names = [name for name in task if name == "choice"] or [
        name for name, value in task.items() if name not in _NOT_CLASSES and not _is_place(value)
    ]
    if not names:
        return []
    value = task[names[0]]
    if isinstance(value, str) and value.startswith("{"):
        value = json.loads(value)
    if isinstance(value, dict):
        value = value.get("choices", [])
    return [text(label) for label in (value if isinstance(value, list) else [value]) if text(label)]


def _image(fields: dict[str, Any], file: Path, number: int) -> str:
    """Where the image of a task lies, as it was uploaded or served."""
    places = [value for name, value in fields.items() if name in ("image", "img", "video") or _is_place(value)]
    if not places:
        raise InputError(f"{escape(file)}, task {number}: no image among its fields, {some(list(fields), 10)}")
    url = urlsplit(str(places[0]))
    local = parse_qs(url.query).get("d")
    path = unquote(local[0] if local else url.path).lstrip("/")
    return path or str(places[0])


def _is_place(value: object) -> bool:
    return isinstance(value, str) and ("/data/" in value or "://" in value)


JSON = Format("Label Studio's export", _is_json, _read_json)
TABLE = Format("Label Studio's CSV", _is_table, _read_table)
