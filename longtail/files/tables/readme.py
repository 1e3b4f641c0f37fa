"""The head of a README.md, in YAML, by which Hugging Face's hub knows a set."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from longtail.plain import JSON

_HEAD = re.compile(r"---\s*\n(.*?)\n---\s*(\n|$)", re.DOTALL)


def head_of(folder: Path) -> dict[str, JSON]:
    """What the head of the README.md in a folder says; nothing where there is none, or it cannot be read."""
    file = folder / "README.md"
    try:
        match = _HEAD.match(file.read_text(encoding="utf-8-sig")) if file.is_file() else None
        content = yaml.safe_load(match[1]) if match else None
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}
