"""Ready-made views. None of them crops: that is done before, once for all views of an image.

``SimView`` and ``RandView`` are the two kinds of contrastive views, and ``AutoAugmentView`` and ``ClassifierView`` the
classifier's views for CIFAR and for larger images, of balanced contrastive learning (Zhu et al., CVPR 2022).
"""

from __future__ import annotations

from typing import Literal

from longtail.augment.base import Operator, View
from longtail.augment.colour import ColourJitter, Greyscale
from longtail.augment.cutout import Cutout
from longtail.augment.geometric import HorizontalFlip
from longtail.augment.policies import AutoAugment, RandAugment


class PlainView(View):
    """A flip.

    Args:
        flip: probability that an image is flipped; 0 for images such as digits that must not be.
    """

    def __init__(self, flip: float = 0.5) -> None:
        super().__init__(_flip(flip))


class AutoAugmentView(View):
    """A flip, AutoAugment and a hole.

    Args:
        flip: probability of a flip.
        policy: "cifar10" or "imagenet".
        cutout: side of the hole as in ``Cutout``, an int in pixels or a float as a fraction; 0 for no hole.
    """

    def __init__(
        self, flip: float = 0.5, policy: Literal["cifar10", "imagenet"] = "cifar10", cutout: int | float = 0.5
    ) -> None:
        super().__init__([*_flip(flip), AutoAugment(policy), *([Cutout(cutout)] if cutout else [])])


class SimView(View):
    """A flip, a colour jitter on four of five images, and one of five made grey (Chen et al., SimCLR, ICML 2020).

    Args:
        flip: probability of a flip.
        strength: of the brightness, the contrast and the saturation, up to 2 since the hue's is a quarter of it.
    """

    def __init__(self, flip: float = 0.5, strength: float = 0.4) -> None:
        super().__init__([*_flip(flip), *_sim(strength)])


class RandView(View):
    """``SimView`` at a strength of 0.4, then RandAugment.

    Args:
        flip: probability of a flip.
        n, magnitude: of ``RandAugment``.
    """

    def __init__(self, flip: float = 0.5, n: int = 2, magnitude: int = 10) -> None:
        super().__init__([*_flip(flip), *_sim(0.4), RandAugment(n, magnitude)])


class ClassifierView(View):
    """A flip, a jitter of brightness, contrast and saturation (not of the hue) on every image, then RandAugment.

    Args:
        flip: probability of a flip.
        n, magnitude: of ``RandAugment``.
    """

    def __init__(self, flip: float = 0.5, n: int = 2, magnitude: int = 10) -> None:
        super().__init__([*_flip(flip), ColourJitter(0.4, 0.4, 0.4, 0.0), RandAugment(n, magnitude)])


def _flip(p: float) -> list[Operator]:
    return [HorizontalFlip(p)] if p else []


def _sim(strength: float) -> list[Operator]:
    return [ColourJitter(strength, strength, strength, strength / 4, p=0.8), Greyscale(0.2)]
