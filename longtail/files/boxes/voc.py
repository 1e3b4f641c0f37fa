"""Boxes in Pascal VOC's format: an XML file for each image."""

import logging
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import ClassVar
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from longtail.errors import InputError
from longtail.files.boxes.base import Labelled
from longtail.files.boxes.builder import Builder
from longtail.files.boxes.perfile import Content, FileSet
from longtail.files.boxes.shapes import run_lengths
from longtail.files.images.palette import pascal_indices
from longtail.messages import escape, plural
from longtail.plain import JSON

logger = logging.getLogger(__name__)


_MASKS = "SegmentationObject"  # the folder of PNGs whose values number the objects of an image


@dataclass
class _Object:
    name: str
    place: str
    corners: tuple[float, float, float, float]
    polygon: list[float] | None
    difficult: bool
    masks: Path
    number: int


class VOCSet(FileSet[_Object]):
    """XML files beside the images or in a folder of their own, with lists in ``ImageSets/Main`` or without.

    Pixels are counted from 1 and both corners of a box belong to it, as in the files of the challenge; or from 0 where
    a corner of the set is at 0, as many tools write them. What is marked as difficult counts neither as right nor as
    wrong, as in the challenge. Where masks are wanted and ``SegmentationObject`` is there, an object has the pixels of
    its number, or of its colour in Pascal VOC's palette, and images without such a PNG are left out.
    """

    format: ClassVar[str] = "Pascal VOC's format"
    needs: ClassVar[str] = "XML file with boxes"
    suffix: ClassVar[str] = ".xml"
    lists: ClassVar[str] = "ImageSets/Main"

    def parse(self, file: Path) -> Content[_Object] | None:
        try:
            top = ElementTree.parse(file).getroot()
        except (ElementTree.ParseError, OSError, LookupError, ValueError) as error:
            raise InputError(f"{escape(file)}: cannot be read as XML ({error}); repair or remove it") from error
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
                difficult = (element.findtext("difficult") or "").strip() == "1"
                polygon = _polygon(element.find("polygon"))
                corners = (x1, y1, x2, y2)
                image.objects.append(_Object(name, place, corners, polygon, difficult, self._masks(file), number))
        return image

    @cached_property
    def _first(self) -> int:
        """The number of the first pixel of a row: 1, or 0 where a box of the set begins before 1."""
        contents = [its for files in self.contents.values() for its in files.values() if not isinstance(its, str)]
        return int(all(min(entry.corners) >= 1 for content in contents for entry in content.objects))

    def _masks(self, file: Path | str) -> Path:
        *folders, name = Path(file).relative_to(self.root).parts
        return Path(self.root, _MASKS, *folders[1:], f"{Path(name).stem}.png")

    def read(self, split: str, masks: bool, skip_bad: bool) -> Labelled:
        if masks and (self.root / _MASKS).is_dir():
            there = {file: its for file, its in self.contents[split].items() if self._masks(file).is_file()}
            if not there:
                raise InputError(f"{escape(self.root / _MASKS)} has no PNG for an image of {split}: add some")
            lost = plural(len(self.contents[split]) - len(there), "image")
            logger.info(f"{split}: masks are those of {_MASKS}/, left out {lost} without")
            self.contents[split] = there
        return super().read(split, masks, skip_bad)

    def add(self, builder: Builder, entry: _Object, place: str, label: int, size: tuple[int, int]) -> None:
        shape: JSON = None if entry.polygon is None else [entry.polygon]
        if shape is None and builder.has_masks and entry.masks.is_file():
            pixels = _values(entry.masks, size) == entry.number
            shape = run_lengths(0, 0, pixels, *size) if pixels.any() else None
        x1, y1, x2, y2 = entry.corners
        x, y = x1 - self._first, y1 - self._first
        builder.add_object(place, label, [x, y, x2 - x, y2 - y], shape, entry.difficult)


@lru_cache(maxsize=1)  # of the image whose objects are added
def _values(file: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    """The values of the pixels of a PNG; of colours their places in Pascal VOC's palette, 0 where they have none.

    Raises:
        InputError: if it cannot be read, or is of another size than its image.
    """
    try:
        with Image.open(file, formats=["PNG"]) as image:
            values = pascal_indices(np.array(image)) if image.mode == "RGB" else np.array(image)
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{escape(file)}: cannot be read as a PNG ({error}); repair or remove it") from error
    if values.shape != (size[1], size[0]):
        raise InputError(f"{escape(file)}: is no PNG of {size[0]} x {size[1]} values, one for each pixel; correct it")
    return values


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
