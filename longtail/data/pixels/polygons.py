"""Semantic segmentation of sets whose shapes are drawn as classes of pixels."""

import logging
from collections.abc import Mapping, Sequence
from functools import cached_property
from hashlib import sha256
from typing import Any, ClassVar

import numpy as np

from longtail.augment.pixels import IGNORED
from longtail.data.pixels.base import SegmentationData
from longtail.errors import InputError
from longtail.files.boxes.base import BoxSet, Labelled
from longtail.files.boxes.coco import COCOSet
from longtail.files.boxes.cvat import CVATSet
from longtail.files.boxes.labelme import BACKGROUND, LabelMePixels
from longtail.files.boxes.labelme import IGNORED as NOT_COUNTED
from longtail.files.boxes.tables import TableSet
from longtail.files.boxes.voc import VOCSet
from longtail.files.boxes.yolo import YOLOSet
from longtail.files.coco.annotations import Annotations
from longtail.files.formats.layouts import box_readers
from longtail.files.formats.readers import Reader
from longtail.files.images.passed_over import Why
from longtail.files.listing import IntArray
from longtail.files.pixels.labels import PixelLabels
from longtail.files.pixels.pairs import ByteArray, Pairs
from longtail.files.tables.groups import is_pattern
from longtail.plain import AnyPath

logger = logging.getLogger(__name__)

_READERS: Mapping[Reader, type[BoxSet]] = {
    Reader.COCO: COCOSet,
    Reader.YOLO: YOLOSet,
    Reader.PASCAL_VOC: VOCSet,
    Reader.LABELME: LabelMePixels,
    Reader.CVAT: CVATSet,
    Reader.BOX_TABLES: TableSet,
}
_BACKGROUNDS = (BACKGROUND, "background")


class ShapeLabels(PixelLabels):
    """Shapes, drawn over one another in the order of the file.

    Args:
        images: annotations and the row of each image in them, by its path.
        labels: that of each name of a class in the annotations.
        outside: the label of pixels in no shape.
    """

    def __init__(self, images: Mapping[str, tuple[Annotations, int]], labels: Mapping[str, int], outside: int) -> None:
        self._images, self._labels, self._outside = images, labels, outside
        digest = sha256(repr((sorted(labels.items()), outside)).encode())
        for annotations in {id(content): content for content, _ in images.values()}.values():
            assert annotations.segments is not None
            for values in (
                annotations.starts,
                annotations.labels,
                annotations.segments.points,
                annotations.segments.counts,
            ):
                digest.update(np.ascontiguousarray(values).tobytes())
        self.state = digest.hexdigest()

    def read(self, image: str, annotation: str) -> ByteArray:
        annotations, row = self._images[image]
        pixels = np.full(annotations.sizes[row].tolist(), self._outside, dtype=np.uint8)
        of_image = annotations.rows(row)
        for k in range(of_image.start, of_image.stop):
            label = IGNORED if annotations.crowd[k] else self._labels[annotations.classes[annotations.labels[k]]]
            pixels[annotations.mask(k) > 0] = label
        return pixels

    def fault(self, annotation: str) -> str:
        raise NotImplementedError("what is drawn is a class or ignored")

    def mapped(self, rows: IntArray) -> PixelLabels:
        def place(label: int) -> int:
            return label if label == IGNORED else int(rows[label])

        return ShapeLabels(self._images, {name: place(c) for name, c in self._labels.items()}, place(self._outside))


class PolygonFolder(SegmentationData):
    """Shapes in the format of COCO, LabelMe, YOLO, Pascal VOC or CVAT, drawn as classes of pixels when an image is
    read.

    What lies in no shape is of the class "background", which is added unless there is one of that name. LabelMe's
    ``__ignore__`` and crowds are ignored.

    Args:
        root: folder of the set.
        background: whether what lies in no shape is a class; otherwise it is ignored.
        kwargs: see ``SegmentationData``; ``skip_bad_images`` leaves out shapes that cannot be used too, and ``group``
            may be a field of the images in COCO's JSON or a column of tables.
    """

    short_name: ClassVar[str | None] = "polygons"
    needs: ClassVar[str] = "give --data FOLDER, or --data polygons --data.root FOLDER, with images and shapes"

    def __init__(self, root: AnyPath, background: bool = True, **kwargs: Any) -> None:  # the options of the base class
        super().__init__(root, **kwargs)
        self.background = background

    @cached_property
    def files(self) -> BoxSet:
        """The set as it lies in its folder."""
        layouts = box_readers(self.root)
        if len(layouts) != 1:
            words = " and ".join(layout.words for layout in layouts.values()) or "no shapes in a known format"
            raise InputError(f"{self.source} holds {words}: give a folder with one format")
        (reader,) = layouts
        files = _READERS[reader](self.root, {})
        if "train" not in files.places and (self.trained is None or self.recall is not None):
            raise InputError(f"{self.source} has no {files.needs}: give a folder with training images")
        logger.info(f"{self.source}: {files.where()}; its shapes are drawn")
        return files

    @cached_property
    def shapes(self) -> dict[str, Labelled]:
        """The shapes of each split."""
        try:
            return {split: self.files.read(split, True, self.skip_bad_images) for split in self.files.places}
        except InputError as error:
            way_out = str(error).replace(
                "--data.skip_bad_annotations true", "--skip-bad-images"
            )  # as it is called here
            raise InputError(way_out) from error

    def read_classes(self) -> list[str]:
        names: dict[str, None] = {}
        for shapes in self.shapes.values():
            names |= dict.fromkeys(shapes.annotations.classes)
        names.pop(NOT_COUNTED, None)
        has_own = any(name in names for name in _BACKGROUNDS)
        return ["background", *names] if self.background and not has_own else list(names)

    def reader(self, classes: Sequence[str]) -> PixelLabels:
        labels = {name: c for c, name in enumerate(classes)}
        outside = next((labels[name] for name in _BACKGROUNDS if name in labels), IGNORED)
        images = {
            str(shapes.folder / shapes.annotations.file_names[row]): (shapes.annotations, row)
            for shapes in self.shapes.values()
            for row in shapes.rows.tolist()
        }
        return ShapeLabels(images, {NOT_COUNTED: IGNORED} | labels, outside if self.background else IGNORED)

    def groups(self, images: Sequence[str], group: str) -> list[str]:
        """As in the base, or of each image a field of its annotations, where the format has such."""
        fields: dict[str, str] = {}
        for split, (annotations, folder, _) in self.shapes.items() if not is_pattern(group) else ():
            values = self.files.groups(split, group)
            if values is None:
                break
            fields |= {str(folder / name): value for name, value in zip(annotations.file_names, values, strict=True)}
        return [fields[image] for image in images] if fields else super().groups(images, group)

    def find(self) -> dict[str, Pairs]:
        pairs = {}
        for split, (annotations, folder, rows) in self.shapes.items():
            self.leave_out(annotations.bad, f"{split} annotation", "that cannot be used", Why.FAULTY)
            self.leave_out(len(annotations) - len(rows), f"{split} image", "that is not there", Why.GONE)
            images = [str(folder / annotations.file_names[row]) for row in rows.tolist()]
            pairs[split] = Pairs(images, [str(self.files.places[split])] * len(images), [])
        return pairs
