"""Boxes in Pascal VOC's format: an XML file for each image."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from xml.etree import ElementTree

from longtail.errors import InputError
from longtail.files.boxes.builder import Builder
from longtail.files.boxes.perfile import Content, FileSet
from longtail.messages import shown


@dataclass
class _Object:
    name: str
    place: str
    box: list[float]
    polygon: list[float] | None
    difficult: bool


class VOCSet(FileSet[_Object]):
    """XML files beside the images or in a folder of their own, with lists in ``ImageSets/Main`` or without.

    Pixels are counted from 1 and both corners of a box belong to it, as in the files of the challenge. What is marked
    as difficult counts neither as right nor as wrong, as there.
    """

    format: ClassVar[str] = "Pascal VOC's format"
    wanted: ClassVar[str] = "XML file with boxes"
    suffix: ClassVar[str] = ".xml"
    lists: ClassVar[str] = "ImageSets/Main"

    def parse(self, file: Path) -> Content[_Object] | None:
        try:
            top = ElementTree.parse(file).getroot()
        except (ElementTree.ParseError, OSError, LookupError, ValueError) as error:
            raise InputError(f"{shown(file)}: cannot be read as XML ({error}); repair or remove it") from error
        if top.tag != "annotation":
            return None
        image = Content[_Object](top.findtext("filename"))
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

    def add(self, builder: Builder, entry: _Object, place: str, label: int, size: tuple[int, int]) -> None:
        shape = None if entry.polygon is None else [entry.polygon]
        builder.add_object(place, label, entry.box, shape, entry.difficult)


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
