"""Pictures with what they show drawn in."""

import base64
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from longtail.reports.overlays import COLOURS, colour, data_uri, draw_instances, draw_labels

from .sample import HOSTILE

SIZES = [(1, 1), (1, 300), (300, 1), (7, 5), (64, 48), (640, 480), (3000, 2000)]
every_size = pytest.mark.parametrize("size", SIZES)


def photo(size: tuple[int, int] = (64, 48), mode: str = "RGB") -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def difference(image: Image.Image, picture: Image.Image) -> Any:
    """Return which pixels (H, W) are not as they were."""
    return (np.asarray(image) != np.asarray(picture)).any(axis=2)


@every_size
def test_instances_of_every_size(size: tuple[int, int]) -> None:
    image, (width, height) = photo(size), size
    before = image.tobytes()
    boxes = [(0, 0, width, height), (width / 3, height / 3, width / 2, height / 2), (-5, -5, 2 * width, 3)]
    masks = [np.ones((height, width), dtype=np.bool_), np.zeros((height, width), dtype=np.bool_)]
    masks.append(np.eye(height, width, dtype=np.bool_))
    picture = draw_instances(image, boxes, HOSTILE[:3], [0, 7, 1202], [1.0, 0.5, 0.0], masks)
    assert (picture.size, picture.mode) == (size, "RGB")
    assert image.tobytes() == before
    assert difference(image, picture).any()


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P"])
def test_images_of_every_mode(mode: str) -> None:
    image = photo(mode=mode)
    picture = draw_instances(image, [(1, 1, 20, 20)], ["x"], [0])
    assert (picture.mode, image.mode) == ("RGB", mode)
    assert draw_labels(image, np.zeros((48, 64), dtype=np.int64), ["x"]).mode == "RGB"
    assert data_uri(image, 10).startswith("data:image/jpeg;base64,")


def test_nothing_to_draw() -> None:
    image = photo()
    for picture in (draw_instances(image, [], [], []), draw_instances(image, [], [], [], [], [])):
        assert picture is not image
        assert picture.tobytes() == image.tobytes()
    labels = np.full((48, 64), 255)
    assert draw_labels(image, labels, ["x"]).tobytes() == image.tobytes()
    assert draw_labels(image, labels, []).tobytes() == image.tobytes()


def test_a_box_is_a_thin_line_in_the_colour_of_its_class() -> None:
    image = Image.new("RGB", (100, 80))
    pixels = np.asarray(draw_instances(image, [(20, 40, 60, 70)], [""], [3]))
    rows, columns = np.nonzero(pixels.any(axis=2))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (40, 70, 20, 60)
    assert len(rows) == 2 * (31 + 41) - 4
    assert {tuple(pixel) for pixel in pixels[rows, columns].tolist()} == {colour(3)}


@pytest.mark.parametrize(
    "box", [(0, 0, 64, 48), (60, 44, 64, 48), (60, 44, 90, 90), (63, 47, 63, 47), (30, 30, 10, 10), (-9, -9, -1, -1)]
)
def test_boxes_at_the_border_are_drawn_within(box: tuple[int, ...]) -> None:
    image = photo()
    assert difference(image, draw_instances(image, [box], ["person"], [0], [0.5])).any()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_boxes_of_a_network_that_diverged(value: float) -> None:
    assert draw_instances(photo(), [(value, 0, 10, value)], ["x"], [0], [value]).size == (64, 48)


def test_masks_are_half_transparent() -> None:
    image, mask = photo(), np.zeros((48, 64), dtype=np.bool_)
    mask[30:40, 50:60] = True
    picture = draw_instances(image, [(50, 30, 59, 39)], [""], [1], masks=[mask])
    assert (difference(image, picture) <= mask).all()
    expected = (np.asarray(image)[35, 55].astype(int) + colour(1)) / 2
    assert np.asarray(picture)[35, 55] == pytest.approx(expected, abs=1)


def test_small_masks_are_seen_on_large_ones() -> None:
    image = Image.new("RGB", (64, 48))
    small = np.zeros((48, 64), dtype=np.bool_)
    small[20:30, 20:30] = True
    whole = np.ones((48, 64), dtype=np.bool_)
    boxes = [(0, 0, 1, 1), (0, 0, 1, 1)]
    for masks, classes in (([small, whole], [0, 1]), ([whole, small], [1, 0])):
        pixels = np.asarray(draw_instances(image, boxes, ["", ""], classes, masks=masks)).astype(int)
        assert (abs(pixels[25, 25] - colour(0)) < abs(pixels[25, 25] - np.array(colour(1)))).any()


@pytest.mark.parametrize("corner", [(0, 0), (600, 0), (0, 440), (600, 440)])
def test_labels_stay_inside(corner: tuple[int, int]) -> None:
    """The letters of a label that were cut off would have fewer smooth edges than in the middle of the picture."""
    image = Image.new("RGB", (640, 480))

    def edges(x: int, y: int) -> int:
        pixels = np.asarray(draw_instances(image, [(x, y, x + 39, y + 39)], ["a rather long name"], [2]))
        return int((pixels.any(axis=2) & (pixels != colour(2)).any(axis=2)).sum())

    assert edges(*corner) == edges(250, 200) > 100


def test_labels_keep_clear_of_one_another() -> None:
    image = Image.new("RGB", (640, 480))
    single = draw_instances(image, [(100, 100, 400, 300)], ["person"], [0])
    pair = draw_instances(image, [(100, 100, 400, 300)] * 2, ["person", "person"], [0, 0])
    assert difference(image, pair).sum() > difference(image, single).sum() + 500


def test_labels_of_pixels() -> None:
    image = photo((640, 480))
    before = image.tobytes()
    labels = np.zeros((480, 640), dtype=np.int64)
    labels[:, 320:] = 1
    labels[:100, :100] = 255
    labels[100:200, :100] = 2
    labels[200:300, :100] = -1
    picture = draw_labels(image, labels, ["road", ""])
    assert image.tobytes() == before
    assert picture.size == image.size
    same = ~difference(image, picture)
    assert same[:300, :100].all()
    assert same[:, 100:].mean() < 0.01
    assert np.asarray(picture)[470, 630] == pytest.approx(
        (np.asarray(image)[470, 630].astype(int) + colour(1)) / 2, abs=1
    )
    ink = (np.asarray(picture)[:, 100:320] == colour(0)).all(axis=2)
    assert ink.sum() > 500, "the name of the class stands on its own colour"


@every_size
def test_labels_of_pixels_of_every_size(size: tuple[int, int]) -> None:
    labels = np.arange(size[0] * size[1]).reshape(size[1], size[0]) % 150
    assert draw_labels(photo(size), labels, [f"class {index}" for index in range(150)]).size == size


def test_colours_are_stable_and_apart() -> None:
    colours = [colour(index) for index in range(COLOURS)]
    assert len(set(colours)) == COLOURS
    assert colour(COLOURS + 3) == colour(3)
    assert all(isinstance(value, int) and 0 <= value <= 255 for triple in colours for value in triple)
    for count, apart in ((20, 90), (80, 40)):
        steps = np.array(colours[:count])[:, None] - np.array(colours[:count])[None]
        distances = np.sqrt((steps**2).sum(axis=2)) + 1000 * np.eye(count)
        assert distances.min() > apart


@every_size
def test_data_uri(size: tuple[int, int]) -> None:
    image = photo(size)
    before = image.tobytes()
    head, text = data_uri(image, 100).split(",")
    assert head == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(text))) as picture:
        assert (picture.format, picture.mode) == ("JPEG", "RGB")
        assert max(picture.size) == min(100, max(size))
        assert picture.size[0] / picture.size[1] == pytest.approx(size[0] / size[1], rel=0.03) or min(picture.size) == 1
    assert (image.tobytes(), image.size) == (before, size)
