"""The contract of an augmentation, the view that strings several together, and the helpers they share.

Every random number is drawn on the CPU, one per image, and the images are grouped by operator on the host. The device
therefore never has to answer before the next kernel can be queued, and one seed gives the same parameters everywhere.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor


class Operator(Protocol):
    """A random change of a batch of images, with an own draw for every image.

    ``images`` is uint8 of shape (N, 3, H, W) on any device and in any memory format, N may be 0; it is never modified.
    The result is uint8, on the same device and contiguous, and may share memory with ``images`` where nothing changed.
    ``generator`` lives on the CPU, and its state alone decides the draws.
    """

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor: ...


class Crop(ABC):
    """An operator that cuts a part out of every image, and by which a view says how it is cropped."""

    @abstractmethod
    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Crop a batch; see ``Operator``."""

    def set_epoch(self, epoch: int, epochs: int) -> None:
        """Told before each epoch of the training, of ``epochs``; most crops are the same in all."""
        return


class View:
    """Operators applied one after the other; itself an operator.

    Args:
        ops: the operators, the first is applied first. An empty sequence gives the images unchanged.
        crop: how a training image is cropped for this view, before the operators; the way of the data set where left
            out. The data set crops, as it knows how its images are stored: calling the view does not.
    """

    def __init__(self, ops: Sequence[Operator], crop: Crop | None = None) -> None:
        self.ops = tuple(ops)
        self.crop = crop

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        images = as_batch(images)
        for op in self.ops:
            images = op(images, generator)
        return images

    def __repr__(self) -> str:
        crop = [] if self.crop is None else [f"crop={self.crop!r}"]
        return f"{type(self).__name__}({', '.join([*map(repr, self.ops), *crop])})"


def as_batch(images: Tensor) -> Tensor:
    """``images``, contiguous.

    Raises:
        ValueError: if it is not uint8 of shape (N, 3, H, W) with at least one pixel.
    """
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3 or 0 in images.shape[2:]:
        raise ValueError(f"expected uint8 images of shape (N, 3, H, W), got {images.dtype} {tuple(images.shape)}")
    return images.contiguous()


def check_range(name: str, value: float, low: float, high: float = float("inf")) -> None:
    """Raises ``ValueError`` unless ``low`` <= ``value`` <= ``high``."""
    if not low <= value <= high:
        raise ValueError(f"expected {name} in [{low:g}, {high:g}], got {value}")


def per_image(values: Tensor, images: Tensor) -> Tensor:
    """``values`` (N,) as (N, 1, 1, 1) on the device of ``images``, to be broadcast against them."""
    return values.to(images.device, non_blocking=True).view(-1, 1, 1, 1)


def apply_grouped(
    images: Tensor, groups: Tensor, amounts: Tensor, functions: Sequence[Callable[[Tensor, Tensor], Tensor]]
) -> Tensor:
    """Each image changed, step by step, by the function of its own group; one call per step and group.

    Args:
        images: (N, 3, H, W), contiguous.
        groups: (steps, N) int64 on the CPU, the index in ``functions`` for each step of each image.
        amounts: (steps, N) on the CPU; a function gets the entries of its images, on their device.
        functions: ``(images, amount) -> images``; not called for an empty group.
    """
    device = images.device
    place = torch.arange(len(images))  # where each image is at present
    for group, amount in zip(groups, amounts, strict=True):
        order = group.argsort(stable=True)
        sizes = torch.bincount(group, minlength=len(functions)).tolist()
        images = images.index_select(0, place[order].to(device, non_blocking=True))
        amount = amount[order].to(device, non_blocking=True)
        start = 0
        for function, size in zip(functions, sizes, strict=True):
            if size and function is not keep:
                part = images.narrow(0, start, size)
                part.copy_(function(part, amount.narrow(0, start, size)))
            start += size
        place[order] = torch.arange(len(images))
    return images.index_select(0, place.to(device, non_blocking=True))


def keep(images: Tensor, amount: Tensor) -> Tensor:
    """The function of a group that stays as it is; ``amount`` means nothing here."""
    return images
