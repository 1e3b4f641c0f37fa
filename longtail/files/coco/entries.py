"""Entries of JSON of COCO format, collected one by one: images, categories, and annotations with their segmentations.

An entry of another format raises an ``OddError``. What only makes one annotation useless is a ``Fault`` of it.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from longtail.files.coco.ids import Ids, OddError, put
from longtail.files.coco.results import codec
from longtail.files.coco.segments import bounds, compressed
from longtail.files.listing import IntArray
from longtail.plain import JSON

UNKNOWN = -1  # a height and a width that are null: what has no annotation was not opened by the tool
_NO_BOX = [float("nan")] * 4
_LEAST = 6  # numbers of a polygon: three points
_FAR = 1e6  # pixels; a polygon that reaches farther is a fault, and would take gigabytes to rasterise


class Fault(NamedTuple):
    """What can be wrong with an annotation: ``where`` it is, (M,) bool, and the reason for annotation k."""

    where: NDArray[np.bool_]
    reason: Callable[[int], str]


class Entries:
    """The entries of a list; ``name`` is what one is called."""

    name: str

    def __init__(self, texts: Ids | None = None) -> None:
        self.ids = array("q")
        self.texts = texts or Ids()

    def add(self, entry: JSON) -> None:
        """Append what is needed of an entry."""
        put(self.ids, entry, "id", self.texts.number)


class Images(Entries):
    """Images, and the category ids that LVIS lists for each; those of image i end at ``ends[key][i + 1]``."""

    name = "image"

    def __init__(self, texts: Ids | None = None) -> None:
        super().__init__(texts)
        self.sizes = array("i")
        self.file_names: list[str] = []
        self.lists = {"neg_category_ids": array("q"), "not_exhaustive_category_ids": array("q")}
        self.ends = {key: array("q", [0]) for key in self.lists}
        self.federated = False

    def add(self, entry: JSON) -> None:
        super().add(entry)
        unknown = entry.get("height", 0) is None and entry.get("width", 0) is None
        for key in ("height", "width"):
            put(self.sizes, {key: UNKNOWN} if unknown else entry, key)
        if "file_name" in entry:
            name = entry["file_name"]
        elif "coco_url" in entry:
            name = "/".join(str(entry["coco_url"]).rsplit("/", 2)[-2:])
        else:
            raise OddError('has neither "file_name" nor "coco_url"')
        if not isinstance(name, str):
            raise OddError('has a wrong "file_name"')
        self.file_names.append(name)
        for key, store in self.lists.items():
            try:
                store.fromlist(entry.get(key, []))
            except (TypeError, OverflowError):
                raise OddError(f'has a wrong "{key}"') from None
            self.ends[key].append(len(store))
        self.federated |= "neg_category_ids" in entry


class Categories(Entries):
    """Categories, with the frequency that LVIS gives them."""

    name = "category"

    def __init__(self) -> None:
        super().__init__(Ids(1))
        self.names: list[str] = []
        self.groups: list[object] = []  # the supercategories
        self.frequencies: list[str | None] = []

    def add(self, entry: JSON) -> None:
        super().add(entry)
        if not isinstance(entry.get("name"), str):
            raise OddError(f'has {"a wrong" if "name" in entry else "no"} "name"')
        if (frequency := entry.get("frequency")) not in (None, "r", "c", "f"):
            raise OddError('has a "frequency" that is not r, c or f')
        self.names.append(entry["name"])
        self.groups.append(entry.get("supercategory"))
        self.frequencies.append(frequency)

    def useful(self, annotated: set[int]) -> list[int]:
        """Rows of the categories less those without an annotation that only group others, or share their name.

        Args:
            annotated: ids of the categories with an annotation.
        """
        rows = list(range(len(self.ids)))
        idle = [i for i in rows if self.ids[i] not in annotated]
        groups = [i for i in idle if any(self.groups[j] == self.names[i] for j in rows if j != i)]
        for i in [*groups, *idle]:
            others = [j for j in rows if j != i]
            if i in rows and (i in groups or any(self.names[j] == self.names[i] for j in others)):
                rows = others
        return rows


class Instances(Entries):
    """Annotations; a box or an area that is no number is NaN. Segmentations are passed over without a collector.

    Attributes:
        places: where each stands, for people; empty where they go by their ids.
    """

    name = "annotation"

    def __init__(
        self, segmentations: Segmentations | None, images: Ids | None = None, categories: Ids | None = None
    ) -> None:
        super().__init__()
        self.image_texts, self.category_texts = images or Ids(), categories or Ids()
        self.places: list[str] = []
        self.image_ids, self.category_ids = array("q"), array("q")
        self.boxes, self.areas, self.crowd = array("d"), array("d"), array("b")
        self.segmentations = segmentations

    def add(self, entry: JSON) -> None:
        super().add(entry)
        put(self.image_ids, entry, "image_id", self.image_texts.number)
        put(self.category_ids, entry, "category_id", self.category_texts.number)
        box = entry.get("bbox")
        if box in (None, []) and (shape := entry.get("segmentation")):
            box = bounds(shape, codec)
        elif "bbox" not in entry:
            raise OddError('has no "bbox"')
        try:
            self.boxes.fromlist(box if len(box) == 4 else _NO_BOX)
        except (TypeError, OverflowError):
            self.boxes.fromlist(_NO_BOX)
        area = entry.get("area")
        try:
            self.areas.append(self.boxes[-2] * self.boxes[-1] if area is None else area)
        except (TypeError, OverflowError):
            self.areas.append(np.nan)
        if entry.get("iscrowd") is None:
            self.crowd.append(0)
        else:
            put(self.crowd, entry, "iscrowd")
        if self.segmentations is not None:
            self.segmentations.add(entry.get("segmentation"))

    def called(self, k: int) -> str:
        """Annotation ``k`` as a message names it."""
        return self.places[k] if self.places else f"annotation {self.texts.name(self.ids[k])}"


class Segmentations:
    """Segmentations of annotations, as the arrays of ``Segments``. What is bad stays empty, and is a fault.

    A polygon of fewer than three points among others is left out alone.

    Attributes:
        short: how many polygons of each annotation were left out (M,).
    """

    _MISSING, _POLYGON, _RLE = 1, 2, 3

    def __init__(self, codec: ModuleType) -> None:
        self._codec = codec
        self._polygon, self._spans = array("b"), array("q")
        self._ends, self._points = array("q", [0]), array("d")
        self._counts, self._sizes = bytearray(), array("q")
        self._kinds = array("b")  # of faults; 0 for none
        self.short = array("q")

    def add(self, segmentation: JSON) -> None:
        """Append polygons or run lengths."""
        is_rle = isinstance(segmentation, dict)
        start, size, kind, short = self._stop(is_rle), (0, 0), 0, 0
        try:
            if is_rle:
                counts, size = compressed(segmentation, self._codec)
                self._counts += counts
            elif segmentation:
                short = self._add_polygons(segmentation)
            else:
                kind = self._MISSING
        except (KeyError, TypeError, ValueError, OverflowError):
            kind = self._RLE if is_rle else self._POLYGON
        self._polygon.append(not is_rle)
        self._spans.extend((start, self._stop(is_rle)))
        self._sizes.extend(size)
        self._kinds.append(kind)
        self.short.append(short)

    def _stop(self, is_rle: bool) -> int:
        """One past the last byte of run lengths, or past the last polygon."""
        return len(self._counts) if is_rle else len(self._ends) - 1

    def _add_polygons(self, polygons: JSON) -> int:
        """Append polygons; returns how many were too short."""
        points, ends = array("d"), array("q")
        for polygon in polygons:
            if len(polygon) >= _LEAST:
                points.fromlist(polygon)
                ends.append(len(self._points) + len(points))
                if len(polygon) % 2:
                    raise ValueError
        if not ends:
            raise ValueError
        self._points += points
        self._ends += ends
        return len(polygons) - len(ends)

    def missing(self) -> int:
        """How many annotations have no segmentation at all."""
        return self._kinds.count(self._MISSING)

    def faults(self, sizes: NDArray[np.int32]) -> list[Fault]:
        """What can be wrong; ``sizes`` (M, 2) are height and width of the image of each annotation."""
        kinds, own_sizes = np.array(self._kinds), np.asarray(self._sizes).reshape(-1, 2)
        kinds[self._far()] = self._POLYGON
        other_size = (own_sizes != sizes).any(1) & (np.asarray(self._polygon) == 0)
        return [
            Fault(kinds == self._MISSING, lambda k: 'has no "segmentation"'),
            Fault(
                kinds == self._POLYGON,
                lambda k: "has a polygon that is not an even count of at least 6 numbers below a million",
            ),
            Fault(kinds == self._RLE, lambda k: "has run lengths whose counts do not make up their size"),
            Fault(
                other_size,
                lambda k: f"has run lengths of size {own_sizes[k].tolist()}, not of its image, {sizes[k].tolist()}",
            ),
        ]

    def _far(self) -> IntArray:
        """Annotations with a coordinate that is not finite or far from any image."""
        points = np.asarray(self._points)
        far = np.flatnonzero(~((points > -_FAR) & (points < _FAR)))
        far_polygons = np.unique(np.searchsorted(np.asarray(self._ends), far, side="right") - 1)
        owners = np.flatnonzero(np.asarray(self._polygon))
        stops = np.asarray(self._spans).reshape(-1, 2)[owners, 1]
        return owners[np.searchsorted(stops, far_polygons, side="right")]

    def arrays(self, rows: IntArray) -> dict[str, NDArray[Any]]:  # of several types
        """The arrays of ``Segments``, for the annotations ``rows``."""
        return {
            "polygon": np.asarray(self._polygon)[rows] != 0,
            "spans": np.asarray(self._spans).reshape(-1, 2)[rows],
            "ends": np.asarray(self._ends),
            "points": np.asarray(self._points),
            "counts": np.frombuffer(self._counts, np.uint8),
        }
