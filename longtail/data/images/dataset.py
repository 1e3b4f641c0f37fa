"""Image files as a torch data set: random crops for training, one central crop for evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from longtail.augment.base import Crop
from longtail.augment.geometric import ResizedCrop
from longtail.augment.preprocessing import Resize
from longtail.data.images.base import LoadedImages
from longtail.errors import InputError
from longtail.files.images.crops import STANDARD, evaluation_crops, prepare, random_crop, smallest_side
from longtail.files.images.decoded import Pixels
from longtail.files.images.reading import decode
from longtail.files.listing import Listing
from longtail.files.texts import Block, Texts


class Sample(TypedDict):
    """One image: ``images`` (V, 3, size, size) uint8, its ``row`` in the listing, and that of its targets there,
    ``target``: its class, or which classes (C,) it has."""

    images: Tensor
    target: int | list[bool]
    row: int


class ImageFiles(Dataset[Sample]):
    """The images of a listing, read from their files; indexed by a pair of row and draw.

    For training, a file is decoded once and a crop for each view is taken from it and resized, distributed as in
    torchvision's ``RandomResizedCrop``. ``draw``, a number that is not negative, is their only source of randomness:
    the same pair gives the same crops. For evaluation, ``draw`` is ignored and the views are those of
    ``evaluation_crops``. Flips and colours are left to the augmentations that follow.

    A JPEG is decoded at 1/2, 1/4 or 1/8 of its size where that loses nothing: for evaluation, where its shorter side
    stays at least as long as it is resized to; for training, where the smallest crop possible stays at least ``size``
    on both sides.

    Args:
        listing: the images.
        size: height and width of the views.
        crops: for training, how each of the V views is cropped; None for a view that is taken as in ``prepare``. Left
            out for evaluation.
        resize: how images are brought to their size.
        bit_depth: how many bits of images of 16 count, where they do not say it.
        test_crops: crops for evaluation, one of ``longtail.files.images.crops.CROPS``.
        pixels: the images as they are kept decoded, in the place of their files.

    Raises:
        ValueError: ``size`` is below 1, or there is no view.
        InputError: on indexing, a file cannot be decoded.
    """

    def __init__(
        self,
        listing: Listing,
        size: int,
        crops: Sequence[ResizedCrop | None] | None = None,
        resize: Resize = STANDARD,
        bit_depth: int | None = None,
        test_crops: int = 1,
        pixels: Pixels | None = None,
    ) -> None:
        if size < 1 or (crops is not None and not crops):
            raise ValueError(f"size must be at least 1, and crops have one entry or more, not {size} and {crops}")
        # A list of strings would be copied into every worker, page by page, as it is read.
        self._paths = listing.paths if isinstance(listing.paths, Texts) else Block.of(listing.paths)
        self._targets = listing.targets
        self._size = size
        self._crops, self._resize = crops, resize
        self._bit_depth, self._test_crops, self._pixels = bit_depth, test_crops, pixels

    def __len__(self) -> int:
        return len(self._targets)

    def path(self, row: int) -> str:
        """The file of an image."""
        return self._paths[row]

    def __getitem__(self, index: tuple[int, int]) -> Sample:
        row, draw = index
        array = None if self._pixels is None else self._pixels[row]
        if array is None:
            image = decode(self.path(row), self._reduction, self._bit_depth)
        elif self._crops is None or None in self._crops:
            image = Image.fromarray(array)
        if self._crops is None:
            views = evaluation_crops(image, self._size, self._resize, self._test_crops)
        else:
            generator = np.random.default_rng(draw)
            pixels = torch.from_numpy(np.array(image) if array is None else array).permute(2, 0, 1)[None]
            how = self._resize.interpolation
            views = [
                prepare(image, self._size, self._resize)
                if crop is None
                else random_crop(pixels, self._size, crop, generator, how)[0]
                for crop in self._crops
            ]
        return {"images": torch.stack(views), "target": self._targets[row].tolist(), "row": int(row)}

    def _reduction(self, width: int, height: int) -> float:
        """How many times smaller an image of this size may be decoded."""
        sides = [
            min(width, height) / self._resize.shorter(self._size)
            if crop is None
            else min(smallest_side(crop, width, height), width, height) / self._size  # the central one may be smaller
            for crop in self._crops or [None]
        ]
        return min(sides)


def crops_of_files(crops: Sequence[Crop | None], min_scale: float, size: int) -> list[ResizedCrop | None]:
    """What is cut out of a decoded file for each view; None where the view crops what evaluation would take.

    Args:
        crops: of the views.
        min_scale: smallest area of the crop of a view that has none.
        size: side of the images, in pixels.

    Raises:
        InputError: on a crop of another size than the images have.
    """
    own = [ResizedCrop(scale=(min_scale, 1.0)) if crop is None else crop for crop in crops]
    resized = [crop if isinstance(crop, ResizedCrop) else None for crop in own]
    for crop in resized:
        if crop is not None and crop.size not in (None, size):
            raise InputError(f"a view crops to {crop.size} pixels, and images have {size}: leave out size")
    return resized


def stacked(samples: Sequence[tuple[Sample, int]]) -> LoadedImages:
    """A batch of images with their draws, of which the first counts."""
    return {
        "images": torch.stack([sample["images"] for sample, _ in samples]),
        "targets": torch.tensor([sample["target"] for sample, _ in samples]),
        "rows": torch.tensor([sample["row"] for sample, _ in samples]),
        "seed": samples[0][1],
    }


class WithDraw(Dataset[tuple[Sample, int]]):
    """Hands the random number of an image on to the batch."""

    def __init__(self, images: Dataset[Sample]) -> None:
        self.images = images

    def __getitem__(self, index: tuple[int, int]) -> tuple[Sample, int]:
        return self.images[index], index[1]

    def path(self, row: int) -> str:
        """The file of an image."""
        path: str = self.images.path(row)  # type: ignore[attr-defined]
        return path
