"""FiftyOneImageClassificationDataset: ``labels.json`` beside ``data/``."""

from __future__ import annotations

from pathlib import Path

from longtail.errors import InputError
from longtail.files.formats.base import Format, load, start
from longtail.files.tables.labels import Rows, text
from longtail.messages import escape
from longtail.plain import JSON


def _is_file(file: Path) -> bool:
    head = start(file).lstrip()
    return head.startswith("{") and '"labels"' in head and '"classes"' in head and '"images"' not in head


def _read(file: Path, group: str | None) -> Rows:
    content = load(file)
    classes, labels = content.get("classes"), content.get("labels")
    if not isinstance(labels, dict) or not (classes is None or isinstance(classes, list)):
        raise InputError(f'{escape(file)}: wants "labels" of each image by its name; export it from FiftyOne again')
    own = [_label(file, number, name, value, classes) for number, (name, value) in enumerate(labels.items(), start=1)]
    names = None if classes is None else [str(name) for name in classes]
    return Rows(file, list(labels), own, range(1, len(labels) + 1), "image", classes=names, several=True)


def _label(file: Path, number: int, name: str, value: JSON, classes: list[JSON] | None) -> str:
    if isinstance(value, dict):  # with its confidence or its attributes
        value = value.get("label")
    if classes is None or value is None or value in classes:
        return text(value)
    if not isinstance(value, int) or not 0 <= value < len(classes):
        raise InputError(
            f"{escape(file)}, image {number}: {escape(name)} has the class {escape(value)}, there are {len(classes)}"
        )
    return str(classes[value])


FIFTYONE = Format("FiftyOne's export", _is_file, _read)
