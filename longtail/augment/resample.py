"""Crops of a batch, resized in one step as image libraries do it: with antialiasing, and never from beyond the crop."""

import torch
from torch import Tensor

from longtail.augment.preprocessing import Interpolation


def resampled_crop(images: Tensor, boxes: Tensor, height: int, width: int, interpolation: Interpolation) -> Tensor:
    """Each image cropped to its box and resized to (``height``, ``width``).

    Args:
        images: (N, 3, H, W) uint8.
        boxes: (N, 4) int64, top, left, height and width in pixels, inside the image.
        interpolation: with antialiasing, as by ``torch.nn.functional.interpolate``.
    """
    top, left, h, w = boxes.to(images.device, torch.float32, non_blocking=True)[:, :, None, None].unbind(1)
    rows = _weights(top, h, height, images.shape[2], interpolation)
    columns = _weights(left, w, width, images.shape[3], interpolation)
    with torch.autocast(images.device.type, enabled=False):
        narrow = _to_bytes(images.float() @ columns[:, None].mT)  # between the passes as after them
        return _to_bytes(rows[:, None] @ narrow).to(torch.uint8)


def _to_bytes(values: Tensor) -> Tensor:
    return values.round_().clamp_(0, 255)


def _weights(start: Tensor, length: Tensor, out: int, whole: int, interpolation: Interpolation) -> Tensor:
    """(N, out, whole): what each of ``whole`` pixels adds to each of ``out`` ones that are made of ``length`` pixels
    from ``start`` on, both (N, 1, 1)."""
    pixels = torch.arange(whole, device=start.device)
    scale = length / out
    centres = start + (torch.arange(out, device=start.device)[:, None] + 0.5) * scale - 0.5
    distances = ((pixels - centres) / scale.clamp(min=1)).abs()
    weights = _linear(distances) if interpolation == "bilinear" else _cubic(distances)
    weights = weights * ((pixels >= start) & (pixels < start + length))
    return weights / weights.sum(2, keepdim=True)


def _linear(x: Tensor) -> Tensor:
    return (1 - x).clamp(min=0)


def _cubic(x: Tensor) -> Tensor:
    """Keys' cubic kernel with a = -1/2."""
    near, far = (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x < 1, near, torch.where(x < 2, far, 0.0))
