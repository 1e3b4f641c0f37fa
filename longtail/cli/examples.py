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

_MOST, _PICTURES, _LONGEST = 4, 600, 96  # of a class, of a page, pixels of a side
_MARGIN = 0.15  # of a box, that is shown around it
_NO_CLASS = -1


def examples_of(data: LongTailData) -> list[list[str]]:
    """Of each class (C,) pictures of training samples spread over its rows, as data URIs.

    Of a set with boxes the largest box of the class in an image is cut out; of one with pixels those of the class are
    painted; of a video the middle frame is taken. One that cannot be decoded is left out. Of many classes each has
    fewer, and one at least.
    """
    split, number = data.splits.train, max(1, min(_MOST, _PICTURES // len(data.classes)))
    picture = _picture_of(data)
    owners = np.arange(len(split)) if split.owners is None else split.owners
    order = np.argsort(split.targets, kind="stable")
    bounds = np.searchsorted(split.targets[order], np.arange(len(data.classes) + 1)).tolist()
    examples = []
    for label, (start, end) in enumerate(pairwise(bounds)):
        rows = np.unique(owners[order[start:end]])
        chosen = rows[np.linspace(0, len(rows) - 1, min(number, len(rows))).astype(int)] if len(rows) else rows
        pictures = [_shown(picture, row, label) for row in chosen.tolist()]
        examples.append([each for each in pictures if each])
    return examples


def _shown(picture: Callable[[int, int], Image.Image], row: int, label: int) -> str:
    try:
        return data_uri(picture(row, label), _LONGEST)
    except InputError:
        return ""


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
