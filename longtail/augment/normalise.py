"""From uint8 to standardised float images and clips."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


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
        self._scale = torch.tensor([1 / (255 * s) for s in std])
        self._shift = torch.tensor([-m / s for m, s in zip(mean, std, strict=True)])

    def __call__(self, images: Tensor) -> Tensor:
        """float32 of the shape, the device and the memory format of ``images``.

        Args:
            images: uint8 images (N, C, H, W) or clips (N, C, T, H, W).

        Raises:
            ValueError: if ``images`` has another dtype, another number of dimensions or of channels.
        """
        channels = len(self.mean)
        if images.dtype != torch.uint8 or images.ndim not in (4, 5) or images.shape[1] != channels:
            expected = f"uint8 images of shape (N, {channels}, H, W) or clips of shape (N, {channels}, T, H, W)"
            raise ValueError(f"expected {expected}, got {images.dtype} {tuple(images.shape)}")
        per_channel = (channels,) + (1,) * (images.ndim - 2)
        scale, shift = (t.view(per_channel).to(images.device, non_blocking=True) for t in (self._scale, self._shift))
        return images.float().mul_(scale).add_(shift)

    def __repr__(self) -> str:
        return f"Normalise(mean={self.mean}, std={self.std})"
