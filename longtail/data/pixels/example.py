"""What shows a class in an image with the class of each pixel: its own pixels, painted."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from longtail.files.pixels.pairs import ByteArray
from longtail.reports.overlays import draw_labels

_NO_CLASS = -1


def class_overlay(picture: Image.Image, labels: ByteArray, label: int, classes: Sequence[str]) -> Image.Image:
    """An image with the pixels of one class painted, by the classes (H, W) of all of them."""
    return draw_labels(picture, np.where(labels == label, label, _NO_CLASS), classes)
