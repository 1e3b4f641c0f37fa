"""Ready-made views. Each says how its images are cropped, or leaves that to the data set, which crops first.

``SimView`` and ``RandView`` are the two kinds of contrastive views, and ``AutoAugmentView`` and ``ClassifierView`` the
classifier's views for CIFAR and for larger images, of balanced contrastive learning (Zhu et al., CVPR 2022).
"""

from __future__ import annotations

from typing import Literal

from longtail.augment.base import Crop, Operator, View
from longtail.augment.blur import GaussianBlur
from longtail.augment.colour import ColourJitter, Greyscale
from longtail.augment.cutout import Cutout
from longtail.augment.geometric import HorizontalFlip, Rotation
from longtail.augment.policies import AutoAugment, RandAugment


class PlainView(View):
    """A small turn where wanted, and a flip.

    Args:
        flip: probability that an image is flipped; 0 for images such as digits that must not be.
        rotation: an image is turned by at most so many degrees either way.
        crop: as in ``View``.
    """

    def __init__(self, flip: float = 0.5, rotation: float = 0.0, crop: Crop | None = None) -> None:
        super().__init__([*([Rotation(rotation)] if rotation else []), *_flip(flip)], crop)


class AutoAugmentView(View):
    """A flip, AutoAugment and a hole.

    Args:
        flip: probability of a flip.
        policy: "cifar10" or "imagenet".
        cutout: side of the hole as in ``Cutout``, an int in pixels or a float as a fraction; 0 for no hole.
        crop: as in ``View``.
    """

    def __init__(
        self,
        flip: float = 0.5,
        policy: Literal["cifar10", "imagenet"] = "cifar10",
        cutout: int | float = 0.5,
        crop: Crop | None = None,
    ) -> None:
        super().__init__([*_flip(flip), AutoAugment(policy), *([Cutout(cutout)] if cutout else [])], crop)


class SimView(View):
    """A flip, a colour jitter on four of five images, one of five made grey, and a blur where wanted (Chen et al.,
    SimCLR, ICML 2020).

    Args:
        flip: probability of a flip.
        strength: of the brightness, the contrast and the saturation, up to 2 since the hue's is a quarter of it.
        blur: probability of a Gaussian blur; 0 in BCL, 0.5 in SimCLR.
        crop: as in ``View``.
    """

    def __init__(self, flip: float = 0.5, strength: float = 0.4, blur: float = 0.0, crop: Crop | None = None) -> None:
        super().__init__([*_flip(flip), *_sim(strength), *_blur(blur)], crop)


class RandView(View):
    """``SimView`` at a strength of 0.4, then RandAugment.

    Args:
        flip: probability of a flip.
        n, magnitude: of ``RandAugment``.
        crop: as in ``View``.
    """

    def __init__(self, flip: float = 0.5, n: int = 2, magnitude: int = 10, crop: Crop | None = None) -> None:
        super().__init__([*_flip(flip), *_sim(0.4), RandAugment(n, magnitude)], crop)


class ClassifierView(View):
    """A flip, a jitter of brightness, contrast and saturation (not of the hue) on every image, then RandAugment.

    Args:
        flip: probability of a flip.
        n, magnitude: of ``RandAugment``.
        crop: as in ``View``.
    """

    def __init__(self, flip: float = 0.5, n: int = 2, magnitude: int = 10, crop: Crop | None = None) -> None:
        super().__init__([*_flip(flip), ColourJitter(0.4, 0.4, 0.4, 0.0), RandAugment(n, magnitude)], crop)


class BlurredView(View):
    """``ClassifierView`` with one of five images made grey and every other one blurred, both before RandAugment: the
    query and the key of GML on ImageNet-LT (Suh and Seo, ICML 2023, released code).

    Args:
        flip: probability of a flip.
        n, magnitude: of ``RandAugment``.
        crop: as in ``View``.
    """

    def __init__(self, flip: float = 0.5, n: int = 2, magnitude: int = 10, crop: Crop | None = None) -> None:
        jitter = ColourJitter(0.4, 0.4, 0.4, 0.0)
        super().__init__([*_flip(flip), jitter, Greyscale(0.2), *_blur(0.5), RandAugment(n, magnitude)], crop)


def _flip(p: float) -> list[Operator]:
    return [HorizontalFlip(p)] if p else []


def _blur(p: float) -> list[Operator]:
    return [GaussianBlur(p=p)] if p else []


def _sim(strength: float) -> list[Operator]:
    return [ColourJitter(strength, strength, strength, strength / 4, p=0.8), Greyscale(0.2)]
