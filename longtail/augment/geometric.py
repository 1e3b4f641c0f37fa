"""Crops, flips, and affine changes by whole pixels.

Every affine change is one nearest-neighbour gather: an inverse matrix per image says where each output pixel comes
from. Coordinates are those of torchvision: x to the right, y down, a pixel's centre half a pixel from its corner.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, pad

from longtail.augment.base import Crop, apply_grouped, as_batch, check_range, keep


class PadCrop(Crop):
    """A crop of the original size at a random place of the image padded with zeros.

    Args:
        padding: pixels added on each side; the crop moves by -padding ... padding pixels in x and in y, each equally
            likely.

    Raises:
        ValueError: if ``padding`` is negative.
    """

    def __init__(self, padding: int = 4) -> None:
        check_range("padding", padding, 0)
        self.padding = padding

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        images = as_batch(images)
        top, left = torch.randint(2 * self.padding + 1, (2, len(images)), generator=generator)
        return pad_crop(images, top, left, self.padding)

    def __repr__(self) -> str:
        return f"PadCrop(padding={self.padding})"


class HorizontalFlip:
    """Left and right exchanged in an image with probability ``p``.

    Raises:
        ValueError: if ``p`` is outside [0, 1].
    """

    def __init__(self, p: float = 0.5) -> None:
        check_range("p", p, 0, 1)
        self.p = p

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        images = as_batch(images)
        draw = torch.rand(1, len(images), generator=generator)
        return apply_grouped(images, (draw < self.p).long(), draw, (keep, lambda part, _: part.flip(-1)))

    def __repr__(self) -> str:
        return f"HorizontalFlip(p={self.p})"


class Rotation:
    """An image turned about its centre by an angle drawn evenly from -``degrees`` ... ``degrees``, nearest pixel; black
    where nothing is.

    Raises:
        ValueError: if ``degrees`` is outside [0, 180].
    """

    def __init__(self, degrees: float) -> None:
        check_range("degrees", degrees, 0, 180)
        self.degrees = degrees

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        images = as_batch(images)
        angles = self.degrees * (2 * torch.rand(len(images), generator=generator) - 1)
        return rotate(images, angles)

    def __repr__(self) -> str:
        return f"Rotation(degrees={self.degrees})"


class ResizedCrop(Crop):
    """A crop of random area and aspect ratio, resized with bilinear interpolation (Szegedy et al., CVPR 2015).

    The draw is that of torchvision's ``RandomResizedCrop``: at most ten tries of an area (uniform in ``scale``, as a
    fraction of the image) and an aspect ratio (log-uniform in ``ratio``), and a central crop if none fits. There is no
    antialiasing. With ``size=None`` it could have no effect, since a crop is only ever enlarged; with an output much
    smaller than the images it matters, so store the images at about the size of the output.

    Args:
        size: height and width of the output in pixels; None keeps those of the images.
        scale: smallest and largest area of the crop, as a fraction of the image's.
        ratio: smallest and largest width / height of the crop.

    Raises:
        ValueError: if ``size`` is below 1, or a range is not positive and increasing, or ``scale`` exceeds 1.
    """

    def __init__(
        self,
        size: int | None = None,
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
    ) -> None:
        if size is not None:
            check_range("size", size, 1)
        if not 0 < scale[0] <= scale[1] <= 1:
            raise ValueError(f"expected scale with 0 < low <= high <= 1, got {tuple(scale)}")
        if not 0 < ratio[0] <= ratio[1]:
            raise ValueError(f"expected ratio with 0 < low <= high, got {tuple(ratio)}")
        self.size = size
        self.scale = scale
        self.ratio = ratio

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        images = as_batch(images)
        height, width = images.shape[2:]
        boxes = self.draw(len(images), height, width, generator)
        return resized_crop(images, boxes, self.size or height, self.size or width)

    def draw(self, n: int, height: int, width: int, generator: torch.Generator) -> Tensor:
        """(n, 4) int64: top, left, height and width of ``n`` crops of an image of ``height`` × ``width`` pixels."""
        tries = 10
        area, shape, at_y, at_x = torch.rand(4, n, tries, generator=generator)
        area = height * width * (self.scale[0] + (self.scale[1] - self.scale[0]) * area)
        low, high = (math.log(r) for r in self.ratio)
        aspect = (low + (high - low) * shape).exp()
        w, h = (area * aspect).sqrt().round(), (area / aspect).sqrt().round()
        fits = (w > 0) & (w <= width) & (h > 0) & (h <= height)
        boxes = torch.stack([(at_y * (height - h + 1)).floor(), (at_x * (width - w + 1)).floor(), h, w], dim=2).long()
        boxes = boxes[torch.arange(n), fits.long().argmax(dim=1)]  # argmax: the first try that fits
        boxes[~fits.any(dim=1)] = torch.tensor(self.central(height, width))
        return boxes

    def central(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Top, left, height and width of the largest central crop whose ratio is allowed."""
        ratio = min(max(width / height, self.ratio[0]), self.ratio[1])
        h, w = min(height, round(width / ratio)), min(width, round(height * ratio))
        return (height - h) // 2, (width - w) // 2, h, w

    def __repr__(self) -> str:
        return f"ResizedCrop(size={self.size}, scale={self.scale}, ratio={self.ratio})"


def pad_crop(images: Tensor, top: Tensor, left: Tensor, padding: int) -> Tensor:
    """The (H, W) window at row ``top`` and column ``left`` of each image padded with ``padding`` zeros on each side.

    Args:
        images: (N, 3, H, W) uint8.
        top, left: (N,) int64 on the CPU, in 0 ... 2 * padding.
    """
    n, channels, height, width = images.shape
    if n == 0 or padding == 0:
        return images
    padded = pad(images, (padding, padding, padding, padding))
    image, plane, row, _ = padded.stride()
    # All windows of the flat memory, one for each place it can start at: a crop is then one index.
    starts = n * image - (channels - 1) * plane - (height - 1) * row - width + 1
    windows = padded.as_strided((starts, channels, height, width), (1, plane, row, 1))
    start = torch.arange(n) * image + top * row + left
    return windows.index_select(0, start.to(images.device, non_blocking=True))


def resized_crop(images: Tensor, boxes: Tensor, height: int, width: int) -> Tensor:
    """Each image cropped to its box and resized to (``height``, ``width``), bilinear, without antialiasing.

    Args:
        images: (N, 3, H, W) uint8.
        boxes: (N, 4) int64, top, left, height and width in pixels, inside the image.
    """
    if len(images) == 0:
        return images.new_empty(0, images.shape[1], height, width)
    top, left, h, w = boxes.to(images.device, torch.float32, non_blocking=True)[:, :, None].unbind(1)
    y = _source(top, h, height) * (2 / max(images.shape[2] - 1, 1)) - 1
    x = _source(left, w, width) * (2 / max(images.shape[3] - 1, 1)) - 1
    n = len(images)
    grid = torch.stack([x[:, None, :].expand(n, height, width), y[:, :, None].expand(n, height, width)], dim=3)
    sampled = grid_sample(images.float(), grid, mode="bilinear", padding_mode="border", align_corners=True)
    return sampled.round_().to(torch.int16).to(torch.uint8)  # by way of int16: many times faster on a CPU


def _source(start: Tensor, length: Tensor, out: int) -> Tensor:
    """(N, out) pixel coordinates that ``out`` pixels take from ``length`` ones at ``start``, never from beyond them."""
    at = (torch.arange(out, device=start.device) + 0.5) * (length / out) - 0.5
    return start + torch.minimum(at.clamp(min=0), length - 1)


def affine_nearest(images: Tensor, inverse: Tensor, fill: int = 0) -> Tensor:
    """out(x, y) = image(A · (x, y, 1)) with the nearest pixel, and ``fill`` outside the image.

    Half-way between two pixels, to a thousandth of a pixel, the right or the lower one is taken, as Pillow does; the
    last bit of a coordinate, which depends on the device, then decides nothing.

    Args:
        images: (N, 3, H, W) uint8.
        inverse: (N, 2, 3) float32, A for each image, from output to input pixels with the origin at the image's
            centre, which is ((W - 1) / 2, (H - 1) / 2) in pixel indices.
        fill: 0 ... 255.
    """
    n, channels, height, width = images.shape
    if n == 0:
        return images
    inverse = inverse.to(images.device, non_blocking=True)[:, :, :, None, None]
    cx, cy = (width - 1) / 2, (height - 1) / 2
    x = (torch.arange(width, device=images.device) - cx).view(1, 1, width)
    y = (torch.arange(height, device=images.device) - cy).view(1, height, 1)
    half = 0.5 + 2**-10
    # A border of one pixel of `fill` stands for all that is outside.
    from_x = (inverse[:, 0, 0] * x + (inverse[:, 0, 1] * y + inverse[:, 0, 2] + (cx + half))).floor_().clamp_(-1, width)
    from_y = (
        (inverse[:, 1, 0] * x + (inverse[:, 1, 1] * y + inverse[:, 1, 2] + (cy + half))).floor_().clamp_(-1, height)
    )
    bordered = pad(images, (1, 1, 1, 1), value=fill)
    index = from_y.add_(1).to(torch.int32).mul_(width + 2).add_(from_x.add_(1).to(torch.int32))
    index = index.view(n, 1, -1).to(torch.int64).expand(n, channels, -1)
    return bordered.view(n, channels, -1).gather(2, index).view_as(images)


def shear_x(images: Tensor, level: Tensor, fill: int = 0) -> Tensor:
    """Rows shifted in proportion to their y: input x = x + level · y, about the top left corner of the image.

    ``level`` (N,) is the tangent of the angle. Torchvision's ``affine`` with shear (atan(level), 0) and centre (0, 0).
    """
    one, zero = torch.ones_like(level), torch.zeros_like(level)
    return affine_nearest(images, _matrix(one, level, level * (images.shape[2] / 2), zero, one, zero), fill)


def shear_y(images: Tensor, level: Tensor, fill: int = 0) -> Tensor:
    """Columns shifted in proportion to their x: input y = y + level · x, about the top left corner of the image.

    ``level`` (N,) is the tangent of the angle. Torchvision's ``affine`` with shear (0, atan(level)) and centre (0, 0).
    """
    one, zero = torch.ones_like(level), torch.zeros_like(level)
    return affine_nearest(images, _matrix(one, zero, zero, level, one, level * (images.shape[3] / 2)), fill)


def translate_x(images: Tensor, pixels: Tensor, fill: int = 0) -> Tensor:
    """Each image moved to the right by ``pixels`` (N,), a whole number."""
    one, zero = torch.ones_like(pixels), torch.zeros_like(pixels)
    return affine_nearest(images, _matrix(one, zero, -pixels, zero, one, zero), fill)


def translate_y(images: Tensor, pixels: Tensor, fill: int = 0) -> Tensor:
    """Each image moved down by ``pixels`` (N,), a whole number."""
    one, zero = torch.ones_like(pixels), torch.zeros_like(pixels)
    return affine_nearest(images, _matrix(one, zero, zero, zero, one, -pixels), fill)


def rotate(images: Tensor, degrees: Tensor, fill: int = 0) -> Tensor:
    """Each image turned counter-clockwise about its centre by ``degrees`` (N,)."""
    cos, sin, zero = degrees.deg2rad().cos(), degrees.deg2rad().sin(), torch.zeros_like(degrees)
    return affine_nearest(images, _matrix(cos, -sin, zero, sin, cos, zero), fill)


def _matrix(*entries: Tensor) -> Tensor:
    return torch.stack(entries, dim=1).view(-1, 2, 3)
