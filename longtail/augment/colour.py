"""Colour changes of uint8 images, each with one amount per image.

The functions compute what torchvision's functions of the same name compute on uint8 tensors: in float32, with results
cut off at 0 and 255 and truncated (not rounded) to whole grey levels. Where a result is a whole number but for the
last bit of the arithmetic, the two may differ by one level. ``images`` is (N, 3, H, W), an amount is (N,).
"""

from __future__ import annotations

import torch
from torch import Tensor

from longtail.augment.base import apply_grouped, as_batch, check_range, keep, per_image


class ColourJitter:
    """Brightness, contrast, saturation and hue changed by random amounts in a random order, with probability ``p``.

    Every image draws whether it is changed, the order of the four, a factor for each of the first three, uniform in
    [max(0, 1 - strength), 1 + strength], and a turn of the hue, uniform in [-hue, hue], 1 being the full circle.
    The same as torchvision's ``RandomApply([ColorJitter(...)], p)`` on each image.

    Args:
        brightness, contrast, saturation: strength of each, 0 for none.
        hue: strength, 0 ... 0.5.
        p: probability that an image is changed at all.

    Raises:
        ValueError: if an argument is outside its range.
    """

    def __init__(self, brightness: float, contrast: float, saturation: float, hue: float, p: float = 1.0) -> None:
        check_range("brightness", brightness, 0)
        check_range("contrast", contrast, 0)
        check_range("saturation", saturation, 0)
        check_range("hue", hue, 0, 0.5)
        check_range("p", p, 0, 1)
        self.strengths = {"brightness": brightness, "contrast": contrast, "saturation": saturation, "hue": hue}
        self.p = p

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        images = as_batch(images)
        untouched, order, amount = self.draw(len(images), generator)
        functions = [function for name, function in _JITTER.items() if self.strengths[name] > 0]
        return apply_grouped(images, order.masked_fill(untouched, len(functions)), amount, [*functions, keep])

    def draw(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Which images stay untouched (n,), and the order and the amounts of the k changes of a strength above 0.

        Both are (k, n): the index of the change among these k at each step, and the amount of that change.
        """
        strengths = [(name, s) for name, s in self.strengths.items() if s > 0]
        low = torch.tensor([-s if name == "hue" else max(0.0, 1 - s) for name, s in strengths])[:, None]
        high = torch.tensor([s if name == "hue" else 1 + s for name, s in strengths])[:, None]
        untouched = torch.rand(n, generator=generator) >= self.p
        order = torch.rand(len(strengths), n, generator=generator).argsort(dim=0)
        amount = low + (high - low) * torch.rand(len(strengths), n, generator=generator)
        return untouched, order, amount.gather(0, order)

    def __repr__(self) -> str:
        return f"ColourJitter({', '.join(f'{k}={v}' for k, v in self.strengths.items())}, p={self.p})"


class Greyscale:
    """An image made grey, with three equal channels, with probability ``p``.

    Raises:
        ValueError: if ``p`` is outside [0, 1].
    """

    def __init__(self, p: float = 0.2) -> None:
        check_range("p", p, 0, 1)
        self.p = p

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        images = as_batch(images)
        draw = torch.rand(1, len(images), generator=generator)
        return apply_grouped(images, (draw < self.p).long(), draw, (keep, lambda part, _: greyscale(part)))

    def __repr__(self) -> str:
        return f"Greyscale(p={self.p})"


def brightness(images: Tensor, factor: Tensor) -> Tensor:
    """factor · image; factor >= 0, 1 changes nothing."""
    return _to_uint8(images.float().mul_(per_image(factor, images)))


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    """factor · image + (1 - factor) · mean of its grey values; factor >= 0."""
    pixels = images.float()
    factor = per_image(factor, images)
    mean = _grey(pixels).mean(dim=(1, 2, 3), keepdim=True)
    return _to_uint8(pixels.mul_(factor).add_((1 - factor) * mean))


def saturation(images: Tensor, factor: Tensor) -> Tensor:
    """factor · image + (1 - factor) · its grey image; factor >= 0."""
    pixels = images.float()
    factor = per_image(factor, images)
    grey = _grey(pixels)
    return _to_uint8(pixels.mul_(factor).add_(grey.mul_(1 - factor)))


def hue(images: Tensor, turn: Tensor) -> Tensor:
    """The hue turned by ``turn`` in [-0.5, 0.5], 1 being the full circle, in the HSV colour space.

    With V the largest channel, C the largest less the smallest and H the hue in sixths of the circle, a channel is
    V - C · clip(2 - d, 0, 1), d the distance on the circle from H + n to 2, and n = 5, 3, 1 for red, green, blue.
    """
    r, g, b = images.float().unbind(1)
    top = torch.maximum(torch.maximum(r, g), b)
    chroma = top - torch.minimum(torch.minimum(r, g), b)
    inverse = chroma.clamp(min=1).reciprocal_()  # chroma is a whole number; where it is 0 the hue has no effect
    at_blue = (r - g).mul_(inverse).add_(4)
    at_green = (b - r).mul_(inverse).add_(2)
    at_red = (g - b).mul_(inverse)
    sixths = torch.lerp(torch.lerp(at_blue, at_green, _equal(g, top)), at_red, _equal(r, top))
    shift = torch.arange(3.0, -2.0, -2.0, device=images.device).view(1, 3, 1, 1)  # n - 2: 3, 1, -1
    distance = sixths[:, None] + (6 * per_image(turn, images) + shift)
    distance.sub_((distance * (1 / 6)).round_(), alpha=6).abs_()
    share = distance.neg_().add_(2).clamp_(0, 1)
    return _to_uint8(share.mul_(chroma[:, None]).neg_().add_(top[:, None]).mul_(255.999 / 255))


def greyscale(images: Tensor) -> Tensor:
    """0.2989 R + 0.587 G + 0.114 B in all three channels."""
    return _to_uint8(_grey(images.float())).expand(images.shape).contiguous()


def sharpness(images: Tensor, factor: Tensor) -> Tensor:
    """factor · image + (1 - factor) · smoothed image; factor >= 0. The outermost pixels stay as they are.

    The smoothed image is the mean over 3 × 3 pixels with a weight of 5 for the one in the middle, rounded.
    """
    if min(images.shape[2:]) < 3:
        return images
    pixels = images.float()
    inner = pixels[:, :, 1:-1, 1:-1]
    rows = pixels[:, :, :-2] + pixels[:, :, 1:-1] + pixels[:, :, 2:]
    smooth = (rows[..., :-2] + rows[..., 1:-1]).add_(rows[..., 2:]).add_(inner, alpha=4).mul_(1 / 13).round_()
    inner.add_(smooth.sub_(inner).mul_(1 - per_image(factor, images)))
    return _to_uint8(pixels)


def posterize(images: Tensor, bits: Tensor) -> Tensor:
    """Only the ``bits`` highest of the eight bits kept; ``bits`` is a whole number in 0 ... 8."""
    mask = 256 - 2 ** (8 - per_image(bits, images).long())
    return images & mask.to(torch.uint8)


def solarize(images: Tensor, threshold: Tensor) -> Tensor:
    """255 - value for the values of at least ``threshold``."""
    above = images.float().ge_(per_image(threshold, images))
    return images ^ _to_uint8(above.mul_(255))


def autocontrast(images: Tensor) -> Tensor:
    """Each channel stretched so that its smallest value becomes 0 and its largest 255; a constant one is kept."""
    low, high = (m.float() for m in (images.amin(dim=(2, 3), keepdim=True), images.amax(dim=(2, 3), keepdim=True)))
    constant = low == high
    scale = (high - low).mul_(1 / 255).masked_fill_(constant, 1)
    return _to_uint8(images.float().sub_(low.masked_fill_(constant, 0)).div_(scale))


def equalize(images: Tensor) -> Tensor:
    """Each channel's grey values spread to an even histogram, as Pillow's ``ImageOps.equalize`` does.

    With h the histogram, s = (number of pixels - h(largest value)) div 255 and s > 0, the value v becomes
    min(255, (h(0) + ... + h(v - 1) + s div 2) div s); with s = 0 the channel is kept.
    """
    n, channels, height, width = images.shape
    pixels = images.view(n * channels, height * width)
    index = pixels.long()
    histogram = torch.zeros(n * channels, 256, dtype=torch.int32, device=images.device)
    histogram.scatter_add_(1, index, torch.ones_like(index, dtype=torch.int32))
    below = histogram.cumsum(1, dtype=torch.int32).sub_(histogram)
    step = (height * width - histogram.gather(1, pixels.amax(dim=1, keepdim=True).long())).div_(
        255, rounding_mode="floor"
    )
    table = below.add_(step // 2).div_(step.clamp(min=1), rounding_mode="floor").clamp_(max=255)
    table = torch.where(step > 0, table, torch.arange(256, dtype=torch.int32, device=images.device))
    return table.to(torch.uint8).gather(1, index).view_as(images)


def invert(images: Tensor) -> Tensor:
    """255 - image."""
    return images.bitwise_not()


def _grey(pixels: Tensor) -> Tensor:
    """(N, 1, H, W), whole numbers, from (N, 3, H, W) float."""
    r, g, b = pixels.unbind(1)
    return r.mul(0.2989).add_(g, alpha=0.587).add_(b, alpha=0.114).floor_().unsqueeze_(1)


def _equal(a: Tensor, b: Tensor) -> Tensor:
    """1.0 where they are equal and 0.0 elsewhere."""
    return torch.eq(a, b, out=torch.empty_like(b))


def _to_uint8(pixels: Tensor) -> Tensor:
    """Cut off at 0 and 255 (in place) and truncated; by way of int16, many times faster on a CPU than directly."""
    return pixels.clamp_(0, 255).to(torch.int16).to(torch.uint8)


_JITTER = {"brightness": brightness, "contrast": contrast, "saturation": saturation, "hue": hue}
