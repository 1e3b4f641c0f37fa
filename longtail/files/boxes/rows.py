"""The objects in a row of a table."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from longtail.files.tables.labels import text
from longtail.files.tables.objects import Objects
from longtail.messages import escape


@dataclass(slots=True)
class RowObject:
    """An object: where it stands in its row, its box as it is written there, its class, and what else is known."""

    place: str
    numbers: list[float]
    label: object
    area: float | None
    crowd: bool
    shape: Any  # of a table, checked by the builder


@dataclass(slots=True)
class RowImage:
    """A row of a table: where it stands there, from 0 and for people, and the path of its image and its size."""

    file: Path
    at: int
    row: int
    path: str | None
    size: tuple[int, int] = (0, 0)
    objects: list[RowObject] = field(default_factory=list)
    bad: list[tuple[str, str]] = field(default_factory=list)


def add_objects(image: RowImage, value: Any, objects: Objects) -> None:  # of a table, checked here
    """Add the objects in a row to its image: those of a structure of lists, or of a list of structures."""
    if value is None:
        return
    if isinstance(value, dict):
        names = [name for name in objects[1:] if name is not None]
        lists = {name: list(its) for name in names if isinstance(its := value.get(name), (list, tuple))}
        counts = {name: len(its) for name, its in lists.items()}
        if not counts:
            return
        if len(set(counts.values())) > 1 or not {objects.box, objects.label} <= counts.keys():
            words = ", ".join(f"{counts.get(name, 0)} of {escape(name)}" for name in names)
            image.bad.append(("", f"has lists of several lengths: {words}"))
            return
        value = [dict(zip(lists, parts, strict=True)) for parts in zip(*lists.values(), strict=True)]
    if not isinstance(value, list):
        image.bad.append(("", f"has {escape(value)} in the place of objects"))
        return
    for number, entry in enumerate(value, start=1):
        place = f"object {number}"
        entry = entry if isinstance(entry, dict) else {}
        numbers, label = _four_numbers(entry.get(objects.box)), entry.get(objects.label)
        if numbers is None:
            image.bad.append((f", {place}", f"has a {escape(objects.box)} that is not four numbers"))
        elif text(label) == "":
            image.bad.append((f", {place}", "has no class"))
        else:
            area, crowd, shape = (entry.get(name) if name else None for name in objects[3:])
            shape = [shape] if isinstance(shape, list) and shape and not isinstance(shape[0], list) else shape
            image.objects.append(RowObject(place, numbers, label, area, bool(crowd), shape))


def _four_numbers(value: Any) -> list[float] | None:  # of a table, checked here
    """The numbers of a box; None where they are not four."""
    try:
        numbers = [float(number) for number in value]
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) == 4 else None
