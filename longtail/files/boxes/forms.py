"""What the four numbers of a box are, where people write them in several ways."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from longtail.messages import plural

Form = Literal["xywh", "xyxy", "cxcywh"]
FORMS: tuple[Form, ...] = get_args(Form)
Floats = NDArray[np.float64]

_WORDS = {"xywh": "x, y, width, height", "xyxy": "corners x1, y1, x2, y2", "cxcywh": "centre x, y, width, height"}
_SLACK = 0.01  # of a side, and one pixel at least: what annotators draw beyond an image
_MANY, _FEW = 0.2, 0.1  # of the boxes that do not fit, and of these as corners, from which they are corners


def _corners(x: Floats) -> Floats:
    return x


def _from_size(x: Floats) -> Floats:
    return np.concatenate([x[:, :2], x[:, :2] + x[:, 2:]], 1)


def _from_centre(x: Floats) -> Floats:
    return np.concatenate([x[:, :2] - x[:, 2:] / 2, x[:, :2] + x[:, 2:] / 2], 1)


_TO_CORNERS: dict[Form, Callable[[Floats], Floats]] = {"xywh": _from_size, "xyxy": _corners, "cxcywh": _from_centre}


@dataclass(frozen=True)
class BoxForm:
    """How boxes are read.

    Attributes:
        form: what the numbers are.
        parts: whether they are parts of the width and the height, not pixels.
        words: both for people, and why.
    """

    form: Form
    parts: bool
    words: str

    def xywh(self, box: Sequence[float], size: tuple[int, int]) -> list[float]:
        """A box as x, y, width, height in pixels, of an image of a size (width, height)."""
        corners = _TO_CORNERS[self.form](np.array([box], dtype=np.float64))[0]
        if self.parts:
            corners = corners * np.tile(size, 2)
        x1, y1, x2, y2 = corners.tolist()
        return [x1, y1, x2 - x1, y2 - y1]


def box_form(boxes: Sequence[Sequence[float]], sizes: Sequence[tuple[int, int]], given: Form | None = None) -> BoxForm:
    """How the boxes of a set are to be read.

    By the documentation of Hugging Face's ``datasets`` a box is COCO's x, y, width, height; some sets have corners. A
    box does not fit if it has no area, or reaches beyond its image by more than a hundredth of its side and a pixel.
    Corners taken for x, y, width, height do not fit wherever the centre of the box is in the right or lower half of the
    image. So corners are read where a fifth of the boxes at least does not fit otherwise, and at most a tenth as many as
    corners; a few that do not fit are mistakes, also where objects fill their images and their boxes would do as
    corners. A centre leaves no such mark, and is to be given. Where no number is above 1 they are parts of the width and
    the height.

    Args:
        boxes: M times four numbers; those that are not finite are passed over.
        sizes: of the image of each, width and height.
        given: what they are, where that is known.
    """
    values = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    limits = np.array(sizes, dtype=np.float64).reshape(-1, 2)
    finite = np.isfinite(values).all(1)
    values, limits = values[finite], limits[finite]
    parts = len(values) > 0 and bool(np.abs(values).max() <= 1 + _SLACK)
    if parts:
        limits = np.ones_like(limits)
    broken = {form: _broken(make(values), limits, parts) for form, make in _TO_CORNERS.items()}
    are_corners = broken["xywh"] >= max(1, _MANY * len(values)) and broken["xyxy"] <= _FEW * broken["xywh"]
    likely: Form = "xyxy" if are_corners else "xywh"
    form = given or likely
    words = f"boxes read as {_WORDS[form]}{' in parts of the image' if parts else ''}"
    return BoxForm(form, parts, words + _why(form, given, broken, len(values)))


def _broken(corners: Floats, limits: Floats, parts: bool) -> int:
    """How many boxes have no area or reach beyond their image (M, 2)."""
    slack = _SLACK * limits if parts else np.maximum(1, _SLACK * limits)
    beyond = (corners[:, :2] < -slack) | (corners[:, 2:] > limits + slack)
    return int((beyond | (corners[:, 2:] <= corners[:, :2])).any(1).sum())


def _why(form: Form, given: Form | None, broken: dict[Form, int], total: int) -> str:
    """Why a form was taken, and how another one is."""
    if given is not None:
        return ", as given"
    if form == "xyxy":
        more = f"{broken['xywh']} of {plural(total, 'box', 'boxes')} would reach beyond their images"
        return f": as {_WORDS['xywh']} {more}, as corners {broken['xyxy']} (--data.box_form xywh takes them so)"
    better = min(FORMS, key=lambda other: broken[other])
    if broken[better] < broken[form]:
        less = f"as {_WORDS[better]} {broken[better]} (--data.box_form {better})"
        return f", of which {broken[form]} of {total:,} have no area or reach beyond their images; {less}"
    if broken["xyxy"] == broken[form] and total:
        return ", though nothing tells them from corners (--data.box_form xyxy)"
    return ""


def four_numbers(value: Any) -> list[float] | None:  # of a table, checked here
    """The numbers of a box; None where they are not four."""
    try:
        numbers = [float(number) for number in value]
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) == 4 else None
