"""Pictures with what they show drawn in: boxes, masks and labelled pixels. None of them changes the picture given."""

import base64
import io
import math
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from longtail.reports.wording import shorten

COLOURS = 256  # more cannot be told apart; larger classes begin anew
NAME_LENGTH = 32
LIGHTNESS = np.array([0.299, 0.587, 0.114])  # of red, green and blue
NAMED_SHARE = 0.01  # a class is named where it covers at least this share of a picture
JPEG_QUALITY = 85
EXAMPLES_EACH, EXAMPLE_SIDE = 2, 512  # images of a weak class in the report, and their longer side in pixels

Area = tuple[int, int, int, int]
Colour = tuple[int, int, int]
Mask = NDArray[np.bool_]


def draw_instances(
    image: Image.Image,
    boxes: Sequence[Sequence[float]],
    names: Sequence[str],
    classes: Sequence[int],
    scores: Sequence[float] | None = None,
    masks: Sequence[Mask] | None = None,
) -> Image.Image:
    """Return the image in RGB with its instances drawn in.

    Args:
        image: the image; it stays as it is.
        boxes: of each instance x1, y1, x2, y2 in pixels; cut off at the border.
        names: of each instance the name of its class.
        classes: of each instance the number of its class, which gives the colour.
        scores: of each instance how sure the prediction is, 0 to 1; none for the truth.
        masks: of each instance its pixels (H, W).
    """
    paints = [colour(number) for number in classes]
    pixels = np.array(image.convert("RGB"))
    if masks is not None:
        painted = sorted(zip(masks, paints, strict=True), key=lambda instance: -np.count_nonzero(instance[0]))
        for mask, paint in painted:  # the small ones last, so that they are seen
            _paint(pixels, np.asarray(mask, dtype=np.bool_), np.array(paint, dtype=np.uint8))
    picture = Image.fromarray(pixels)
    draw = ImageDraw.Draw(picture)
    areas = [_inside(box, picture.size) for box in boxes]
    width = max(1, round(max(picture.size) / 320))
    for area, paint in zip(areas, paints, strict=True):
        draw.rectangle(area, outline=paint, width=width)
    texts = [shorten(name, NAME_LENGTH) for name in names]
    if scores is not None:
        texts = [f"{text} {score:.0%}" for text, score in zip(texts, scores, strict=True)]
    labels = _Labels(picture)
    for text, area, paint in zip(texts, areas, paints, strict=True):
        labels.at_box(text, area, paint)
    return picture


def draw_labels(image: Image.Image, label_map: NDArray[np.integer], classes: Sequence[str]) -> Image.Image:
    """Return the image in RGB with every pixel in the colour of its class and the larger areas named.

    Args:
        image: the image; it stays as it is.
        label_map: class of each pixel (H, W); what is no class stays as it is.
        classes: names of the classes.
    """
    known = (label_map >= 0) & (label_map < len(classes))
    indices = label_map[known].astype(np.int64)
    pixels = np.array(image.convert("RGB"))
    _paint(pixels, known, np.array(_palette(), dtype=np.uint8)[indices % COLOURS])
    picture = Image.fromarray(pixels)
    labels = _Labels(picture)
    for index in np.flatnonzero(np.bincount(indices, minlength=1) >= max(1, NAMED_SHARE * label_map.size)).tolist():
        rows, columns = np.nonzero(known & (label_map == index))
        row = int(rows[len(rows) // 2])  # half of the class lies above it
        of_row = columns[rows == row]
        labels.around(shorten(classes[index], NAME_LENGTH), (int(of_row[len(of_row) // 2]), row), colour(index))
    return picture


def data_uri(image: Image.Image, longest: int) -> str:
    """Return the image as a JPEG within a data URI, made smaller where a side is longer than ``longest`` pixels."""
    small = image.convert("RGB")
    small.thumbnail((longest, longest))
    file = io.BytesIO()
    small.save(file, "JPEG", quality=JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def colour(index: int) -> Colour:
    """Return the colour of a class, the same wherever it is drawn."""
    return _palette()[index % COLOURS]


@cache
def _palette() -> list[Colour]:
    """Return colours of which each is as far as can be from those before it, and from black, grey and white."""
    levels = np.linspace(0, 255, 9)
    choice = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
    choice = choice[choice @ LIGHTNESS > 64]  # darker lines are lost on a dark picture
    weights = np.array([2.0, 4.0, 3.0])  # how well the eye tells red, green and blue

    def distance(other: NDArray[np.float64]) -> NDArray[np.float64]:
        squares: NDArray[np.float64] = (weights * (choice - other) ** 2).sum(axis=1)
        return squares

    nearest = np.min([distance(np.full(3, grey)) for grey in (0.0, 128.0, 255.0)], axis=0)
    palette = []
    for _ in range(COLOURS):
        best = choice[int(nearest.argmax())]
        palette.append((int(best[0]), int(best[1]), int(best[2])))
        nearest = np.minimum(nearest, distance(best))
    return palette


def _paint(pixels: NDArray[np.uint8], where: Mask, paints: NDArray[np.uint8]) -> None:
    """Paint pixels half transparent, in one colour or in one for each of them."""
    pixels[where] = pixels[where] // 2 + paints // 2


def _inside(box: Sequence[float], size: tuple[int, int]) -> Area:
    """Return the corners of a box in whole pixels of the picture, the upper left one first."""
    corners = np.nan_to_num(np.asarray(box, dtype=np.float64)).clip(0, np.tile(size, 2) - 1)
    x1, y1, x2, y2 = (int(corner) for corner in corners.round())
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """Return the font of the drawings, which knows more scripts than Pillow's own."""
    from matplotlib import get_data_path

    return ImageFont.truetype(f"{get_data_path()}/fonts/ttf/DejaVuSans.ttf", size)


class _Labels:
    """Writes labels into a picture: within it, and clear of one another as far as there is room."""

    def __init__(self, picture: Image.Image) -> None:
        self.draw, self.size = ImageDraw.Draw(picture), picture.size
        self.font = _font(max(10, round(max(picture.size) / 32)))
        self.margin = max(1, round(self.font.size / 6))
        self.areas: list[Area] = []

    def at_box(self, text: str, box: Area, paint: Colour) -> None:
        """Write a label above a box, or where there is room."""
        left, top, right, bottom = box
        self._write(text, lambda w, h: [(left, top - h), (left, top), (left, bottom), (right - w, bottom - h)], paint)

    def around(self, text: str, place: tuple[int, int], paint: Colour) -> None:
        """Write a label with its middle at a place, or near it."""
        x, y = place
        self._write(text, lambda w, h: [(x - w // 2, y - h // 2 + step * h) for step in (0, 1, -1)], paint)

    def _write(self, text: str, places: Callable[[int, int], list[tuple[int, int]]], paint: Colour) -> None:
        """Write a label at the first place that is free, else at the first; not at all where none fits in."""
        while len(text) > 1 and self._measure(text)[0] > self.size[0]:
            text = shorten(text, len(text) - 1)
        width, height = self._measure(text)
        if not text or width > self.size[0] or height > self.size[1]:
            return
        areas = []
        for x, y in places(width, height):
            left, top = min(max(x, 0), self.size[0] - width), min(max(y, 0), self.size[1] - height)
            areas.append((left, top, left + width - 1, top + height - 1))
        area = next((area for area in areas if not any(_overlap(area, other) for other in self.areas)), areas[0])
        self.areas.append(area)
        self.draw.rectangle(area, fill=paint)
        ink = "black" if np.dot(paint, LIGHTNESS) > 128 else "white"
        self.draw.text((area[0] + self.margin, area[1]), text, fill=ink, font=self.font)

    def _measure(self, text: str) -> tuple[int, int]:
        """Return the width and the height of a label."""
        return math.ceil(self.font.getlength(text)) + 2 * self.margin, sum(self.font.getmetrics())


def _overlap(one: Area, other: Area) -> bool:
    return one[0] <= other[2] and other[0] <= one[2] and one[1] <= other[3] and other[1] <= one[3]
