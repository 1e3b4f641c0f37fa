"""Folders of images for the tests."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image


def photos(folder: Path, counts: Mapping[str, int], size: tuple[int, int], tint: int, name: str = "{}.png") -> None:
    """A folder of images of noise for each class with so many of them; the first three classes are a little red, green
    and blue, by as much as the tint.

    Args:
        folder: where the folders are made.
        counts: the images of each class.
        size: height and width.
        tint: what is added to one colour.
        name: of a file, with its number in the brackets.
    """
    random = np.random.default_rng(0)
    for c, (label, count) in enumerate(counts.items()):
        (folder / label).mkdir(parents=True)
        for i in range(count):
            pixels = random.integers(0, 120, (*size, 3), dtype=np.uint8)
            pixels[..., c] += tint
            Image.fromarray(pixels).save(folder / label / name.format(i))
