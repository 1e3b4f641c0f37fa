"""What the four numbers of a box are, where people write them in several ways."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from longtail.errors import InputError
from longtail.messages import escape, plural

Form = Literal["xywh", "xyxy", "cxcywh"]
FORMS: tuple[Form, ...] = get_args(Form)
Floats = NDArray[np.float64]

_WORDS = {"xywh": "x, y, width, height", "xyxy": "corners x1, y1, x2, y2", "cxcywh": "centre x, y, width, height"}
_SLACK = 0.01  # of a side, and one pixel at least: what annotators draw beyond an image
_MANY, _FEW = 0.2, 0.1  # of the boxes, that do not fit as documented; and of these, that do not fit in another form


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


def box_form(
    source: Path, boxes: Sequence[Sequence[float]], sizes: Sequence[tuple[int, int]], choice: Form | None = None
) -> BoxForm:
    """How the boxes of a set are to be read.

    By the documentation of Hugging Face's ``datasets`` a box is COCO's x, y, width, height; some sets have corners, or
    the centre and the size. A box does not fit if it has no area, or reaches beyond its image by more than a hundredth
    of its side and a pixel. Corners or a centre taken for x, y, width, height do so mostly where the centre of the box
    is in the right or lower half of the image. So another form is read where a fifth of the boxes at least does not
    fit, and at most a tenth as many in that form. A few that do not fit are mistakes, also where objects fill their
    images and their boxes would do as corners. Where no number is above 1 they are parts of the width and the height.

    Args:
        source: the set, for messages.
        boxes: M times four numbers; those that are not finite are passed over.
        sizes: of the image of each, width and height.
        choice: what they are, where that is known.

    Raises:
        InputError: they are not x, y, width, height, and may be corners as well as centres.
    """
    values = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    limits = np.array(sizes, dtype=np.float64).reshape(-1, 2)
    finite = np.isfinite(values).all(1)
    values, limits = values[finite], limits[finite]
    parts = len(values) > 0 and bool(np.abs(values).max() <= 1 + _SLACK)
    if parts:
        limits = np.ones_like(limits)
    broken = {form: _broken(make(values), limits, parts) for form, make in _TO_CORNERS.items()}
    others = [form for form in FORMS if broken["xywh"] and broken[form] <= _FEW * broken["xywh"]]
    is_other = choice is None and len(others) > 0 and broken["xywh"] >= _MANY * len(values)
    if is_other and len(others) > 1:
        numbers = f"{broken['xywh']} of {plural(len(values), 'box', 'boxes')} are not {_WORDS['xywh']}"
        way_out = "corners, --data.box_form xyxy, or centres, --data.box_form cxcywh"
        raise InputError(f"{escape(source)}: {numbers}, and nothing tells what they are: give {way_out}")
    form = choice or (others[0] if is_other else "xywh")
    words = f"boxes read as {_WORDS[form]}{' in parts of the image' if parts else ''}"
    return BoxForm(form, parts, words + (", as given" if choice else _why(form, broken, len(values))))


def _broken(corners: Floats, limits: Floats, parts: bool) -> int:
    """How many boxes have no area or reach beyond their image (M, 2)."""
    slack = _SLACK * limits if parts else np.maximum(1, _SLACK * limits)
    beyond = (corners[:, :2] < -slack) | (corners[:, 2:] > limits + slack)
    return int((beyond | (corners[:, 2:] <= corners[:, :2])).any(1).sum())


def _why(form: Form, broken: dict[Form, int], total: int) -> str:
    """Why a form was taken, and how another one is."""
    if form != "xywh":
        words = f"{broken['xywh']} of {plural(total, 'box', 'boxes')} do not fit their images"
        return f": as {_WORDS['xywh']} {words}, in this form {broken[form]} (--data.box_form xywh takes them as such)"
    better = min(FORMS, key=lambda other: broken[other])
    if broken[better] < broken[form]:
        less = f"as {_WORDS[better]} {broken[better]} (--data.box_form {better})"
        return f", of which {broken[form]} of {total:,} have no area or reach beyond their images; {less}"
    if broken["xyxy"] == broken[form] and total:
        return ", though nothing tells them from corners (--data.box_form xyxy)"
    return ""
