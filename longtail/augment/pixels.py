"""Augmentation of an image together with a class for each of its pixels, one image at a time."""

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from longtail.augment.colour import ColourJitter
from longtail.errors import InputError

IGNORED = 255  # the label of pixels that are neither trained on nor counted
_PADDING = (124, 116, 104)  # the mean colour of ImageNet, which is 0 once normalised
_TRIES = 10


class PixelView(ABC):
    """What a training image and its mask go through. The sizes that come out of it are all the same.

    Attributes:
        sizes: names of the arguments that say how large the images become.
    """

    sizes: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def __call__(self, image: Tensor, mask: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Augment an image and its mask.

        Args:
            image: uint8 (3, H, W).
            mask: the class of each pixel, uint8 (H, W); 255 is ignored.
            generator: the only source of random numbers, on the CPU.
        """


class ScaleCropFlip(PixelView):
    """A resize by a random factor, a random crop of a fixed size, and a random flip.

    Where the image is smaller than the crop it lies somewhere in it, and what is left has the mean colour of ImageNet
    and no class. Only what the crop shows is resized: the image smoothly, the mask to the nearest pixel.

    Args:
        size: height and width of the crop in pixels, or one number for both.
        scale: least and greatest factor, relative to the image as it is read.
        flip: probability of the flip.
        max_share: a crop in which one class has a greater share of the pixels with a class, or in which no pixel has
            one, is drawn again, up to ten times; 1 takes every crop.
        jitter: strength of random changes of brightness, contrast and saturation; 0 for none.
    """

    sizes = ("size",)

    def __init__(
        self,
        size: int | tuple[int, int] = 512,
        scale: tuple[float, float] = (0.5, 2.0),
        flip: float = 0.5,
        max_share: float = 0.75,
        jitter: float = 0.0,
    ) -> None:
        self.size = (size, size) if isinstance(size, int) else (size[0], size[1])
        if min(self.size) < 1 or not 0 < scale[0] <= scale[1] or not 0 <= flip <= 1:
            raise InputError(
                f"size is in pixels, scale two positive factors, flip a probability, got {size}, {scale} and {flip}"
            )
        if not 0 < max_share <= 1 or jitter < 0:
            raise InputError(f"max_share is a share up to 1, jitter at least 0, got {max_share} and {jitter}")
        self.scale, self.flip, self.max_share = scale, flip, max_share
        self.colour = ColourJitter(jitter, jitter, jitter, 0) if jitter else None

    def __call__(self, image: Tensor, mask: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        least, greatest = self.scale
        factor = least + (greatest - least) * _uniform(generator)
        sides = [max(1, round(side / factor)) for side in self.size]  # of the crop, in pixels of the image
        for _ in range(_TRIES):
            starts = [_start(length, side, generator) for length, side in zip(mask.shape, sides, strict=True)]
            top, left, bottom, right = _inside(starts, sides, mask)
            if self._is_mixed(mask[top:bottom, left:right]):
                break
        pixels, labels = image[:, top:bottom, left:right], mask[top:bottom, left:right]
        (y1, y2), (x1, x2) = (
            _place(first - start, last - start, side, length)
            for first, last, start, side, length in zip(
                (top, left), (bottom, right), starts, sides, self.size, strict=True
            )
        )
        pixels, labels = resize(pixels, (y2 - y1, x2 - x1)), resize_mask(labels, (y2 - y1, x2 - x1))
        if self.colour is not None:
            pixels = self.colour(pixels[None], generator)[0]
        if pixels.shape[1:] != self.size:
            padded = torch.tensor(_PADDING, dtype=torch.uint8)[:, None, None].repeat(1, *self.size)
            padded[:, y1:y2, x1:x2] = pixels
            around = torch.full(self.size, IGNORED, dtype=torch.uint8)
            around[y1:y2, x1:x2] = labels
            pixels, labels = padded, around
        if _uniform(generator) < self.flip:
            pixels, labels = pixels.flip(2), labels.flip(1)
        return pixels.contiguous(), labels.contiguous()

    def _is_mixed(self, labels: Tensor) -> bool:
        """Whether no class has too great a share of the pixels."""
        if self.max_share == 1:
            return True
        pixels = torch.bincount(labels.flatten(), minlength=IGNORED + 1)[:IGNORED]
        return 0 < int(pixels.max()) <= self.max_share * int(pixels.sum())


def resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """An image (3, H, W), uint8, resized smoothly to a height and a width."""
    if image.shape[1:] == size:
        return image
    if size[1] == 1:  # torch's kernel for uint8 fails or gives wrong values for a single column
        return F.interpolate(image[None].float(), size, mode="bilinear", antialias=True)[0].round().to(torch.uint8)
    return F.interpolate(image[None], size, mode="bilinear", antialias=True)[0]


def resize_mask(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """A mask (H, W), uint8, with the nearest label for each pixel of a height and a width."""
    if mask.shape == size:
        return mask
    return F.interpolate(mask[None, None], size, mode="nearest-exact")[0, 0]


def _uniform(generator: torch.Generator) -> float:
    return torch.rand((), generator=generator).item()


def _start(length: int, side: int, generator: torch.Generator) -> int:
    """Where ``side`` pixels begin on ``length`` pixels: inside of them, or around them where they are fewer."""
    low, high = sorted((0, length - side))
    return low + math.floor((high - low + 1) * _uniform(generator))


def _inside(starts: list[int], sides: list[int], mask: Tensor) -> tuple[int, int, int, int]:
    """The part of a box that lies in the mask: top, left, bottom, right."""
    (top, left), (height, width) = starts, sides
    return max(0, top), max(0, left), min(mask.shape[0], top + height), min(mask.shape[1], left + width)


def _place(first: int, last: int, side: int, length: int) -> tuple[int, int]:
    """The pixels from ``first`` to ``last`` of ``side``, once these are resized to ``length``: one at least."""
    begin = min(round(first * length / side), length - 1)
    return begin, max(round(last * length / side), begin + 1)
