"""AutoAugment and RandAugment, with a draw of their own for every image.

Both choose among the same operations with the same strengths as torchvision's classes of these names. At each step the
images are grouped by the operation they drew, so a batch costs one call per operation, not one per image.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from longtail.augment.base import apply_grouped, as_batch, check_range, keep
from longtail.augment.colour import (
    autocontrast,
    brightness,
    contrast,
    equalize,
    invert,
    posterize,
    saturation,
    sharpness,
    solarize,
)
from longtail.augment.geometric import rotate, shear_x, shear_y, translate_x, translate_y


class Operation(NamedTuple):
    """What a policy can do to an image.

    Attributes:
        apply: ``(images, magnitude) -> images``, the magnitude (N,) in the unit of the operation.
        magnitude: ``(t, height, width) -> magnitude`` of the strength t in 0 ... 1 on images of that size.
        signed: whether the magnitude is negated with probability 1/2.
    """

    apply: Callable[[Tensor, Tensor], Tensor]
    magnitude: Callable[[float, int, int], float] = lambda t, height, width: 0.0
    signed: bool = False


class Step(NamedTuple):
    """One half of a sub-policy: the name of an operation, its probability and its level, 0 ... 9."""

    operation: str
    probability: float
    level: int = 0


def _shear(t: float, height: int, width: int) -> float:
    return 0.3 * t


def _enhance(t: float, height: int, width: int) -> float:
    return 0.9 * t


def _shift(t: float, side: int) -> float:
    return int(150 / 331 * side * t + 1e-4)  # whole pixels; what rounding took off a whole number does not cost one


OPERATIONS = {
    "identity": Operation(keep),
    "shear_x": Operation(shear_x, _shear, signed=True),
    "shear_y": Operation(shear_y, _shear, signed=True),
    "translate_x": Operation(translate_x, lambda t, h, w: _shift(t, w), signed=True),
    "translate_y": Operation(translate_y, lambda t, h, w: _shift(t, h), signed=True),
    "rotate": Operation(rotate, lambda t, h, w: 30 * t, signed=True),
    "brightness": Operation(lambda x, m: brightness(x, 1 + m), _enhance, signed=True),
    "saturation": Operation(lambda x, m: saturation(x, 1 + m), _enhance, signed=True),
    "contrast": Operation(lambda x, m: contrast(x, 1 + m), _enhance, signed=True),
    "sharpness": Operation(lambda x, m: sharpness(x, 1 + m), _enhance, signed=True),
    "posterize": Operation(posterize, lambda t, h, w: 8 - round(4 * t)),
    "solarize": Operation(solarize, lambda t, h, w: 255 * (1 - t)),
    "autocontrast": Operation(lambda x, m: autocontrast(x)),
    "equalize": Operation(lambda x, m: equalize(x)),
    "invert": Operation(lambda x, m: invert(x)),
}
"""All operations by name; RandAugment draws from all but the last."""

CIFAR10_POLICY = (
    (Step("invert", 0.1), Step("contrast", 0.2, 6)),
    (Step("rotate", 0.7, 2), Step("translate_x", 0.3, 9)),
    (Step("sharpness", 0.8, 1), Step("sharpness", 0.9, 3)),
    (Step("shear_y", 0.5, 8), Step("translate_y", 0.7, 9)),
    (Step("autocontrast", 0.5), Step("equalize", 0.9)),
    (Step("shear_y", 0.2, 7), Step("posterize", 0.3, 7)),
    (Step("saturation", 0.4, 3), Step("brightness", 0.6, 7)),
    (Step("sharpness", 0.3, 9), Step("brightness", 0.7, 9)),
    (Step("equalize", 0.6), Step("equalize", 0.5)),
    (Step("contrast", 0.6, 7), Step("sharpness", 0.6, 5)),
    (Step("saturation", 0.7, 7), Step("translate_x", 0.5, 8)),
    (Step("equalize", 0.3), Step("autocontrast", 0.4)),
    (Step("translate_y", 0.4, 3), Step("sharpness", 0.2, 6)),
    (Step("brightness", 0.9, 6), Step("saturation", 0.2, 8)),
    (Step("solarize", 0.5, 2), Step("invert", 0.0)),
    (Step("equalize", 0.2), Step("autocontrast", 0.6)),
    (Step("equalize", 0.2), Step("equalize", 0.6)),
    (Step("saturation", 0.9, 9), Step("equalize", 0.6)),
    (Step("autocontrast", 0.8), Step("solarize", 0.2, 8)),
    (Step("brightness", 0.1, 3), Step("saturation", 0.7, 0)),
    (Step("solarize", 0.4, 5), Step("autocontrast", 0.9)),
    (Step("translate_y", 0.9, 9), Step("translate_y", 0.7, 9)),
    (Step("autocontrast", 0.9), Step("solarize", 0.8, 3)),
    (Step("equalize", 0.8), Step("invert", 0.1)),
    (Step("translate_y", 0.7, 9), Step("autocontrast", 0.9)),
)
"""The 25 sub-policies found on CIFAR-10 (Cubuk et al., CVPR 2019, table 7)."""

IMAGENET_POLICY = (
    (Step("posterize", 0.4, 8), Step("rotate", 0.6, 9)),
    (Step("solarize", 0.6, 5), Step("autocontrast", 0.6)),
    (Step("equalize", 0.8), Step("equalize", 0.6)),
    (Step("posterize", 0.6, 7), Step("posterize", 0.6, 6)),
    (Step("equalize", 0.4), Step("solarize", 0.2, 4)),
    (Step("equalize", 0.4), Step("rotate", 0.8, 8)),
    (Step("solarize", 0.6, 3), Step("equalize", 0.6)),
    (Step("posterize", 0.8, 5), Step("equalize", 1.0)),
    (Step("rotate", 0.2, 3), Step("solarize", 0.6, 8)),
    (Step("equalize", 0.6), Step("posterize", 0.4, 6)),
    (Step("rotate", 0.8, 8), Step("saturation", 0.4, 0)),
    (Step("rotate", 0.4, 9), Step("equalize", 0.6)),
    (Step("equalize", 0.0), Step("equalize", 0.8)),
    (Step("invert", 0.6), Step("equalize", 1.0)),
    (Step("saturation", 0.6, 4), Step("contrast", 1.0, 8)),
    (Step("rotate", 0.8, 8), Step("saturation", 1.0, 2)),
    (Step("saturation", 0.8, 8), Step("solarize", 0.8, 7)),
    (Step("sharpness", 0.4, 7), Step("invert", 0.6)),
    (Step("shear_x", 0.6, 5), Step("equalize", 1.0)),
    (Step("saturation", 0.4, 0), Step("equalize", 0.6)),
    (Step("equalize", 0.4), Step("solarize", 0.2, 4)),
    (Step("solarize", 0.6, 5), Step("autocontrast", 0.6)),
    (Step("invert", 0.6), Step("equalize", 1.0)),
    (Step("saturation", 0.6, 4), Step("contrast", 1.0, 8)),
    (Step("equalize", 0.8), Step("equalize", 0.6)),
)
"""The 25 sub-policies found on ImageNet (Cubuk et al., CVPR 2019, table 9)."""

_POLICIES = {"cifar10": CIFAR10_POLICY, "imagenet": IMAGENET_POLICY}
_INDEX = {name: i for i, name in enumerate(OPERATIONS)}
_APPLY = [operation.apply for operation in OPERATIONS.values()]
_SIGNED = torch.tensor([operation.signed for operation in OPERATIONS.values()])


class _Policy(ABC):
    """Operations of ``OPERATIONS`` that are drawn for each image, one after the other."""

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        images = as_batch(images)
        choice, magnitude = self.draw(len(images), images.shape[2], images.shape[3], generator)
        return apply_grouped(images, choice, magnitude, _APPLY)

    @abstractmethod
    def draw(self, n: int, height: int, width: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The index in ``OPERATIONS`` and the magnitude of each step of ``n`` images, both (steps, n)."""


class AutoAugment(_Policy):
    """Each image goes through the two steps of a sub-policy drawn for it, each with the step's own probability.

    The magnitudes have ten levels, from nothing to 0.3 (shear), 150/331 of the side (translation), 30 degrees, a
    factor of 1 ± 0.9, 4 bits or a threshold of 0; the direction of the signed ones is drawn (Cubuk et al., CVPR 2019).

    Args:
        policy: "cifar10" or "imagenet".

    Raises:
        ValueError: if ``policy`` is neither.
    """

    def __init__(self, policy: Literal["cifar10", "imagenet"]) -> None:
        if policy not in _POLICIES:
            raise ValueError(f"expected policy as one of {', '.join(_POLICIES)}, got {policy!r}")
        self.policy = policy

    def draw(self, n: int, height: int, width: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The index in ``OPERATIONS`` and the magnitude of each step of ``n`` images, both (2, n)."""
        policy = _POLICIES[self.policy]
        index = torch.tensor([[_INDEX[step.operation] for step in pair] for pair in policy])
        probability = torch.tensor([[step.probability for step in pair] for pair in policy])
        magnitude = torch.tensor(
            [[OPERATIONS[step.operation].magnitude(step.level / 9, height, width) for step in pair] for pair in policy]
        )
        rows = torch.randint(len(policy), (n,), generator=generator)
        skipped = torch.rand(n, 2, generator=generator) >= probability[rows]
        choice = index[rows].masked_fill(skipped, _INDEX["identity"])
        return choice.T, _with_sign(choice, magnitude[rows], generator).T

    def __repr__(self) -> str:
        return f"AutoAugment({self.policy!r})"


class RandAugment(_Policy):
    """Each image goes through ``n`` operations drawn for it, all of the same strength (Cubuk et al., CVPRW 2020).

    They are drawn with replacement from all operations of ``AutoAugment`` but inversion, and doing nothing.

    Args:
        n: number of operations.
        magnitude: strength on a scale of 0 ... 30, whose ends are those of the levels of ``AutoAugment``.

    Raises:
        ValueError: if ``n`` is below 1 or ``magnitude`` outside its range.
    """

    def __init__(self, n: int = 2, magnitude: int = 10) -> None:
        check_range("n", n, 1)
        check_range("magnitude", magnitude, 0, 30)
        self.n = n
        self.magnitude = magnitude

    def draw(self, n: int, height: int, width: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The index in ``OPERATIONS`` and the magnitude of each step of ``n`` images, both (self.n, n)."""
        magnitudes = [
            operation.magnitude(self.magnitude / 30, height, width)
            for name, operation in OPERATIONS.items()
            if name != "invert"
        ]
        choice = torch.randint(len(magnitudes), (self.n, n), generator=generator)
        return choice, _with_sign(choice, torch.tensor(magnitudes)[choice], generator)

    def __repr__(self) -> str:
        return f"RandAugment(n={self.n}, magnitude={self.magnitude})"


def _with_sign(choice: Tensor, magnitude: Tensor, generator: torch.Generator) -> Tensor:
    """``magnitude`` with the sign drawn where the operation ``choice`` is signed."""
    minus = torch.randint(2, choice.shape, generator=generator).bool()
    return torch.where(_SIGNED[choice] & minus, -magnitude, magnitude)
