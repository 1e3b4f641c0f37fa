"""Draws geometric shapes: a long-tailed set of classes, one shape, and whole images of several."""

import math
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from longtail.counts import exponential_counts

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]
SplitName = Literal["train", "val"]


def _beyond(u: Floats, v: Floats, sides: int, distance: float) -> NDArray[np.int64]:
    """How many sides of a regular polygon each point lies beyond; ``distance`` is that of a side from the centre."""
    angles = [2 * math.pi * k / sides for k in range(sides)]
    beyond: NDArray[np.int64] = np.sum([u * math.cos(a) + v * math.sin(a) > distance for a in angles], axis=0)
    return beyond


class ShapeClass(NamedTuple):
    """A class of shapes: its name, its id in the annotations, its typical colour (RGB, 0..255) and what lies inside.

    ``inside`` takes points (u, v) in units of the radius of the circle around the shape, which is at the origin.
    """

    name: str
    category: int
    colour: tuple[int, int, int]
    inside: Callable[[Floats, Floats], Mask]


# From the most frequent class to the rarest. The ids have gaps, as COCO's own do.
CLASSES = (
    ShapeClass("circle", 1, (215, 55, 50), lambda u, v: u * u + v * v <= 1),
    ShapeClass("square", 3, (55, 85, 220), lambda u, v: _beyond(u, v, 4, math.sqrt(0.5)) == 0),
    ShapeClass("triangle", 5, (50, 170, 65), lambda u, v: _beyond(u, v, 3, 0.5) == 0),
    ShapeClass("cross", 8, (225, 205, 60), lambda u, v: (np.minimum(abs(u), abs(v)) <= 0.28) & (u * u + v * v <= 1)),
    ShapeClass("ring", 13, (200, 65, 190), lambda u, v: abs(np.hypot(u, v) - 0.75) <= 0.25),
    ShapeClass("diamond", 21, (60, 200, 210), lambda u, v: abs(u) + abs(v) / 0.6 <= 1),
    ShapeClass("bar", 34, (240, 135, 35), lambda u, v: (abs(u) <= 0.96) & (abs(v) <= 0.25)),
    ShapeClass("star", 55, (240, 240, 235), lambda u, v: _beyond(u, v, 5, math.cos(math.tau / 5)) <= 1),
)

MOST = 4  # shapes of an image
EMPTY = 2  # training images without a shape
RADIUS = 0.12, 0.2  # of a shape, in parts of the image's side


class Scene(NamedTuple):
    """An image uint8 (size, size, 3), the labels of its N shapes (rows of CLASSES), and what is seen of each.

    ``masks`` is bool (N, size, size): the pixels that no later shape hides; ``cut`` is bool (N,): some are hidden.
    """

    image: NDArray[np.uint8]
    labels: list[int]
    masks: Mask
    cut: Mask


def shape_mask(label: int, height: int, width: int, x: float, y: float, radius: float, angle: float) -> Mask:
    """Draw one shape: the pixels whose centre lies inside it, bool (height, width).

    Args:
        label: row of CLASSES.
        height: of the image, in pixels.
        width: of the image, in pixels.
        x: centre of the shape, in pixels from the left edge; it may lie outside the image.
        y: centre of the shape, in pixels from the upper edge.
        radius: of the circle around the shape, in pixels.
        angle: clockwise turn, in radians.
    """
    right = (np.arange(width) + 0.5 - x) / radius
    down = ((np.arange(height) + 0.5 - y) / radius)[:, None]
    cos, sin = math.cos(angle), math.sin(angle)
    return CLASSES[label].inside(right * cos + down * sin, down * cos - right * sin)


def train_counts(images: int, factor: float) -> list[int]:
    """Training instances of each class: the exponential profile, C values.

    The largest class has one instance for every image, or fewer where that would be more than 3 shapes an image.
    """
    room = 3 * (images - EMPTY)
    profiles = (exponential_counts(n, len(CLASSES), factor).tolist() for n in range(images, 0, -1))
    return next(counts for counts in profiles if sum(counts) <= room)


def val_counts(images: int) -> list[int]:
    """Validation instances of each class: the same for all, 2.5 shapes an image or a little less, C values."""
    return [int(2.5 * images / len(CLASSES))] * len(CLASSES)


def scenes(split: SplitName, images: int, size: int, factor: float, seed: int) -> Iterator[Scene]:
    """Draw the images of a split one by one; each depends on (seed, split, its number) and its labels alone.

    Args:
        split: which one.
        images: of the split; at least 8 for training and 4 for validation.
        size: side of an image, in pixels.
        factor: imbalance factor of the training instances, rarest over most frequent class, in (0, 1].
        seed: another seed gives other images.
    """
    training = split == "train"
    counts = train_counts(images, factor) if training else val_counts(images)
    stream = 0 if training else 1
    dealt = _deal(counts, images, EMPTY if training else 0, np.random.default_rng((seed, stream, 0)))
    for number, labels in enumerate(dealt, start=1):
        yield _draw(labels, size, np.random.default_rng((seed, stream, number)))


def _deal(counts: list[int], images: int, empty: int, random: np.random.Generator) -> list[list[int]]:
    """Labels of each image: every class as often as counted, 1 to MOST an image, none in ``empty`` images."""
    labels = random.permutation(np.repeat(np.arange(len(counts)), counts))
    filled = random.permutation(images)[empty:]
    more = random.permutation(np.repeat(filled, MOST - 1))[: len(labels) - len(filled)]
    ends = np.cumsum(np.bincount(np.concatenate([filled, more]), minlength=images))
    return [part.tolist() for part in np.split(labels, ends[:-1])]


def _draw(labels: list[int], size: int, random: np.random.Generator) -> Scene:
    """Draw shapes over each other; one that would leave less than half of another to see is placed elsewhere."""
    image = _background(size, random)
    masks: list[Mask] = []
    areas: list[int] = []
    for label in labels:
        # It ends: the circles of three shapes reach into three corners of the image at most, and there are four.
        while True:
            radius = size * random.uniform(*RADIUS)
            x, y = random.uniform(radius, size - radius, 2)
            mask = shape_mask(label, size, size, x, y, radius, random.uniform(0, math.tau))
            visible = [other & ~mask for other in masks]
            if all(2 * part.sum() >= pixels for part, pixels in zip(visible, areas, strict=True)):
                break
        masks = [*visible, mask]
        areas.append(int(mask.sum()))
        image[mask] = np.array(CLASSES[label].colour) + random.normal(0, 12, 3)
    image += random.normal(0, 10, image.shape)
    stack = np.array(masks, dtype=bool).reshape(-1, size, size)
    cut = stack.sum((1, 2)) < np.array(areas, dtype=int)
    return Scene(image.clip(0, 255).astype(np.uint8), labels, stack, cut)


def _background(size: int, random: np.random.Generator) -> Floats:
    """Soft patches of grey with a slight tint, (size, size, 3)."""
    patches = random.uniform(50, 150, (6, 6, 1)) + random.normal(0, 8, (6, 6, 3))
    small = Image.fromarray(patches.clip(0, 255).astype(np.uint8))
    return np.asarray(small.resize((size, size), Image.Resampling.BICUBIC)).astype(np.float64)
