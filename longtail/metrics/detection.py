"""Average precision of boxes and masks: over all classes, of each class, and of groups of classes by frequency."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import inf, nan
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longtail.checks import check_number
from longtail.counts import Counts, shot_groups
from longtail.errors import InputError
from longtail.metrics.detections import SHAPE, Detections, Entry, IntArray, Kind
from longtail.plain import JSON

FloatArray = NDArray[np.float64]

LIMIT, FEDERATED_LIMIT = 100, 300
AP50, AP75 = 0, 5  # places of these thresholds among 0.5, 0.55, ..., 0.95
FIGURES = {  # what the results call the scalars of AveragePrecision, after "box_" or "mask_"
    "ap": "ap",
    "ap50": "ap50",
    "ap75": "ap75",
    "ap_small": "ap_small_area",
    "ap_mid_sized": "ap_medium_area",
    "ap_large": "ap_large_area",
}


@dataclass(frozen=True)
class AveragePrecision:
    """AP of boxes or masks, fractions in [0, 1]; NaN where no class has an object to find.

    "area" is the size of the objects in the image; groups of classes by frequency are made by `group_ap`.

    Attributes:
        ap: mean of ``class_ap``.
        ap50: the same at IoU 0.5 alone.
        ap75: the same at IoU 0.75 alone.
        ap_small_area: the same of objects up to 32^2 square pixels.
        ap_medium_area: the same of objects from 32^2 to 96^2 square pixels.
        ap_large_area: the same of objects from 96^2 square pixels.
        class_ap: mean over IoU 0.5, 0.55, ..., 0.95 for each class (C,); NaN for a class without objects.
        class_ap50: AP at IoU 0.5 for each class (C,).
    """

    ap: float
    ap50: float
    ap75: float
    ap_small_area: float
    ap_medium_area: float
    ap_large_area: float
    class_ap: FloatArray
    class_ap50: FloatArray


def average_precision(
    truth: Mapping[str, JSON],
    detections: Detections | Sequence[Entry],
    kind: Kind,
    federated: bool = False,
    max_detections: int | None = None,
) -> AveragePrecision:
    """AP of detections as COCO counts it, or as LVIS does. Classes are in the order of ascending category ids.

    AP of a class at one IoU threshold is the mean over the recalls r = 0, 0.01, ..., 1 of the highest precision at any
    recall of at least r. Detections come by descending score. Each takes the object of its class and image that is
    still free and has the highest IoU; where that reaches the threshold the detection is right, else it is wrong.

    - COCO: of each class, the 100 best detections of an image count. One on a crowd is neither right nor wrong.
    - LVIS (``federated``): the 300 best detections of an image count, over all classes. One of a class that is neither
      annotated in the image nor negative there is left out. One that finds nothing, of a class not annotated
      exhaustively there, is neither right nor wrong. There are no crowds. What has no area is left out.

    The figures are those of the packages pycocotools and lvis, where masks come without boxes: the area of a detected
    mask is its own, while these packages take the area of its box if there is one.

    Args:
        truth: a data set in COCO's format: "categories" with "id"; "images" with "id", for masks "height" and "width",
            for LVIS "neg_category_ids" and "not_exhaustive_category_ids"; "annotations" with "image_id", "category_id",
            "area", "iscrowd" (0 where it is missing), and "bbox" or "segmentation". Other keys are not read.
        detections: arrays, or results in COCO's format: "image_id", "category_id", "score", and "bbox" or
            "segmentation". Those of an unknown class are left out.
        kind: "bbox" for boxes (x, y, width, height, in pixels), "segm" for masks (compressed run lengths, their
            "counts" as bytes or text; in ``truth`` also polygons).
        federated: count as LVIS does.
        max_detections: number of detections that count, in place of 100 or 300.

    Neither ``truth`` nor ``detections`` is changed.

    Raises:
        InputError: if faster-coco-eval is missing, a detection is of an unknown image or has NaN as its score, or
            ``federated`` is asked for and an image lacks its lists of classes.
        ValueError: if kind or max_detections cannot be used.

    Source: Lin et al., Microsoft COCO, ECCV 2014, with its evaluation code; Gupta et al., LVIS, CVPR 2019.
    """
    if kind not in SHAPE:
        raise ValueError(f'kind must be "bbox" or "segm", got {kind!r}')
    limit = max_detections if max_detections is not None else FEDERATED_LIMIT if federated else LIMIT
    check_number("max_detections", limit, 1)
    evaluation = _ClassEvaluation({image["id"]: image for image in truth["images"]}, kind, federated, limit)
    classes = sorted({category["id"] for category in truth["categories"]})
    objects = _objects(truth["annotations"], evaluation.images, set(classes), federated)
    arrays = detections if isinstance(detections, Detections) else Detections.of(detections, kind)
    judged = _judged(objects, evaluation.images) if federated else None
    rows = _rows(arrays, evaluation.images, list(objects), judged, limit)
    figures = np.full((len(classes), 6), nan)  # of each class: AP, AP50, AP75, AP of small, medium and large objects
    for row, category in enumerate(classes):
        if category in objects:
            of_class = arrays.take(rows.get(category, np.zeros(0, dtype=np.int64)))
            precision = evaluation.precision(category, objects[category], of_class)
            any_area, *areas = precision.mean((0, 1))
            figures[row] = any_area, precision[AP50, :, 0].mean(), precision[AP75, :, 0].mean(), *areas
    figures[figures < 0] = nan  # -1: no object of that class and area, or crowds alone
    ap, ap50, ap75, small, medium, large = (_mean(column) for column in figures.T)
    return AveragePrecision(ap, ap50, ap75, small, medium, large, figures[:, 0].copy(), figures[:, 1].copy())


def group_ap(class_ap: FloatArray, image_counts: Counts, many: int = 100, few: int = 11) -> dict[str, float]:
    """Mean AP of the "many", "medium" and "few" classes; NaN for a group without a class that has an AP.

    By default these are the groups of LVIS, which calls them frequent, common and rare.

    Args:
        class_ap: AP of each class (C,); NaN marks a class without objects, which is left out.
        image_counts: training images with the class, for each class (C,).
        many: classes with more training images are "many".
        few: classes with fewer training images are "few".

    Raises:
        ValueError: if the lengths differ, or few is above many.

    Source: Gupta et al., LVIS, CVPR 2019.

    >>> group_ap(np.array([0.5, 0.25, 0.75, np.nan]), [500, 50, 11, 10])
    {'many': 0.5, 'medium': 0.5, 'few': nan}
    """
    if len(class_ap) != len(image_counts):
        raise ValueError(f"image_counts must have shape ({len(class_ap)},), got ({len(image_counts)},)")
    return {name: _mean(class_ap[mask.numpy()]) for name, mask in shot_groups(image_counts, many, few).items()}


def _mean(values: FloatArray) -> float:
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else nan


def _objects(
    annotations: Sequence[Entry], images: Collection[int], classes: Collection[int], federated: bool
) -> dict[int, list[Entry]]:
    """The annotated objects of each class that has any."""
    objects = defaultdict(list)
    for entry in annotations:
        known = entry["image_id"] in images and entry["category_id"] in classes
        if known and (not federated or 0 < entry["area"] < inf):
            objects[entry["category_id"]].append(entry)
    return dict(objects)


def _judged(objects: Mapping[int, Sequence[Entry]], images: Mapping[int, Entry]) -> dict[int, set[int]]:
    """The classes of which an image tells whether it shows them, for each image; those without any object left out."""
    for name, image in images.items():
        for key in ("neg_category_ids", "not_exhaustive_category_ids"):
            if key not in image:
                raise InputError(f"truth: image {name!r} has no {key!r}, which federated evaluation needs")
    judged = {name: objects.keys() & image["neg_category_ids"] for name, image in images.items()}
    for category, of_class in objects.items():
        for entry in of_class:
            judged[entry["image_id"]].add(category)
    return judged


def _rows(
    results: Detections,
    images: Collection[int],
    classes: Sequence[int],
    judged: Mapping[int, Collection[int]] | None,
    limit: int,
) -> dict[int, IntArray]:
    """Rows of the detections of each class, one of ``classes``; with ``judged`` those of the ``limit`` best ones of
    their image that are of a class judged there."""
    if (nan_scores := np.isnan(results.scores)).any():
        name = int(results.images[nan_scores][0])
        raise InputError(f"detections: the score of a detection in image {name!r} is NaN")
    ids, categories = np.unique(np.array(list(images), dtype=np.int64)), np.unique(np.array(classes, dtype=np.int64))
    if not (known := np.isin(results.images, ids)).all():
        name = int(results.images[~known][0])
        raise InputError(f"detections: image_id {name!r} is not among the images of truth")
    rows = np.arange(len(results.images))
    if judged is not None:
        rows = np.lexsort((-results.scores, results.images))  # of an image by falling score, equal ones as they came
        ordered = results.images[rows]
        rows = rows[np.arange(len(rows)) - np.searchsorted(ordered, ordered) < limit]
    rows = rows[np.isin(results.categories[rows], categories)]
    if judged is not None:
        pairs = [(image, category) for image, of_image in judged.items() for category in of_image]
        valid = _numbered(np.array(pairs, dtype=np.int64).reshape(-1, 2), ids, categories)
        rows = rows[np.isin(_numbered(np.stack([results.images, results.categories], 1)[rows], ids, categories), valid)]
    rows = rows[results.categories[rows].argsort(kind="stable")]
    present, starts = np.unique(results.categories[rows], return_index=True)
    return dict(zip(present.tolist(), np.split(rows, starts[1:]), strict=True)) if len(rows) else {}


def _numbered(pairs: IntArray, ids: IntArray, categories: IntArray) -> IntArray:
    """A number for each pair of an image and a class (n, 2), both known."""
    return np.searchsorted(ids, pairs[:, 0]) * len(categories) + np.searchsorted(categories, pairs[:, 1])


class _ClassEvaluation:
    """faster-coco-eval on one class at a time.

    For all classes at once it keeps a record of each class in each image, also where there is nothing: 100 million for
    LVIS. For one class it needs the images with an object or a detection of it. These, the objects and the detections
    are numbered anew from 1, as an annotation with the number 0 would count as not matched.
    """

    def __init__(self, images: Mapping[int, Entry], kind: Kind, federated: bool, limit: int) -> None:
        self.images, self.kind, self.federated, self.limit = images, kind, federated, limit
        self.shape = SHAPE[kind]
        self.library = _library()

    def precision(self, category: int, objects: Sequence[Entry], own: Detections) -> FloatArray:
        """Precision (10, 101, 4) at each IoU threshold and recall, of objects of any, small, medium and large area."""
        ids = sorted({entry["image_id"] for entry in objects} | {*own.images.tolist()})
        numbers = {image: number for number, image in enumerate(ids, 1)}
        truth = [
            {
                "id": number,
                "image_id": numbers[entry["image_id"]],
                "category_id": 1,
                # the lvis package knows a mark that keeps an object out of the count; so does an area below all ranges
                "area": -1.0 if self.federated and entry.get("ignore") else float(entry["area"]),
                "iscrowd": 0 if self.federated else int(entry.get("iscrowd", 0)),
                self.shape: shape,
            }
            for number, (entry, shape) in enumerate(zip(objects, self._shapes(objects), strict=True), 1)
        ]
        shapes = own.shapes(self.kind)
        parts = (own.images.tolist(), own.scores.tolist(), shapes, self._areas(shapes))
        results = [
            {"id": i, "image_id": numbers[image], "category_id": 1, "area": area, "score": score, self.shape: shape}
            for i, (image, score, shape, area) in enumerate(zip(*parts, strict=True), 1)
            if not self.federated or 0 < area < inf
        ]
        images = [self._image(category, image, number) for image, number in numbers.items()]
        evaluation = self.library.COCOeval_faster(
            self._coco(images, truth),
            self._coco(images, results),
            self.kind,
            print_function=_silent,
            lvis_style=self.federated,
        )
        evaluation.params.maxDets = [self.limit]
        evaluation.evaluate()
        evaluation.accumulate()
        precision: FloatArray = evaluation.eval["precision"][:, :, 0, :, 0]
        return precision

    def _shapes(self, entries: Sequence[Entry]) -> list[Any]:
        shapes = (entry[self.shape] for entry in entries)
        return [[float(value) for value in box] for box in shapes] if self.kind == "bbox" else list(shapes)

    def _areas(self, shapes: Sequence[Any]) -> list[float]:
        if self.kind == "bbox":
            return [width * height for _, _, width, height in shapes]
        return [float(area) for area in self.library.mask.area(shapes)]

    def _image(self, category: int, image: int, number: int) -> dict[str, JSON]:
        record = self.images[image]
        entry = {"id": number}
        if self.kind == "segm":
            entry |= {"height": record["height"], "width": record["width"]}
        if self.federated:
            open_ended = category in record["not_exhaustive_category_ids"]
            return {**entry, "neg_category_ids": [1], "not_exhaustive_category_ids": [1] if open_ended else []}
        return entry

    def _coco(self, images: list[dict[str, JSON]], annotations: list[dict[str, JSON]]) -> Any:
        categories = [{"id": 1, "frequency": "f"}]  # the library groups by frequency too, which is not used here
        data = {"images": images, "categories": categories, "annotations": annotations}
        return self.library.COCO(data)


def _library() -> ModuleType:
    try:
        import faster_coco_eval
    except ImportError as error:
        raise InputError('average precision needs faster-coco-eval: pip install "longtail[detection]"') from error
    module: ModuleType = faster_coco_eval
    return module


def _silent(*_: object) -> None:
    """Print nothing."""
