"""What is cut out of an image or the frames of a video: random crops for training, the centre for evaluation."""

from __future__ import annotations

import math

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from longtail.augment.geometric import ResizedCrop
from longtail.augment.preprocessing import Interpolation, Resize

STANDARD = Resize()
CROPS = (1, 2, 5, 10)  # of a test image: the centre, and with the corners; even, with the mirror images
_OF_PILLOW = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def prepare(image: Image.Image, size: int, resize: Resize = STANDARD) -> Tensor:
    """The central crop for evaluation and prediction.

    As if the shorter side of ``image``, in RGB, were resized to ``size / resize.crop``, or both sides where the mode of
    the crop is "squash", and the centre of ``size`` × ``size`` then cut out, but in one step.

    Returns:
        (3, size, size) uint8.
    """
    return evaluation_crops(image, size, resize)[0]


def evaluation_crops(image: Image.Image, size: int, resize: Resize = STANDARD, crops: int = 1) -> list[Tensor]:
    """The crops that a number of ``CROPS`` asks for, the central one of ``prepare`` first."""
    width, height = image.size
    new_width, new_height = resize.sides(width, height, size)
    centre = (round((new_width - size) / 2), round((new_height - size) / 2))
    views = []
    for left, top in places(centre, new_width, new_height, size, crops):
        box = (
            left * width / new_width,
            top * height / new_height,
            min((left + size) * width / new_width, width),
            min((top + size) * height / new_height, height),
        )
        view = image.resize((size, size), _OF_PILLOW[resize.interpolation], box=box)
        views.append(torch.from_numpy(np.array(view).transpose(2, 0, 1).copy()))
    return mirrored(views, crops)


def places(centre: tuple[int, int], width: int, height: int, size: int, crops: int) -> list[tuple[int, int]]:
    """Left and top of the crops before any is mirrored: the centre, then the corners, those above first."""
    corners = [(left, top) for top in (0, height - size) for left in (0, width - size)]
    return [centre] if crops < 5 else [centre, *corners]


def mirrored(views: list[Tensor], crops: int) -> list[Tensor]:
    """Views (..., W), and after them their mirror images where an even number of ``crops`` is wanted."""
    return views if crops % 2 else [*views, *(view.flip(-1) for view in views)]


def central_crop(pixels: Tensor, size: int, resize: Resize = STANDARD) -> Tensor:
    """The centre of frames (T, 3, H, W) whose shorter side is resized first: uint8 (T, 3, size, size)."""
    return frame_crops(pixels, size, resize)[0]


def frame_crops(pixels: Tensor, size: int, resize: Resize = STANDARD, crops: int = 1) -> Tensor:
    """The crops that a number of ``CROPS`` asks for, that of ``central_crop`` first: (crops, T, 3, size, size)."""
    height, width = pixels.shape[2:]
    new_width, new_height = resize.sides(width, height, size)
    pixels = F.interpolate(pixels, (new_height, new_width), mode=resize.interpolation, antialias=True)
    cut = places(((new_width - size) // 2, (new_height - size) // 2), new_width, new_height, size, crops)
    return torch.stack(mirrored([pixels[..., top : top + size, left : left + size] for left, top in cut], crops))


def smallest_side(crop: ResizedCrop, width: int, height: int) -> float:
    """The shortest that a side of a random crop can be."""
    return math.sqrt(crop.scale[0] * width * height * min(crop.ratio[0], 1 / crop.ratio[1]))


def needed_side(crop: ResizedCrop | None, size: int, resize: Resize) -> int:
    """The shorter side that an image needs for crops of ``size`` that are not enlarged: for None that of evaluation."""
    return resize.shorter(size) if crop is None else math.ceil(size / smallest_side(crop, 1, 1))


def random_crop(
    pixels: Tensor,
    size: int,
    crop: ResizedCrop,
    generator: np.random.Generator,
    interpolation: Interpolation = "bilinear",
) -> Tensor:
    """A crop of random area, shape and place, resized; after ten that do not fit, the largest central one.

    Args:
        pixels: (T, 3, H, W) uint8, images of which the same is cut out.
        size: height and width of the crop.
        crop: says how large the areas are, and of what shape.
        generator: of the random numbers.
        interpolation: how the crop is resized, with antialiasing.

    Returns:
        (T, 3, size, size) uint8.
    """
    height, width = pixels.shape[2:]
    for _ in range(10):
        area = width * height * generator.uniform(*crop.scale)
        ratio = math.exp(generator.uniform(math.log(crop.ratio[0]), math.log(crop.ratio[1])))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(generator.integers(width - w + 1)), int(generator.integers(height - h + 1))
            return _cut(pixels, size, (left, top, left + w, top + h), interpolation)
    top, left, h, w = crop.central(height, width)
    return _cut(pixels, size, (left, top, left + w, top + h), interpolation)


def _cut(
    pixels: Tensor, size: int, box: tuple[int, int, int, int], interpolation: Interpolation = "bilinear"
) -> Tensor:
    """The box (left, top, right, bottom) of pixels (T, 3, H, W) as (T, 3, size, size) uint8, two to three times as fast
    as by Pillow, whose boxes may lie between pixels."""
    left, top, right, bottom = box
    part = pixels[..., top:bottom, left:right]
    return F.interpolate(part, (size, size), mode=interpolation, antialias=True).contiguous()
