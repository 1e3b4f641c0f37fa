"""Cutout: a square hole in every image."""

from __future__ import annotations

import torch
from torch import Tensor

from longtail.augment.base import as_batch, check_range


class Cutout:
    """A square hole whose centre is any pixel of the image, equally likely; what lies outside the image is clipped.

    With the size s and the centre (x, y) the hole covers the columns x - s div 2 ... x - s div 2 + s - 1, and the rows
    likewise (DeVries & Taylor, arXiv:1708.04552).

    Args:
        size: side of the hole, an int in pixels or a float as a fraction of the image's shorter side (rounded to whole
            pixels, at least one).
        value: what the hole is filled with, 0 ... 255.

    Raises:
        ValueError: if an int ``size`` is below 1, a float one outside (0, 1], or ``value`` outside its range.
    """

    def __init__(self, size: int | float = 0.5, value: int = 0) -> None:
        if not (0 < size <= 1 if isinstance(size, float) else size >= 1):
            raise ValueError(f"expected size as an int of at least 1 or a float in (0, 1], got {size!r}")
        check_range("value", value, 0, 255)
        self.size = size
        self.value = value

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        images = as_batch(images)
        n, _, height, width = images.shape
        y = torch.randint(height, (n,), generator=generator)
        x = torch.randint(width, (n,), generator=generator)
        size = max(1, round(self.size * min(height, width))) if isinstance(self.size, float) else self.size
        rows, columns = _band(y, size, height), _band(x, size, width)
        device = images.device
        hole = (
            rows.to(device, non_blocking=True)[:, None, :, None] & columns.to(device, non_blocking=True)[:, None, None]
        )
        # Bit operations rather than a select: `hole` is 255 inside and 0 outside.
        cut = images & ~hole
        return cut | (hole & self.value) if self.value else cut

    def __repr__(self) -> str:
        return f"Cutout(size={self.size}, value={self.value})"


def _band(centre: Tensor, size: int, length: int) -> Tensor:
    """(N, length) uint8: 255 at the ``size`` places about ``centre`` (N,), 0 elsewhere."""
    offset = torch.arange(length) - (centre - size // 2)[:, None]
    return ((offset >= 0) & (offset < size)).to(torch.uint8) * 255
