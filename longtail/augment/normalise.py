"""From uint8 to standardised float images."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Normalise:
    """(x / 255 - mean) / std, computed as scale · x + shift.

    Args:
        mean, std: one value per channel, on the scale of 0 ... 1.

    Raises:
        ValueError: if the two differ in length, or a value of ``std`` is not positive.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        if len(mean) != len(std):
            raise ValueError(f"expected as many values in std as in mean, got {len(std)} and {len(mean)}")
        if not all(s > 0 for s in std):
            raise ValueError(f"expected positive values in std, got {list(std)}")
        self.mean = tuple(mean)
        self.std = tuple(std)
        self._scale = torch.tensor([1 / (255 * s) for s in std]).view(-1, 1, 1)
        self._shift = torch.tensor([-m / s for m, s in zip(mean, std, strict=True)]).view(-1, 1, 1)

    def __call__(self, images: Tensor) -> Tensor:
        """float32 of the shape, the device and the memory format of ``images``, uint8 (N, C, H, W).

        Raises:
            ValueError: if ``images`` has another dtype or another number of channels.
        """
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != len(self.mean):
            expected = f"uint8 images of shape (N, {len(self.mean)}, H, W)"
            raise ValueError(f"expected {expected}, got {images.dtype} {tuple(images.shape)}")
        scale, shift = (t.to(images.device, non_blocking=True) for t in (self._scale, self._shift))
        return images.float().mul_(scale).add_(shift)

    def __repr__(self) -> str:
        return f"Normalise(mean={self.mean}, std={self.std})"
