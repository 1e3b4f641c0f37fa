"""Image files as a torch data set: random crops for training, one central crop for evaluation."""

from __future__ import annotations

import math
import os
from typing import TypedDict

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from longtail.data.images import decode
from longtail.data.listing import Listing

_RATIO = (3 / 4, 4 / 3)  # of width to height, for random crops


class Sample(TypedDict):
    """One image: ``images`` (V, 3, size, size) uint8, its class ``target`` and its ``row`` in the listing."""

    images: Tensor
    target: int
    row: int


class ImageFiles(Dataset[Sample]):
    """The images of a listing, read from their files; indexed by a pair of row and draw.

    For training, a file is decoded once and ``num_views`` crops of random area and shape are taken from it and resized,
    distributed as in torchvision's ``RandomResizedCrop``. ``draw``, a number that is not negative, is their only source
    of randomness: the same pair gives the same crops. For evaluation, ``draw`` is ignored and one view is taken as in
    ``prepare``. Flips and colours are left to the augmentations that follow.

    A JPEG is decoded at 1/2, 1/4 or 1/8 of its size where that loses nothing: for evaluation, where its shorter side
    stays at least as long as it is resized to; for training, where the smallest crop possible stays at least ``size``
    on both sides.

    Args:
        listing: the images.
        size: height and width of the views.
        train: whether to crop at random.
        num_views: V, crops of each image; 1 for evaluation.
        scale: least and greatest area of a random crop as parts of the image's.

    Raises:
        ValueError: an argument is out of range.
        InputError: on indexing, a file cannot be decoded.
    """

    def __init__(
        self,
        listing: Listing,
        size: int,
        train: bool,
        num_views: int = 1,
        scale: tuple[float, float] = (0.08, 1.0),
    ) -> None:
        if size < 1 or num_views < 1 or not 0 < scale[0] <= scale[1] <= 1:
            raise ValueError(
                f"size and num_views must be at least 1 and 0 < scale[0] <= scale[1] <= 1, "
                f"not {size}, {num_views} and {scale}"
            )
        if not train and num_views != 1:
            raise ValueError(f"num_views must be 1 for evaluation, not {num_views}")
        # One block of bytes: a list of strings would be copied into every worker, page by page, as it is read.
        names = [os.fsencode(path) for path in listing.paths]
        self._names = b"".join(names)
        self._ends = np.cumsum([0, *map(len, names)])
        self._targets = listing.targets
        self._size = size
        self._train = train
        self._num_views = num_views
        self._scale = scale

    def __len__(self) -> int:
        return len(self._targets)

    def __getitem__(self, index: tuple[int, int]) -> Sample:
        row, draw = index
        path = os.fsdecode(self._names[self._ends[row] : self._ends[row + 1]])
        image = decode(path, self._reduction)
        if self._train:
            generator = np.random.default_rng(draw)
            pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
            views = [random_crop(pixels[None], self._size, self._scale, generator)[0] for _ in range(self._num_views)]
        else:
            views = [prepare(image, self._size)]
        return {"images": torch.stack(views), "target": int(self._targets[row]), "row": int(row)}

    def _reduction(self, width: int, height: int) -> float:
        """How many times smaller an image of this size may be decoded."""
        if self._train:
            smallest = math.sqrt(self._scale[0] * width * height * _RATIO[0])
            return min(smallest, width, height) / self._size  # the central crop may be smaller still
        return min(width, height) / resized(self._size)


def prepare(image: Image.Image, size: int) -> Tensor:
    """The central crop for evaluation and prediction.

    As if the shorter side of ``image``, in RGB, were resized to ``size / 0.875`` and the centre of ``size`` × ``size``
    then cut out, but in one step.

    Returns:
        (3, size, size) uint8.
    """
    width, height = image.size
    shorter = min(width, height)
    new_width, new_height = (resized(size) * side // shorter for side in (width, height))
    left, top = round((new_width - size) / 2), round((new_height - size) / 2)
    box = (
        left * width / new_width,
        top * height / new_height,
        min((left + size) * width / new_width, width),
        min((top + size) * height / new_height, height),
    )
    return _resize(image, size, box)


def resized(size: int) -> int:
    """The shorter side from which the central crop is cut."""
    return round(size / 0.875)


def random_crop(pixels: Tensor, size: int, scale: tuple[float, float], generator: np.random.Generator) -> Tensor:
    """A crop of random area, shape and place, resized; after ten that do not fit, the largest central one.

    Args:
        pixels: (T, 3, H, W) uint8, images of which the same is cut out.
        size: height and width of the crop.
        scale: least and greatest area as parts of the image's.
        generator: of the random numbers.

    Returns:
        (T, 3, size, size) uint8.
    """
    height, width = pixels.shape[2:]
    for _ in range(10):
        area = width * height * generator.uniform(*scale)
        ratio = math.exp(generator.uniform(math.log(_RATIO[0]), math.log(_RATIO[1])))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(generator.integers(width - w + 1)), int(generator.integers(height - h + 1))
            return _cut(pixels, size, (left, top, left + w, top + h))
    w, h = min(width, round(height * _RATIO[1])), min(height, round(width / _RATIO[0]))
    left, top = (width - w) // 2, (height - h) // 2
    return _cut(pixels, size, (left, top, left + w, top + h))


def _cut(pixels: Tensor, size: int, box: tuple[int, int, int, int]) -> Tensor:
    """The box (left, top, right, bottom) of pixels (T, 3, H, W) as (T, 3, size, size) uint8, two to three times as fast
    as by Pillow, whose boxes may lie between pixels."""
    left, top, right, bottom = box
    part = pixels[..., top:bottom, left:right]
    return F.interpolate(part, (size, size), mode="bilinear", antialias=True).contiguous()


def _resize(image: Image.Image, size: int, box: tuple[float, float, float, float]) -> Tensor:
    """The box (left, top, right, bottom) of ``image`` as (3, size, size) uint8."""
    view = image.resize((size, size), Image.Resampling.BILINEAR, box=box)
    return torch.from_numpy(np.array(view).transpose(2, 0, 1).copy())
