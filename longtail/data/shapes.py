"""Generated images of geometric shapes, long-tailed, in COCO's layout: detection and segmentation without a download.

``python -m longtail.data.shapes FOLDER`` writes a set.
"""

import argparse
import contextlib
import json
import math
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from longtail.counts import exponential_counts
from longtail.errors import InputError

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]
SplitName = Literal["train", "val"]
Style = Literal["instances"]


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


def shape_mask(
    label: int, height: int, width: int, x: float, y: float, radius: float, angle: float
) -> NDArray[np.bool_]:
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

    The arguments are those of :func:`write_shapes`.
    """
    training = split == "train"
    counts = train_counts(images, factor) if training else val_counts(images)
    stream = get_args(SplitName).index(split)
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
    whole: list[int] = []
    for label in labels:
        # It ends: the circles of three shapes reach into three corners of the image at most, and there are four.
        while True:
            radius = size * random.uniform(*RADIUS)
            x, y = random.uniform(radius, size - radius, 2)
            mask = shape_mask(label, size, size, x, y, radius, random.uniform(0, math.tau))
            left = [other & ~mask for other in masks]
            if all(2 * part.sum() >= pixels for part, pixels in zip(left, whole, strict=True)):
                break
        masks = [*left, mask]
        whole.append(int(mask.sum()))
        image[mask] = np.array(CLASSES[label].colour) + random.normal(0, 12, 3)
    image += random.normal(0, 10, image.shape)
    seen = np.array(masks, dtype=bool).reshape(-1, size, size)
    cut = seen.sum((1, 2)) < np.array(whole, dtype=int)
    return Scene(image.clip(0, 255).astype(np.uint8), labels, seen, cut)


def _background(size: int, random: np.random.Generator) -> Floats:
    """Soft patches of grey with a slight tint, (size, size, 3)."""
    patches = random.uniform(50, 150, (6, 6, 1)) + random.normal(0, 8, (6, 6, 3))
    small = Image.fromarray(patches.clip(0, 255).astype(np.uint8))
    return np.asarray(small.resize((size, size), Image.Resampling.BICUBIC)).astype(np.float64)


def outlines(mask: Mask) -> list[list[int]]:
    """Outlines of a mask (H, W) along the edges of its pixels: the corners x, y, x, y, ... of every closed line.

    Lines run clockwise around the mask and anticlockwise around a hole. Pixels that touch at a corner belong together.
    """
    edges: dict[tuple[int, int, int, int], None] = {}  # x and y of an edge's start, its direction; the mask is right
    for dx, dy in ((1, 0), (0, 1), (-1, 0), (0, -1)):
        beside = np.roll(np.pad(mask, 1), (dx, -dy), (0, 1))[1:-1, 1:-1]  # the pixel left of the edge
        rows, columns = np.nonzero(mask & ~beside)
        starts = zip((columns + (dy > 0 or dx < 0)).tolist(), (rows + (dx < 0 or dy < 0)).tolist(), strict=True)
        edges.update(dict.fromkeys((x, y, dx, dy) for x, y in starts))
    lines = []
    done = set()
    # Every line has a first edge to the right, and that begins at a corner.
    for start in [edge for edge in edges if edge[2] == 1]:
        if start in done:
            continue
        line: list[int] = []
        x, y, dx, dy = start
        while True:
            done.add((x, y, dx, dy))
            x, y = x + dx, y + dy
            turns = ((dy, -dx), (dx, dy), (-dy, dx))  # left, straight on, right
            turn = next(each for each in turns if (x, y, *each) in edges)
            if turn != (dx, dy):
                line += [x, y]
            dx, dy = turn
            if (x, y, dx, dy) == start:
                break
        lines.append(line)
    return lines


def run_lengths(mask: Mask) -> dict[str, list[int]]:
    """COCO's uncompressed run lengths of a mask (H, W): column by column, in turn outside and inside it."""
    flat = mask.ravel(order="F")
    ends = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff([0, *ends.tolist(), len(flat)]).tolist()
    return {"size": list(mask.shape), "counts": [0, *runs] if flat[0] else runs}


def _segmentation(mask: Mask, cut: bool) -> list[list[int]] | dict[str, list[int]]:
    """Polygons of a mask (H, W), or its run lengths where it is cut or has a hole."""
    lines = outlines(mask)
    return run_lengths(mask) if cut or any(_area(line) < 0 for line in lines) else lines


def _area(line: list[int]) -> float:
    """Area inside a closed line x, y, x, y, ..., in pixels; negative where the line runs anticlockwise."""
    x, y = np.array(line).reshape(-1, 2).T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


def _box(mask: Mask) -> list[int]:
    """Left, top, width and height of the pixels of a mask (H, W)."""
    columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    left, top = int(columns[0]), int(rows[0])
    return [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top]


def write_shapes(
    folder: Path,
    train: int = 120,
    val: int = 40,
    size: int = 96,
    factor: float = 0.05,
    seed: int = 0,
    style: Style = "instances",
) -> None:
    """Write a long-tailed set of images of shapes, in COCO's layout.

    ``folder/annotations`` gets ``instances_train.json`` and ``instances_val.json``, ``folder/train`` and
    ``folder/val`` the PNG images. In training the number of instances falls exponentially over the classes, and two
    images show no shape; validation is balanced. The folder is written whole or not at all, and the same call with the
    same versions of numpy and Pillow gives the same bytes.

    Args:
        folder: a folder that does not exist yet, or is empty.
        train: training images, at least 8.
        val: validation images, at least 4.
        size: side of an image, in pixels, at least 32.
        factor: imbalance factor of the training instances, rarest over most frequent class, in (0, 1].
        seed: another seed gives other images.
        style: what the annotations are for; so far ``"instances"`` (boxes and masks).

    Raises:
        InputError: if the folder is not empty or cannot be written, or an argument is out of its range.
    """
    for name, value, least in (("train", train, 8), ("val", val, 4), ("size", size, 32), ("seed", seed, 0)):
        if value < least:
            raise InputError(f"{name} must be at least {least}, got {value}")
    if not 0 < factor <= 1:
        raise InputError(f"factor must be in (0, 1], got {factor}")
    if style not in get_args(Style):
        raise InputError(f'unknown style "{style}": choose from {", ".join(get_args(Style))}')
    splits: dict[SplitName, int] = {"train": train, "val": val}
    with _whole(folder) as inside:
        (inside / "annotations").mkdir()
        for split, images in splits.items():
            (inside / split).mkdir()
            drawn = scenes(split, images, size, factor, seed)
            text = json.dumps(_write_images(inside / split, drawn), separators=(",", ":")) + "\n"
            (inside / "annotations" / f"instances_{split}.json").write_text(text, encoding="utf-8", newline="\n")


def _write_images(folder: Path, drawn: Iterator[Scene]) -> dict[str, Any]:
    """Write the images of a split into ``folder`` and return its annotations."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, scene in enumerate(drawn, start=1):
        name = f"{number:06d}.png"
        Image.fromarray(scene.image).save(folder / name)
        height, width = scene.image.shape[:2]
        images.append({"id": number, "file_name": name, "width": width, "height": height})
        for label, mask, cut in zip(scene.labels, scene.masks, scene.cut.tolist(), strict=True):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": CLASSES[label].category,
                    "bbox": _box(mask),
                    "area": int(mask.sum()),
                    "segmentation": _segmentation(mask, cut),
                    "iscrowd": 0,
                }
            )
    categories = [{"id": each.category, "name": each.name, "supercategory": "shape"} for each in CLASSES]
    return {"images": images, "annotations": annotations, "categories": categories}


@contextlib.contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """A temporary folder beside ``folder`` that takes its name at the end, or is removed on failure.

    Raises:
        InputError: if the folder is not empty, or cannot be written.
    """
    target = folder.resolve()
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise InputError(f"{folder} is not an empty folder: give a new one")
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        yield temporary
        if target.exists():
            target.rmdir()  # it is empty; only some systems rename over it
        temporary.replace(target)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError):
            reason = error.strerror or type(error).__name__
            raise InputError(f"{folder}: cannot be written ({reason}); check the folder and the free space") from error
        raise


def main(argv: Sequence[str] | None = None) -> int:
    """Write a set from the command line; returns the exit code: 0, or 2 for what the user can put right."""
    parser = argparse.ArgumentParser("python -m longtail.data.shapes", description="Write a small set of shapes.")
    parser.add_argument("folder", type=Path, help="a new folder")
    parser.add_argument("--train", type=int, default=120, help="training images (default 120)")
    parser.add_argument("--val", type=int, default=40, help="validation images (default 40)")
    parser.add_argument("--size", type=int, default=96, help="side of an image in pixels (default 96)")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other images (default 0)")
    known = parser.parse_args(argv)
    try:
        write_shapes(known.folder, known.train, known.val, known.size, seed=known.seed)
    except InputError as error:
        sys.stderr.write(f"longtail: error: {error}\n")
        return 2
    sys.stdout.write(f"{known.folder}: {known.train} training and {known.val} validation images\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
