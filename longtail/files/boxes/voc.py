"""Boxes in Pascal VOC's format: an XML file for each image."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar
from xml.etree import ElementTree

from longtail.errors import InputError
from longtail.files.boxes.builder import Builder, image_size
from longtail.files.boxes.perfile import FileSet
from longtail.messages import shown


@dataclass
class _Object:
    name: str
    place: str
    box: list[float]
    polygon: list[float] | None
    difficult: bool


@dataclass
class _Image:
    """What an XML file says."""

    file_name: str | None = None
    size: tuple[int, int] | None = None
    objects: list[_Object] = field(default_factory=list)
    bad: list[tuple[str, str]] = field(default_factory=list)  # which object, and what is wrong with it


class VOCSet(FileSet[_Image]):
    """XML files beside the images or in a folder of their own, with lists in ``ImageSets/Main`` or without.

    Pixels are counted from 1 and both corners of a box belong to it, as in the files of the challenge. What is marked
    as difficult counts neither as right nor as wrong, as there.
    """

    format: ClassVar[str] = "Pascal VOC's format"
    wanted: ClassVar[str] = "XML file with boxes"
    suffix: ClassVar[str] = ".xml"
    lists: ClassVar[str] = "ImageSets/Main"

    def parse(self, file: Path) -> _Image | None:
        try:
            top = ElementTree.parse(file).getroot()
        except (ElementTree.ParseError, OSError, LookupError, ValueError) as error:
            raise InputError(f"{shown(file)}: cannot be read as XML ({error}); repair or remove it") from error
        if top.tag != "annotation":
            return None
        image = _Image(top.findtext("filename"))
        width, height = (_number(top.find("size"), name) for name in ("width", "height"))
        image.size = (round(width), round(height)) if width > 0 and height > 0 else None
        for number, element in enumerate(top.iter("object"), start=1):
            name = (element.findtext("name") or "").strip()
            x1, y1, x2, y2 = (_number(element.find("bndbox"), key) for key in ("xmin", "ymin", "xmax", "ymax"))
            place = f"object {number}"
            if not name:
                image.bad.append((place, "has no name"))
            elif any(value != value for value in (x1, y1, x2, y2)):
                image.bad.append((place, "has no bndbox of four numbers"))
            else:
                x, y = (low - 1 if low >= 1 else low for low in (x1, y1))
                box = [x, y, x2 - x, y2 - y]
                difficult = (element.findtext("difficult") or "").strip() == "1"
                image.objects.append(_Object(name, place, box, _polygon(element.find("polygon")), difficult))
        return image

    def names(self, content: _Image) -> Iterator[str]:
        return (each.name for each in content.objects)

    def file_name(self, content: _Image) -> str | None:
        return content.file_name

    def add(self, builder: Builder, file: str, content: _Image, path: str, labels: dict[str, int]) -> None:
        width, height = content.size or image_size(path)
        builder.add_image(os.path.relpath(path, self.root), width, height)
        for place, reason in content.bad:
            builder.add_bad(f"{file}, {place}", reason)
        for each in content.objects:
            shape = None if each.polygon is None else [each.polygon]
            place = f"{file}, {each.place} ({shown(each.name)})"
            builder.add_object(place, labels[each.name], each.box, shape, each.difficult)


def _number(element: ElementTree.Element | None, name: str) -> float:
    """The number in a part of an element; NaN where there is none."""
    try:
        return float((None if element is None else element.findtext(name)) or "nan")
    except ValueError:
        return float("nan")


def _polygon(element: ElementTree.Element | None) -> list[float] | None:
    """The points x1, y1, x2, y2, ... as Roboflow writes them."""
    if element is None:
        return None
    points: list[float] = []
    while (x := _number(element, f"x{len(points) // 2 + 1}")) == x:
        points += [x, _number(element, f"y{len(points) // 2 + 1}")]
    return points
