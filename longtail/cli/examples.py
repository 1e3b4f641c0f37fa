"""A few examples of each class of a data set, as pictures within a page."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from PIL import Image

from longtail.data.base import LongTailData
from longtail.data.boxes.base import DetectionData
from longtail.data.pixels.base import SegmentationData
from longtail.errors import InputError
from longtail.reports.overlays import data_uri, draw_labels

_MOST, _PICTURES, _LONGEST = 3, 600, 96  # of a class, of a page, pixels of a side
_MARGIN = 0.15  # of a box, that is shown around it
_NO_CLASS = -1


def examples_of(data: LongTailData) -> list[list[str]]:
    """Of each class (C,) pictures of training samples, as data URIs.

    They are spread over its rows. Of a set with boxes the largest box of the class in an image is cut out; of one with
    pixels the images with most of the class are shown, and its pixels painted; of a video the middle frame is taken.
    What cannot be decoded is left out. Of many classes each has fewer, and one at least.
    """
    number = max(1, min(_MOST, _PICTURES // len(data.classes)))
    chosen, picture = _spread_rows(data, number), _picture_of(data)
    if isinstance(data, SegmentationData):
        chosen = [data.rows_with_most("train", label, number) for label in range(len(data.classes))]
    pictures = [[thumbnail(picture, row, label) for row in rows] for label, rows in enumerate(chosen)]
    return [[each for each in of_class if each] for of_class in pictures]


def thumbnail(picture: Callable[..., Image.Image], *of: object) -> str:
    """The data URI of a small picture, made of these; empty where it cannot be decoded."""
    try:
        return data_uri(picture(*of), _LONGEST)
    except InputError:
        return ""


def _spread_rows(data: LongTailData, number: int) -> list[list[int]]:
    """Of each class so many training rows that have it, or all where these are fewer."""
    split = data.splits.train
    owners = np.arange(len(split)) if split.owners is None else split.owners
    order = np.argsort(split.targets, kind="stable")
    bounds = np.searchsorted(split.targets[order], np.arange(len(data.classes) + 1)).tolist()
    spread = []
    for start, end in pairwise(bounds):
        rows = np.unique(owners[order[start:end]])
        places = np.linspace(0, len(rows) - 1, min(number, len(rows))).astype(np.int64)
        spread.append(rows[places].tolist())
    return spread


def _picture_of(data: LongTailData) -> Callable[[int, int], Image.Image]:
    """What shows a class in a training sample."""
    if isinstance(data, DetectionData):
        return lambda row, label: _largest_box(data, row, label)
    if isinstance(data, SegmentationData):
        return lambda row, label: _painted(data, row, label)
    return lambda row, label: data.picture("train", row)


def _largest_box(data: DetectionData, row: int, label: int) -> Image.Image:
    instances = data.instances("train", row)
    boxes = instances.boxes[instances.labels == label]
    left, top, right, bottom = boxes[np.argmax((boxes[:, 2:] - boxes[:, :2]).prod(1))].tolist()
    image, margin = data.picture("train", row), _MARGIN * max(right - left, bottom - top)
    corners = (left - margin, top - margin, right + margin, bottom + margin)
    limits = (image.width, image.height, image.width, image.height)
    area = [round(min(max(corner, 0), limit)) for corner, limit in zip(corners, limits, strict=True)]
    return image.crop((area[0], area[1], max(area[2], area[0] + 1), max(area[3], area[1] + 1)))


def _painted(data: SegmentationData, row: int, label: int) -> Image.Image:
    labels = data.annotation("train", row)
    return draw_labels(data.picture("train", row), np.where(labels == label, label, _NO_CLASS), data.classes)
