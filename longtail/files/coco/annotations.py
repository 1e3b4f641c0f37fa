"""Annotations in JSON of COCO format, as arrays: instances of COCO, and LVIS v1."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longtail.errors import InputError
from longtail.files.coco.cache import cached, mapped
from longtail.files.coco.reader import Content
from longtail.files.coco.results import codec
from longtail.files.coco.segments import Rle, Segments
from longtail.files.listing import IntArray, class_rows
from longtail.messages import escape, plural, some
from longtail.plain import JSON

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Ragged:
    """Lists of whole numbers in one array: list i is ``values[starts[i] : starts[i + 1]]``.

    Attributes:
        values: all numbers, int64.
        starts: (N + 1,) int64.
    """

    values: IntArray
    starts: IntArray

    def __getitem__(self, i: int) -> IntArray:
        return self.values[self.starts[i] : self.starts[i + 1]]

    def mapped(self, numbers: IntArray) -> Ragged:
        """The lists with ``numbers[v]`` in the place of v, less those that are negative."""
        values = numbers[self.values]
        ends = np.concatenate([[0], np.cumsum(values >= 0)])
        return Ragged(values[values >= 0], ends[self.starts])


@dataclass(frozen=True, eq=False)
class Annotations:
    """Annotations of images: N images, M annotations ordered by image, C classes. The arrays are read-only.

    Attributes:
        file: the JSON file.
        classes: C names, in the order of ``category_ids``.
        category_ids: (C,) int64, ascending.
        frequencies: "r", "c" or "f" of each class; None where the file has none.
        image_ids: (N,) int64, in the order of the file.
        file_names: N paths, relative to the folder of the images.
        sizes: (N, 2) int32, height and width in pixels.
        starts: (N + 1,) int64: the annotations of image i are ``starts[i]`` to ``starts[i + 1] - 1``.
        ids: (M,) int64, of the annotations in the file.
        images: (M,) int64, the image of every annotation, in 0..N-1, ascending; within one in the order of the file.
        labels: (M,) int64, its class index, in 0..C-1.
        boxes: (M, 4) float32, x1, y1, x2, y2 in pixels, clipped to the image.
        xywh: (M, 4) float64, the box as in the file: x, y, width, height.
        areas: (M,) float64, in square pixels: that of the file, or of the box where there is none.
        crowd: (M,) bool, whether it stands for a group of objects.
        federated: whether the file tells what is absent from an image, as LVIS does.
        absent, incomplete: see ``negatives`` and ``not_exhaustive``.
        segments: the shapes; None where they were not read.
        cache: the folder that the arrays are mapped from; None where they are in memory.
        bad: annotations of the file that cannot be used and were left out.
    """

    file: Path
    classes: list[str]
    category_ids: IntArray
    frequencies: list[str] | None
    image_ids: IntArray
    file_names: list[str]
    sizes: NDArray[np.int32]
    starts: IntArray
    ids: IntArray
    images: IntArray
    labels: IntArray
    boxes: NDArray[np.float32]
    xywh: NDArray[np.float64]
    areas: NDArray[np.float64]
    crowd: NDArray[np.bool_]
    federated: bool
    absent: Ragged
    incomplete: Ragged
    segments: Segments | None
    cache: Path | None
    bad: int

    def __len__(self) -> int:
        """Number of images."""
        return len(self.image_ids)

    def __reduce__(self) -> str | tuple[object, ...]:
        """Worker processes map the arrays anew, in place of a copy for each."""
        return super().__reduce__() if self.cache is None else (_reopened, (self.file, self.cache))

    def of_classes(self, classes: list[str], category_ids: Sequence[int]) -> Annotations:
        """The same in the C classes of a run and their ids: classes are matched by name.

        Raises:
            InputError: an annotation is of another class.
        """
        present = np.unique(self.labels)
        rows = np.full(len(self.classes), -1, dtype=np.int64)
        rows[present] = class_rows(self.file, [self.classes[c] for c in present], classes)
        known = {name: c for c, name in enumerate(classes)}
        for c, name in enumerate(self.classes):
            rows[c] = known.get(name, -1)
        return replace(
            self,
            classes=classes,
            category_ids=np.array(category_ids, dtype=np.int64),
            frequencies=None,
            labels=rows[self.labels],
            absent=self.absent.mapped(rows),
            incomplete=self.incomplete.mapped(rows),
            cache=None,
        )

    def rows(self, image: int) -> slice:
        """The annotations of an image."""
        return slice(int(self.starts[image]), int(self.starts[image + 1]))

    def negatives(self, image: int) -> IntArray:
        """Class indices that are known to be absent from an image (any number), in the order of the file."""
        return self.absent[image]

    def not_exhaustive(self, image: int) -> IntArray:
        """Class indices of which an image may hold more than is annotated (any number), in the order of the file."""
        return self.incomplete[image]

    def rle(self, k: int) -> Rle:
        """The shape of annotation ``k`` as compressed run lengths: "size" [height, width] and "counts", bytes.

        Raises:
            ValueError: the annotations were read without masks.
            InputError: faster-coco-eval is not installed.
        """
        if self.segments is None:
            raise ValueError("the annotations were read without masks")
        height, width = self.sizes[self.images[k]].tolist()
        return self.segments.rle(k, height, width, codec())

    def mask(self, k: int) -> NDArray[np.uint8]:
        """The shape of annotation ``k``: (H, W) uint8, 1 inside. Raises as ``rle`` does."""
        mask: NDArray[np.uint8] = codec().decode(self.rle(k))
        return mask

    def truth(self, masks: bool, images: IntArray | None = None) -> dict[str, JSON]:
        """All of it as the dictionary of COCO or LVIS format that an evaluator takes, with the ids of the file.

        Args:
            masks: whether to give each annotation its shape, as compressed run lengths. Raises as ``rle`` does.
            images: the rows of those to give, ascending; all where left out.
        """
        rows = np.arange(len(self)) if images is None else images
        entries = []
        for i in rows.tolist():
            height, width = self.sizes[i].tolist()
            entries.append({"id": int(self.image_ids[i]), "height": height, "width": width})
            if self.federated:
                entries[-1]["neg_category_ids"] = self.category_ids[self.negatives(i)].tolist()
                entries[-1]["not_exhaustive_category_ids"] = self.category_ids[self.not_exhaustive(i)].tolist()
        categories = [
            {"id": number, "name": name} for number, name in zip(self.category_ids.tolist(), self.classes, strict=True)
        ]
        for category, frequency in zip(categories, self.frequencies or (), strict=False):
            category["frequency"] = frequency
        keys = ("id", "image_id", "category_id", "bbox", "area", "iscrowd")
        indices = np.flatnonzero(np.isin(self.images, rows))
        columns = (
            self.ids[indices],
            self.image_ids[self.images[indices]],
            self.category_ids[self.labels[indices]],
            self.xywh[indices],
            self.areas[indices],
            self.crowd[indices].astype(np.int64),
        )
        values = zip(*(column.tolist() for column in columns), strict=True)
        annotations = [dict(zip(keys, row, strict=True)) for row in values]
        if masks:
            for k, annotation in zip(indices.tolist(), annotations, strict=True):
                annotation["segmentation"] = self.rle(k)
        return {"images": entries, "categories": categories, "annotations": annotations}


def read_annotations(file: Path, masks: bool = False, skip_bad: bool = False) -> Annotations:
    """Read annotations of COCO format: instances of COCO, or LVIS v1.

    A large file takes a while once; its arrays are kept in a hidden folder ``.longtail`` beside it, where that can be
    written, and are mapped into memory from then on.

    Args:
        file: the JSON file. An image has an "id", "height", "width" and "file_name", or like LVIS a "coco_url", of
            which the last two parts count; a category an "id" and a "name"; an annotation an "id", "image_id",
            "category_id" and "bbox" (x, y, width, height in pixels).
        masks: whether to read the "segmentation" too: polygons, or run lengths, compressed or not. A polygon of fewer
            than three points among others of its object is left out alone, and it is said how many.
        skip_bad: leave out annotations that cannot be used, and say how many; otherwise they are an error.

    Returns:
        All images, also those without an annotation.

    Raises:
        InputError: the file or an entry in it cannot be used, or masks are wanted and faster-coco-eval is not
            installed; the message names the id of the entry.
    """
    if masks:
        codec()
    try:
        content = cached(file, masks)
    except OSError as error:
        raise InputError(
            f"{escape(file)}: cannot read it ({error.strerror}); give the path of a JSON file of COCO format"
        ) from error
    return annotations_of(file, content, skip_bad)


def annotations_of(file: Path, content: Content, skip_bad: bool) -> Annotations:
    """The annotations of what was read from a file, once it is said what is wrong with it.

    Raises:
        InputError: there are bad annotations, and they are not to be left out.
    """
    about = content.about
    if about["total"] and about["shapeless"] == about["total"]:
        raise InputError(
            f"{escape(file)} gives boxes without shapes: give a recipe that needs none, such as --recipe fasterrcnn_ce"
        )
    _refuse_or_tell(file, about, skip_bad)
    if about["short"]:
        polygons, owners, first = about["short"]
        logger.info(
            f"{escape(file)}: left out {plural(polygons, 'polygon')} of fewer than three points, of "
            f"{plural(owners, 'annotation')}, such as {first}, whose other polygons stay"
        )
    if about["clipped"]:
        boxes = plural(about["clipped"], "box that reaches beyond its image", "boxes that reach beyond their images")
        logger.info(f"{escape(file)}: clipped {boxes}")
    if about["idle"]:
        logger.info(f"{escape(file)}: no annotation is of the categories {some(about['idle'])}; they are left out")
    return _annotations(file, content)


def _annotations(file: Path, content: Content) -> Annotations:
    arrays: dict[str, Any] = dict(content.arrays)  # some of them are put together
    for values in arrays.values():
        values.setflags(write=False)
    for name in ("absent", "incomplete"):
        arrays[name] = Ragged(arrays[name], arrays.pop(f"{name}_starts"))
    shapes = {field.name: arrays.pop(field.name) for field in fields(Segments) if field.name in arrays}
    return Annotations(
        file=file,
        **{name: content.about[name] for name in ("classes", "frequencies", "file_names", "federated")},
        **arrays,
        segments=Segments(**shapes) if shapes else None,
        cache=content.folder,
        bad=content.about["bad"],
    )


def _reopened(file: Path, folder: Path) -> Annotations:
    content = mapped(folder, check=False)  # by the process that opened it
    if content is None:
        raise InputError(f"{escape(folder)}: the cache of {escape(file)} was removed in the meantime; start again")
    return _annotations(file, content)


def _refuse_or_tell(file: Path, about: dict[str, JSON], skip_bad: bool) -> None:
    """Refuse bad annotations, or say that they are left out."""
    total, bad, alike, reasons = (about[name] for name in ("total", "bad", "alike", "reasons"))
    if not bad:
        return
    if not skip_bad:
        others = ((alike - 1, "more such"), (bad - alike, "bad in other ways"))
        also = ", ".join(f"{count} {what}" for count, what in others if count)
        raise InputError(
            f"{escape(file)}: {reasons[0]}{f' (and {also})' if also else ''}; "
            "repair or remove it, or leave such annotations out by --data.skip_bad_annotations true"
        )
    if bad == total:
        raise InputError(
            f"{escape(file)}: none of the {plural(total, 'annotation')} can be used ({reasons[0]}); repair the file"
        )
    more = f" and {bad - len(reasons)} more" if bad > len(reasons) else ""
    logger.info(f"{escape(file)}: left out {bad} of {plural(total, 'annotation')}: {'; '.join(reasons)}{more}")
