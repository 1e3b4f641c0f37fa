"""Where the weights of a classifier start: at the features of their classes in place of random numbers."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F


class HeadStart(ABC):
    """What the weights of a cosine classifier start from.

    Attributes:
        images: of each class, whose features it wants at most; None for all, 0 for none.
        reads_names: whether it goes by the names of the classes.
    """

    images: int | None = None
    reads_names: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, features: Tensor, targets: Tensor, classes: list[str]) -> Tensor:
        """The weights (C, D), each of length 1.

        Args:
            features: of training images (M, D), at most ``images`` of each class.
            targets: their labels (M,).
            classes: the C names, in words.
        """


class ClassMeans(HeadStart):
    """The mean feature of each class.

    Args:
        images: of each class that are averaged, the first ones of the set; None for all.

    Raises:
        ValueError: if ``images`` is below 1.

    Source: 100 images as in the released code of LIFT (Shi et al., ICML 2024), where there is no text.
    """

    def __init__(self, images: int | None = 100) -> None:
        if images is not None and images < 1:
            raise ValueError(f"images must be at least 1, got {images}")
        self.images = images

    def __call__(self, features: Tensor, targets: Tensor, classes: list[str]) -> Tensor:
        """The means (C, D)."""
        return class_means(features, targets, len(classes))


def class_means(features: Tensor, targets: Tensor, num_classes: int) -> Tensor:
    """Mean of the features (M, D) of each class, as a vector of length 1: (C, D)."""
    sums = features.new_zeros(num_classes, features.shape[1]).index_add(0, targets, features)
    return F.normalize(sums / torch.bincount(targets, minlength=num_classes)[:, None])


def first_rows(targets: Tensor, images: int | None) -> Tensor:
    """Rows of the first ``images`` of each class in labels (M,), ascending; None for all."""
    if images is None:
        return torch.arange(len(targets))
    order = targets.argsort(stable=True)
    ordered = targets[order]
    starts = torch.searchsorted(ordered, ordered)  # of the class of each
    return order[torch.arange(len(targets)) - starts < images].sort().values
