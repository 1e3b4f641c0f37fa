"""Boxes and shapes in CVAT's XML for images 1.1: one file for many images."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar
from xml.etree import ElementTree

import numpy as np

from longtail.errors import InputError
from longtail.files.boxes.base import BoxSet, Labelled
from longtail.files.boxes.builder import Builder
from longtail.files.boxes.coco import image_folders
from longtail.files.boxes.shapes import ellipse, run_lengths, turned
from longtail.files.coco.places import check_files, placed
from longtail.files.listing import in_class_order
from longtail.files.split_names import split_of
from longtail.messages import escape, plural

logger = logging.getLogger(__name__)

_NO_AREA = {"points": "point", "polyline": "line", "cuboid": "cuboid", "skeleton": "skeleton", "tag": "tag"}


@dataclass
class _Object:
    name: str
    place: str
    depth: float
    box: list[float] | None
    polygon: list[float] | None = None
    mask: tuple[int, int, Any] | None = None  # x, y, and which pixels from there on belong to it (h, w)


@dataclass
class _Image:
    name: str
    subset: str | None
    size: tuple[int, int]
    objects: list[_Object] = field(default_factory=list)
    bad: list[tuple[str, str]] = field(default_factory=list)


class CVATSet(BoxSet):
    """XML files in the folder, in ``annotations/`` or in a folder for each split, and the images that they name.

    The split of an image is its subset, where those are called by splits; or that of its file, where there are several
    and all are called by one. Boxes, polygons, ellipses and masks are objects, the upper ones last; points, lines,
    cuboids, skeletons and tags are left out and counted.
    """

    format: ClassVar[str] = "CVAT's XML"
    needs: ClassVar[str] = "annotations.xml of CVAT for images 1.1"

    def find(self, options: dict[str, Path]) -> dict[str, list[Path]]:
        self._images: dict[Path, list[_Image]] = {}
        places = {split: [file] for split, file in options.items()}
        if options:
            return places
        for folder in sorted(path for path in self.root.iterdir() if path.is_dir()):
            if (split := split_of(folder.name)) and (files := _files(folder)):
                places.setdefault(split, []).extend(files)
        files = [*_files(self.root), *_files(self.root / "annotations")]
        named = [split for file in files if (split := split_of(file.stem))]
        for number, file in enumerate(files):
            for split in [named[number]] if len(files) == len(named) > 1 else self._subsets(file):
                places.setdefault(split, []).append(file)
        return places

    def _subsets(self, file: Path) -> list[str]:
        """The splits of the images of a file; those of no split are for training, where no others are."""
        images = self._read(file)
        rest = [image for image in images if image.subset is None]
        if rest and any(image.subset == "train" for image in images):
            logger.info(f"{escape(file)}: left out {plural(len(rest), 'image')} of a subset that is no split")
        else:
            for image in rest:
                image.subset = "train"
        return sorted({image.subset for image in images if image.subset})

    @cached_property
    def classes(self) -> list[str]:
        """The names of the objects of all splits, sorted."""
        images = (image for split in self.places for image in self._of(split))
        return in_class_order(list({entry.name for image in images for entry in image.objects}))

    def read(self, split: str, masks: bool, skip_bad: bool) -> Labelled:
        file = self.places[split]
        builder = Builder(file, self.classes, masks)
        labels = {name: c for c, name in enumerate(self.classes)}
        for image in self._of(split):
            builder.add_image(image.name, *image.size)
            for place, reason in image.bad:
                builder.add_bad(f"{escape(image.name)}, {place}", reason)
            for entry in sorted(image.objects, key=lambda entry: entry.depth):
                shape = [entry.polygon] if entry.mask is None else run_lengths(*entry.mask, *image.size)
                place = f"{escape(image.name)}, {entry.place} ({escape(entry.name)})"
                builder.add_object(place, labels[entry.name], entry.box, None if shape == [None] else shape)
        annotations, folder = placed(builder.annotations(skip_bad), image_folders(self.root, file, split))
        return Labelled(annotations, folder, check_files(annotations, folder, skip_bad))

    def _of(self, split: str) -> list[_Image]:
        """The images of a split: of a file with subsets those of its own, else all."""
        images = self._read(self.places[split])
        return [image for image in images if image.subset == split] or images

    def _read(self, file: Path) -> list[_Image]:
        """The images of a file, which is parsed once; what has no area is told."""
        if file not in self._images:
            left_out: Counter[str] = Counter()
            self._images[file] = list(_parsed(file, left_out))
            if left_out:
                words = ", ".join(plural(count, noun) for noun, count in sorted(left_out.items()))
                logger.info(f"{escape(file)}: left out what has no area: {words}")
        return self._images[file]


def _files(folder: Path) -> list[Path]:
    """The XML files of CVAT right in a folder."""
    files = []
    for file in sorted(folder.glob("*.xml")) if folder.is_dir() else []:
        with file.open("rb") as stream:
            if file.name[0] != "." and b"<annotations" in stream.read(1000):
                files.append(file)
    return files


def _parsed(file: Path, left_out: Counter[str]) -> Iterator[_Image]:
    try:
        for _, element in ElementTree.iterparse(file):
            if element.tag == "track":
                problem = "has tracks, as of a video"
                raise InputError(f"{escape(file)}: {problem}; export it from CVAT as CVAT for images 1.1")
            if element.tag == "image":
                yield _image(file, element, left_out)
                element.clear()
    except (ElementTree.ParseError, OSError, LookupError) as error:
        raise InputError(f"{escape(file)}: cannot be read as XML ({error}); export it again") from error


def _image(file: Path, element: ElementTree.Element, left_out: Counter[str]) -> _Image:
    name = element.get("name", "")
    try:
        size = int(element.get("width", "")), int(element.get("height", ""))
    except ValueError as error:
        raise InputError(f"{escape(file)}, {escape(name)}: has no width and height; export it again") from error
    image = _Image(name, split_of(element.get("subset", "")), size)
    for number, entry in enumerate(element, start=1):
        place = f"object {number}"
        if entry.tag in _NO_AREA:
            left_out[_NO_AREA[entry.tag]] += 1
        elif entry.tag in _SHAPES:
            try:
                shape = _SHAPES[entry.tag](entry)
                depth = float(entry.get("z_order", "0"))
            except (ValueError, KeyError):
                image.bad.append((place, f"is no {entry.tag} as CVAT writes it"))
                continue
            image.objects.append(_Object(entry.get("label", ""), place, depth, *shape))
    return image


_Shape = tuple[list[float] | None, list[float] | None, tuple[int, int, Any] | None]


def _box(entry: ElementTree.Element) -> _Shape:
    x1, y1, x2, y2 = (float(entry.attrib[key]) for key in ("xtl", "ytl", "xbr", "ybr"))
    degrees = float(entry.get("rotation", "0"))
    if not degrees:
        return [x1, y1, x2 - x1, y2 - y1], None, None
    half = np.array([x2 - x1, y2 - y1]) / 2
    corners = half * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    return None, turned((x1 + x2) / 2, (y1 + y2) / 2, corners, degrees), None


def _polygon(entry: ElementTree.Element) -> _Shape:
    points = [float(value) for pair in entry.attrib["points"].split(";") for value in pair.split(",")]
    if len(points) < 6 or len(points) % 2:
        raise ValueError("fewer than three points")
    return None, points, None


def _ellipse(entry: ElementTree.Element) -> _Shape:
    x, y, rx, ry = (float(entry.attrib[key]) for key in ("cx", "cy", "rx", "ry"))
    return None, ellipse(x, y, rx, ry, float(entry.get("rotation", "0"))), None


def _mask(entry: ElementTree.Element) -> _Shape:
    """Run lengths of a part of the image row by row, the first of pixels that do not belong to the object."""
    x, y, width, height = (int(float(entry.attrib[key])) for key in ("left", "top", "width", "height"))
    runs = [int(run) for run in entry.attrib["rle"].split(",")]
    pixels = np.repeat(np.arange(len(runs)) % 2, runs).astype(np.uint8)
    return None, None, (x, y, pixels.reshape(height, width))


_SHAPES: dict[str, Callable[[ElementTree.Element], _Shape]] = {
    "box": _box,
    "polygon": _polygon,
    "ellipse": _ellipse,
    "mask": _mask,
}
