"""What shows a class in an image with boxes: its largest object, cut out."""

import numpy as np
from PIL import Image

from longtail.data.boxes.dataset import Instances

_MARGIN = 0.15  # of the longer side, that is shown around the box


def largest_object(picture: Image.Image, instances: Instances, label: int) -> Image.Image:
    """The part of an image around the largest box of a class; it has one at least."""
    boxes = instances.boxes[instances.labels == label]
    left, top, right, bottom = boxes[np.argmax((boxes[:, 2:] - boxes[:, :2]).prod(1))].tolist()
    margin = _MARGIN * max(right - left, bottom - top)
    corners = (left - margin, top - margin, right + margin, bottom + margin)
    limits = (picture.width, picture.height, picture.width, picture.height)
    area = [round(min(max(corner, 0), limit)) for corner, limit in zip(corners, limits, strict=True)]
    return picture.crop((area[0], area[1], max(area[2], area[0] + 1), max(area[3], area[1] + 1)))
