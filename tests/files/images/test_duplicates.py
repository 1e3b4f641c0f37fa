"""Copies of files and of pictures, against a comparison of every pair by plain loops."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from longtail.files.images import duplicates
from longtail.files.images.duplicates import contents, near, small_picture

RANDOM = np.random.default_rng(0)


def scene(seed: int, side: int = 8) -> Image.Image:
    """A smooth picture that is like no other."""
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((96, 80), Image.Resampling.BICUBIC)


def variant(image: Image.Image, form: str) -> Image.Image:
    match form:
        case "quality":
            file = io.BytesIO()
            image.save(file, "JPEG", quality=30)
            return Image.open(file)
        case "size":
            return image.resize((48, 40), Image.Resampling.LANCZOS)
        case "brightness":
            return image.point(lambda value: 0.7 * value)
        case "grey":
            return image.convert("L")
        case "mirror":
            return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        case _:
            return image.crop((12, 10, 84, 70))


def smalls(images: list[Image.Image]) -> np.ndarray:
    return np.stack([small_picture(image) for image in images])


@pytest.mark.parametrize(
    ("form", "alike"),
    [("quality", True), ("size", True), ("brightness", True), ("grey", True), ("mirror", False), ("crop", False)],
)
def test_a_picture_in_another_form_is_like_the_first_and_like_no_other(form: str, alike: bool) -> None:
    originals = [scene(i) for i in range(40)]
    partners = near(smalls([variant(image, form) for image in originals]), smalls(originals))
    assert partners.tolist() == (list(range(40)) if alike else [-1] * 40)


def test_bands_find_what_a_comparison_of_all_pairs_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise takes pictures across the limits, so both sides of them are met; with little room, blocks too."""
    monkeypatch.setattr(duplicates, "_PAIRS", 7)
    base = smalls([scene(i, 12) for i in range(20)]).astype(np.float64)
    noise = RANDOM.normal(size=(6, *base.shape)) * np.arange(0, 18, 3)[:, None, None, None]
    ours = np.clip(base + noise, 0, 255).astype(np.uint8).reshape(-1, *base.shape[1:])
    theirs = base.astype(np.uint8)
    expected = []
    for image in ours.astype(np.float64):
        likeness = []
        for partner in theirs.astype(np.float64):
            steps = [[row[x + 1] - row[x] for row in picture for x in range(16)] for picture in (image, partner)]
            bits = sum((a > 2) != (b > 2) for a, b in zip(*steps, strict=True))
            a, b = map(np.array, steps)
            cosine = float(a @ b / np.sqrt((a @ a) * (b @ b)))
            likeness.append(cosine if bits <= 23 and cosine >= 0.97 else 0.0)
        expected.append(int(np.argmax(likeness)) if max(likeness) else -1)
    assert 20 < np.count_nonzero(np.array(expected) >= 0) < 120
    partners = near(ours, theirs).tolist()
    misses = [i for i, (row, partner) in enumerate(zip(partners, expected, strict=True)) if row != partner]
    assert len(misses) <= 2  # of those that differ in more than 15 bits a few agree in no band
    assert all(partners[i] == -1 for i in misses)


def test_a_crowd_of_like_pictures_is_compared_with_some_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "_CROWD", 3)
    crowd = np.repeat(smalls([scene(1)]), 50, axis=0)
    assert (near(crowd[:5], crowd) >= 0).all()


def test_flat_small_and_missing_pictures_are_like_none() -> None:
    flat = small_picture(Image.new("RGB", (64, 64), "grey"))
    tiny = small_picture(scene(0).resize((16, 16)))
    pictures = np.stack([flat, tiny])
    assert near(pictures, pictures).tolist() == [-1, -1]
    assert near(pictures[:0], pictures).shape == (0,)
    assert near(smalls([scene(0)]), pictures[:0]).tolist() == [-1]


def test_contents_are_equal_where_the_bytes_are(tmp_path: Path) -> None:
    texts = {"a": b"one", "b": b"two", "c": b"one", "d": b"longer"}
    for name, text in texts.items():
        (tmp_path / name).write_bytes(text)
    for name, frames in {"x": ("1", "2"), "y": ("1", "2"), "z": ("1", "3")}.items():
        (tmp_path / name).mkdir()
        for frame in frames:
            (tmp_path / name / frame).write_bytes(b"frame")
    a, b, c, d, x, y, z, gone, lost = contents([str(tmp_path / name) for name in [*texts, *"xyz", "gone", "lost"]])
    assert a == c
    assert x == y
    assert len({a, b, d, x, z, gone, lost}) == 7
