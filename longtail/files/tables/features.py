"""What Hugging Face's ``datasets`` writes about columns: which have images, and what their classes are called."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from longtail.files.tables.readme import head_of
from longtail.plain import JSON


@dataclass(frozen=True)
class Features:
    """What a set says of its columns, as Hugging Face's ``datasets`` writes it.

    Attributes:
        images: the columns of images or videos.
        classes: the names of the classes of a column of class numbers.
        inner: the same of class numbers in lists and structures, by the column and the field, ``objects.category``.
    """

    images: list[str] = field(default_factory=list)
    classes: dict[str, list[str]] = field(default_factory=dict)
    inner: dict[str, list[str]] = field(default_factory=dict)


def features_of(file: Path, schema: Any, configuration: str = "") -> Features:  # of pyarrow
    """What the schema of a file says of its columns, or else ``dataset_info.json`` beside it, or the head of a
    ``README.md`` beside it or above: there of the configuration, where the set has several."""
    of_schema = (getattr(schema, "metadata", None) or {}).get(b"huggingface", b"")
    names = [name for name in (configuration, *(folder.name for folder in file.parents[:2])) if name]
    return (
        _of_json(of_schema.decode("utf-8", "replace"), "info")
        or _of_json(_text(file.parent / "dataset_info.json"))
        or next((known for place in file.parents[:3] if (known := _of_readme(head_of(place), names))), None)
        or Features()
    )


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8") if file.is_file() else ""
    except (OSError, ValueError):
        return ""


def _of_json(text: str, *keys: str) -> Features | None:
    try:
        content = json.loads(text)
        for key in (*keys, "features"):
            content = content[key]
        images = [name for name, about in content.items() if _kind(about) in ("Image", "Video")]
        classes = {name: list(about["names"]) for name, about in content.items() if _kind(about) == "ClassLabel"}
        inner = {place: names for place, names in _class_labels(content) if place not in classes}
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return Features(images, classes, inner)


def _kind(about: JSON) -> object:
    return about.get("_type") if isinstance(about, dict) else None


def _class_labels(about: JSON, place: str = "") -> Iterator[tuple[str, list[str]]]:
    """The names of the classes in a column and in what it is made of."""
    if _kind(about) == "ClassLabel":
        yield place, list(about["names"])
    elif isinstance(about, dict) and "feature" in about and "_type" in about:  # a list, whatever it is called
        yield from _class_labels(about["feature"], place)
    elif isinstance(about, list):  # as old versions write lists of one thing
        for part in about:
            yield from _class_labels(part, place)
    elif isinstance(about, dict):
        for name, part in about.items():
            yield from _class_labels(part, f"{place}.{name}" if place else name)


def _of_readme(head: dict[str, JSON], names: list[str]) -> Features | None:
    try:
        about = head["dataset_info"]
        if isinstance(about, list):  # one for each configuration
            named = {its.get("config_name"): its for its in reversed(about)}
            about = next((named[name] for name in names if name in named), about[0])
        kinds = {entry["name"]: entry.get("dtype") for entry in about["features"]}
        images = [name for name, kind in kinds.items() if kind in ("image", "video")]
        labels = dict(_yaml_labels(about["features"]))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        return None
    classes = {name: labels[name] for name, kind in kinds.items() if name in labels and isinstance(kind, dict)}
    return Features(images, classes, {place: its for place, its in labels.items() if place not in classes})


def _yaml_labels(about: JSON, place: str = "") -> Iterator[tuple[str, list[str]]]:
    """The same as ``_class_labels`` in the form that README.md has."""
    if isinstance(about, list):
        for entry in about:
            own = f"{place}.{entry['name']}" if place else entry["name"]
            yield from _yaml_labels({key: part for key, part in entry.items() if key != "name"}, own)
    elif isinstance(about, dict) and "class_label" in about:
        names = about["class_label"]["names"]
        yield place, [str(names[key]) for key in sorted(names, key=int)]
    elif isinstance(about, dict):
        for key in ("dtype", "list", "sequence", "struct"):
            yield from _yaml_labels(about.get(key), place)
