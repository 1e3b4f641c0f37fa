"""Gaussian blur with a width of its own for every image."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from longtail.augment.base import as_batch, check_range


class GaussianBlur:
    """Images blurred by a Gaussian, with probability ``p``; the standard deviation is drawn for each image.

    With :math:`k_d \\propto \\exp(-d^2 / 2 \\sigma^2)`, normalised over the offsets d = -r ... r, a pixel becomes
    :math:`\\sum_{a,b} k_a k_b x_{u+a, v+b}`, rounded. What lies outside the image is mirrored at its outermost pixels.
    The same as torchvision's ``gaussian_blur`` with that sigma and 2 r + 1 as the size of the kernel.

    Args:
        sigma: least and greatest standard deviation in pixels, drawn evenly.
        p: probability that an image is blurred.
        radius: r, in pixels; by default three times the greatest standard deviation, rounded up. At most the shorter
            side less one is used, as there is no more to mirror.

    Raises:
        ValueError: if ``p`` is outside [0, 1], ``sigma`` is not positive and increasing, or ``radius`` is below 1.

    Source: Chen et al., A simple framework for contrastive learning of visual representations, ICML 2020, appendix A.
    """

    def __init__(self, sigma: tuple[float, float] = (0.1, 2.0), p: float = 0.5, radius: int | None = None) -> None:
        if not 0 < sigma[0] <= sigma[1]:
            raise ValueError(f"expected sigma with 0 < low <= high, got {tuple(sigma)}")
        check_range("p", p, 0, 1)
        if radius is not None:
            check_range("radius", radius, 1)
        self.sigma, self.p = sigma, p
        self.radius = -int(-3 * sigma[1] // 1) if radius is None else radius

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        images = as_batch(images)
        low, high = self.sigma
        draw, sigma = torch.rand(2, len(images), generator=generator)
        rows = torch.nonzero(draw < self.p).squeeze(1)
        if not len(rows):
            return images
        place = rows.to(images.device, non_blocking=True)
        sigma = (low + (high - low) * sigma[rows]).to(images.device, non_blocking=True)
        blurred = gaussian_blur(images.index_select(0, place), sigma, self.radius)
        return images.index_copy(0, place, blurred)

    def __repr__(self) -> str:
        return f"GaussianBlur(sigma={self.sigma}, p={self.p}, radius={self.radius})"


def gaussian_blur(images: Tensor, sigma: Tensor, radius: int) -> Tensor:
    """Each image blurred with its standard deviation.

    Args:
        images: (N, 3, H, W) uint8.
        sigma: (N,) float32, above 0, in pixels, on the device of ``images``.
        radius: of the kernel, in pixels.
    """
    n, channels, height, width = images.shape
    radius = min(radius, height - 1, width - 1)
    offsets = torch.arange(-radius, radius + 1, device=images.device)
    kernel = (-0.5 * (offsets / sigma[:, None]) ** 2).softmax(1)  # (N, 2 r + 1)
    kernel = kernel.repeat_interleave(channels, 0)[:, None]
    pixels = pad(images.float(), (radius, radius, radius, radius), mode="reflect")
    pixels = pixels.view(1, n * channels, height + 2 * radius, width + 2 * radius)
    pixels = conv2d(pixels, kernel[:, :, :, None], groups=n * channels)  # along the columns, then along the rows
    pixels = conv2d(pixels, kernel[:, :, None, :], groups=n * channels)
    return pixels.view(images.shape).round_().to(torch.int16).to(torch.uint8)
