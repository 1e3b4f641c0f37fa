"""Boxes and polygons in YOLO's format: a text file for each image."""

# ruff: noqa: PTH113, PTH119, PTH120, PTH122 - paths are plain strings: objects are slow in their thousands

import logging
import os
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

import numpy as np

from longtail.files.boxes.base import BoxSet, Labelled
from longtail.files.boxes.builder import Builder, image_size
from longtail.files.boxes.pairs import by_stem, files_below, read_lines
from longtail.files.boxes.yolo_names import Names, find_names
from longtail.files.boxes.yolo_splits import find_splits, images_in
from longtail.messages import escape, plural

logger = logging.getLogger(__name__)

_FAR = 1.5  # of the width or height; farther out it is a number of pixels


class YOLOSet(BoxSet):
    """Text files with a line for each object: class, then box or polygon, as parts of the width and the height.

    They lie beside the images, or in ``labels/`` for images in ``images/``. Names and splits are those of data.yaml
    where there is one. An image without a text file, or with an empty one, shows no object.
    """

    format: ClassVar[str] = "YOLO's format"
    needs: ClassVar[str] = "training images: neither in data.yaml nor in a folder"

    def find(self, options: dict[str, Path]) -> dict[str, list[Path]]:
        self.names: Names = find_names(self.root)
        self.images = find_splits(self.root, self.names) if "train" not in options else {}
        self.images |= {split: [place] for split, place in options.items()}
        return {split: [places[0]] for split, places in self.images.items()}

    def where(self) -> str:
        names = (
            f"names of {escape(self._short(self.names.file))}"
            if self.names.file
            else "no names, so classes are numbers"
        )
        return f"{super().where()}; {names}"

    def read(self, split: str, masks: bool, skip_bad: bool) -> Labelled:
        paths = [path for place in self.images[split] for path in images_in(place, self.root)]
        top = Path(os.path.commonpath(paths)) if paths else self.root
        by_stem(paths, top)
        builder = Builder(self.places[split], self._classes, masks)
        without = 0
        for path in paths:
            width, height = image_size(path)
            builder.add_image(os.path.relpath(path, self.root), width, height)
            labels = labels_of(path)
            if os.path.isfile(labels):
                self._add(builder, labels, width, height)
            else:
                without += 1
        if without:
            logger.info(f"{plural(without, f'{split} image')} without a text file: counted as without an object")
        for path in self._alone(paths):
            builder.add_bad(escape(os.path.relpath(path, self.root)), "has no image of its name")
        annotations = builder.annotations(skip_bad)
        return Labelled(annotations, self.root, np.arange(len(annotations)))

    @property
    def _classes(self) -> list[str]:
        """The names; where there are none, the numbers up to the largest in any file."""
        if not self.names.classes:
            numbers = [-1]
            for places in self.images.values():
                for labels in {labels_of(path) for place in places for path in images_in(place, self.root)}:
                    lines = read_lines(Path(labels)) if os.path.isfile(labels) else []
                    numbers += [int(first) for line in lines if (first := line.split()[0]).isdigit()]
            self.names.classes = [str(number) for number in range(min(max(numbers), 10_000) + 1)]
        return self.names.classes

    def _add(self, builder: Builder, file: str, width: int, height: int) -> None:
        """The objects of a text file."""
        short = escape(os.path.relpath(file, self.root))
        for number, line in enumerate(read_lines(Path(file)), start=1):
            place = f"{short}, line {number}"
            try:
                label, *values = map(float, line.split())
            except ValueError:
                builder.add_bad(place, f"is not a class and numbers: {escape(line[:40])}")
                continue
            if self.names.poses:
                values = values[:4]
            if label != label // 1 or not 0 <= label < len(self._classes):
                builder.add_bad(
                    place, f"has class {label:g}, and there are {plural(len(self._classes), 'name')}, from 0 on"
                )
            elif len(values) != 4 and (len(values) < 6 or len(values) % 2):
                builder.add_bad(
                    place, f"has {plural(len(values), 'number')} after its class: 4 are a box, 6, 8, ... a polygon"
                )
            elif not all(abs(value) < _FAR for value in values):
                builder.add_bad(place, "has numbers beyond 0 to 1: they are parts of the width and height, not pixels")
            elif len(values) == 4:
                x, y, w, h = (value * side for value, side in zip(values, (width, height) * 2, strict=True))
                builder.add_object(place, int(label), [x - w / 2, y - h / 2, w, h])
            else:
                points = (np.array(values).reshape(-1, 2) * (width, height)).ravel().tolist()
                builder.add_object(place, int(label), None, [points])

    def _alone(self, paths: list[str]) -> list[str]:
        """Text files with objects for which there is no image."""
        used = {labels_of(path) for path in paths}
        folders = {os.path.dirname(path) for path in used}
        files = [
            file
            for folder in sorted(folders)
            if Path(folder).is_dir()
            for file in files_below(Path(folder), {".txt"}, deep=False)
        ]
        return [file for file in files if file not in used and _is_labels(file)]


def labels_of(image: str) -> str:
    """The text file of an image: below ``labels/`` in the place of the last ``images/`` of its path, or beside it; also
    one that is called as in an address, where Label Studio writes %C3%A4 for a letter."""
    top, slash, rest = image.rpartition(f"{os.sep}images{os.sep}")
    beside = f"{os.path.splitext(image)[0]}.txt"
    apart = os.path.splitext(f"{top}{os.sep}labels{os.sep}{rest}")[0] + ".txt" if slash else beside
    quoted = [f"{os.path.dirname(place)}{os.sep}{quote(os.path.basename(place))}" for place in (apart, beside)]
    return next((place for place in (apart, beside, *quoted) if os.path.isfile(place)), apart)


def _is_labels(file: str) -> bool:
    """Whether the first line of a text file is that of an object."""
    words = next(iter(read_lines(Path(file))), "").split()
    try:
        return len([float(word) for word in words]) >= 5
    except ValueError:
        return False
