"""Shapes as LabelMe writes them: a JSON file for each image."""

import base64
import binascii
import io
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from longtail.errors import InputError
from longtail.files.boxes.builder import Builder
from longtail.files.boxes.perfile import Content, FileSet
from longtail.files.boxes.shapes import ellipse, run_lengths
from longtail.messages import escape, plural
from longtail.plain import JSON

BACKGROUND, IGNORED = "_background_", "__ignore__"  # what LabelMe calls what is no object, and what does not count


@dataclass
class _Shape:
    name: str
    place: str
    polygons: list[list[float]]
    mask: tuple[int, int, Any] | None = None  # x, y, and which pixels from there on belong to it (h, w)


class LabelMeSet(FileSet[_Shape]):
    """JSON files beside the images or in a folder of their own.

    Polygons, rectangles, turned or not, circles and masks are shapes of objects; polygons of one group and one name are
    one object. Lines and points have no area and count as bad.
    """

    format: ClassVar[str] = "LabelMe's format"
    needs: ClassVar[str] = "JSON file of LabelMe"
    suffix: ClassVar[str] = ".json"
    ignored: ClassVar[frozenset[str]] = frozenset({BACKGROUND, IGNORED})

    def parse(self, file: Path) -> Content[_Shape] | None:
        try:
            content = json.loads(file.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"{escape(file)}: cannot be read as JSON ({error}); repair or remove it") from error
        if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
            return None
        name, width, height = (content.get(key) for key in ("imagePath", "imageWidth", "imageHeight"))
        image = Content[_Shape](name if isinstance(name, str) else None)
        if isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0:
            image.size = (width, height)
        groups: dict[tuple[str, Any], _Shape] = {}
        for number, entry in enumerate(content["shapes"], start=1):
            place = f"shape {number}"
            try:
                shape = _shape(entry, place)
            except (KeyError, TypeError, ValueError, AttributeError, OSError, binascii.Error) as error:
                image.bad.append((place, str(error) if type(error) is ValueError else "is not as LabelMe writes them"))
                continue
            group = entry.get("group_id")
            key = (shape.name, number if group is None or shape.mask is not None else ("group", group))
            if key in groups:
                groups[key].polygons += shape.polygons
            else:
                groups[key] = shape
        image.objects = list(groups.values())
        return image

    def add(self, builder: Builder, entry: _Shape, place: str, label: int, size: tuple[int, int]) -> None:
        outline = entry.polygons if entry.mask is None else run_lengths(*entry.mask, *size)
        builder.add_object(place, label, None, outline)


class LabelMePixels(LabelMeSet):
    """The same with what is no object, for what is drawn as classes of pixels."""

    ignored: ClassVar[frozenset[str]] = frozenset()


def _shape(entry: JSON, place: str) -> _Shape:
    """A shape as polygons or a mask; a ``ValueError`` says what is wrong with it."""
    name, kind = entry["label"], entry.get("shape_type") or "polygon"
    points = np.array(entry["points"], dtype=np.float64).reshape(-1, 2)
    if not isinstance(name, str) or not name:
        raise ValueError("has no label")
    if kind in ("polygon", "oriented_rectangle"):
        if len(points) < 3:
            raise ValueError(f"has a polygon of {plural(len(points), 'point')}")
        return _Shape(name, place, [points.ravel().tolist()])
    if kind in ("rectangle", "circle", "mask") and len(points) < 2:
        raise ValueError(f"has a {kind} of {plural(len(points), 'point')}, and two are needed")
    if kind == "rectangle":
        (x1, y1), (x2, y2) = points.min(0), points.max(0)
        return _Shape(name, place, [[x1, y1, x2, y1, x2, y2, x1, y2]])
    if kind == "circle":
        radius = math.dist(*points[:2].tolist())
        return _Shape(name, place, [ellipse(points[0, 0], points[0, 1], radius, radius)])
    if kind == "mask":
        with Image.open(io.BytesIO(base64.b64decode(entry["mask"]))) as mask:
            pixels = np.asarray(mask) > 0
        x, y = points.min(0).round().astype(int).tolist()
        return _Shape(name, place, [], (x, y, pixels))
    raise ValueError(f"is a {escape(kind)}, which has no area")
