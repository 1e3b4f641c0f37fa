"""Sampling of classes by a power of their size."""

import math

import torch
from torch import Tensor

from longtail.checks import Numbers
from longtail.samplers.base import ClassImages, EpochSampler, check_labels, check_samples


class PowerSampler(EpochSampler):
    """Draws class c with probability n_c^power / sum n^power, then uniformly one of its images, with replacement.

    Power 1 is instance-balanced sampling, 0.5 square-root sampling, and 0 class-balanced sampling. With T progressive
    epochs, epoch t mixes (1 - t / (T - 1)) p(1) + t / (T - 1) p(power); from epoch T - 1 on it is p(power).

    Args:
        targets: labels (M,): a tensor of int64, or what ``torch.as_tensor`` makes whole numbers of.
        power: exponent of the class sizes.
        images: the image row of each target (M,), where an image carries several; n_c then counts targets, and an
            image is drawn for a class in proportion to its targets of that class. None: target i is of image i.
        num_classes: C; None for the largest label + 1.
        num_samples: draws of an epoch over all processes; None for the number of images with a target.
        progressive_epochs: T, at least 2; None for p(power) in every epoch.
        seed, rank, world: see `EpochSampler`.

    Raises:
        ValueError: for labels or images of a wrong kind, no target, a power that is not finite, num_samples below 1,
            or progressive_epochs below 2.

    Source: Kang et al., Decoupling representation and classifier for long-tailed recognition, ICLR 2020, equation 1
    and progressively-balanced sampling.
    """

    def __init__(
        self,
        targets: Numbers,
        power: float,
        *,
        images: Numbers | None = None,
        num_classes: int | None = None,
        num_samples: int | None = None,
        progressive_epochs: int | None = None,
        seed: int = 0,
        rank: int | None = None,
        world: int | None = None,
    ) -> None:
        super().__init__(seed=seed, rank=rank, world=world)
        if not math.isfinite(power):
            raise ValueError(f"power must be finite, got {power}")
        if progressive_epochs is not None and progressive_epochs < 2:
            raise ValueError(f"progressive_epochs must be at least 2, got {progressive_epochs}")
        labels, rows, num_classes = check_labels(targets, images, num_classes)
        self.power, self.progressive_epochs = power, progressive_epochs
        self.num_samples = check_samples(num_samples, rows)
        self._groups = ClassImages(labels, rows, num_classes)

    def probabilities(self, epoch: int) -> Tensor:
        """Class probabilities of an epoch, float64 (C,); 0 for a class without images."""
        if self.progressive_epochs is None:
            return self._power(self.power)
        part = min(epoch / (self.progressive_epochs - 1), 1.0)
        return (1 - part) * self._power(1) + part * self._power(self.power)

    def _power(self, power: float) -> Tensor:
        counts = self._groups.label_counts.double()
        return (power * counts.log()).masked_fill(counts == 0, -math.inf).softmax(0)

    def draw(self, generator: torch.Generator, epoch: int) -> Tensor:
        return self._groups.draw(self.probabilities(epoch), self.num_samples, generator)

    def size(self, epoch: int) -> int:
        return self.num_samples
