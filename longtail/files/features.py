"""What Hugging Face's ``datasets`` writes about columns: which have images, and what their classes are called."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class Features:
    """What a set says of its columns, as Hugging Face's ``datasets`` writes it.

    Attributes:
        images: the columns of images or videos.
        classes: the names of the classes of a column of class numbers.
    """

    images: list[str] = field(default_factory=list)
    classes: dict[str, list[str]] = field(default_factory=dict)


def features_of(file: Path, schema: Any) -> Features:  # of pyarrow
    """What the schema of a file says of its columns, or else ``dataset_info.json`` beside it, or the head of a
    ``README.md`` beside it or above."""
    of_schema = (schema.metadata or {}).get(b"huggingface", b"")
    places = [file.parent, file.parent.parent]
    return (
        _of_json(of_schema.decode("utf-8", "replace"), "info")
        or _of_json(_text(file.parent / "dataset_info.json"))
        or next(
            (known for place in places if (known := _of_readme(_text(place / "README.md"), file.parent.name))), None
        )
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
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return Features(images, classes)


def _kind(about: Any) -> object:  # JSON
    return about.get("_type") if isinstance(about, dict) else None


def _of_readme(text: str, config: str) -> Features | None:
    head = re.match(r"---\s*\n(.*?)\n---\s*(\n|$)", text, re.DOTALL)
    try:
        about = (yaml.safe_load(head[1]) if head else {})["dataset_info"]
        if isinstance(about, list):  # one for each configuration
            about = next((its for its in about if its.get("config_name") == config), about[0])
        features = {entry["name"]: entry["dtype"] for entry in about["features"] if "dtype" in entry}
        images = [name for name, kind in features.items() if kind in ("image", "video")]
        classes = {
            name: [str(names[key]) for key in sorted(names, key=int)]
            for name, kind in features.items()
            if isinstance(kind, dict) and (names := (kind.get("class_label") or {}).get("names"))
        }
    except (yaml.YAMLError, KeyError, TypeError, ValueError, IndexError, AttributeError):
        return None
    return Features(images, classes)
