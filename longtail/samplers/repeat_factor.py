"""Repeat factor sampling."""

import torch
from torch import Tensor

from longtail.checks import Numbers
from longtail.samplers.base import EpochSampler, check_labels, epoch_generator


class RepeatFactorSampler(EpochSampler):
    """Repeats images of rare classes: r_c = max(1, sqrt(t / f_c)), r_i = max of r_c over the classes of image i.

    f_c is the share of the images that have class c, however often. An image without a target has factor 1. Each
    epoch rounds every r_i up with the probability of its fraction, else down, and shuffles; so its length varies.

    Args:
        targets: labels (M,): a tensor of int64, or what ``torch.as_tensor`` makes whole numbers of.
        images: the image row of each target (M,), where an image carries several or none. None: target i is of
            image i.
        num_images: size of the set; None for the largest image row + 1.
        threshold: t, in 0..1; classes with a share of at least t are not repeated.
        seed, rank, world: see `EpochSampler`.

    Attributes:
        repeat_factors: r_i (num_images,), float64.
        shares: f_c (C,), float64; 0 for a class without images.

    Raises:
        ValueError: for labels or images of a wrong kind, no target, an image row not below num_images, or a threshold
            outside 0..1.

    Source: Gupta et al., LVIS: A dataset for large vocabulary instance segmentation, CVPR 2019, repeat factor sampling.
    """

    def __init__(
        self,
        targets: Numbers,
        *,
        images: Numbers | None = None,
        num_images: int | None = None,
        threshold: float = 0.001,
        seed: int = 0,
        rank: int | None = None,
        world: int | None = None,
    ) -> None:
        super().__init__(seed=seed, rank=rank, world=world)
        if not 0 <= threshold <= 1:
            raise ValueError(f"threshold must be in 0..1, got {threshold}")
        labels, rows, num_classes = check_labels(targets, images)
        largest = int(rows.max())
        if num_images is not None and largest >= num_images:
            raise ValueError(f"images must lie in 0..{num_images - 1}, got {largest}")
        num_images = largest + 1 if num_images is None else num_images

        image, label = rows, labels
        if images is not None:
            pairs = torch.unique(rows * num_classes + labels)  # each class of an image once
            image, label = pairs // num_classes, pairs % num_classes
        self.shares = torch.bincount(label, minlength=num_classes).double() / num_images
        class_factors = (threshold / self.shares).sqrt().clamp_min(1)
        ones = torch.ones(num_images, dtype=torch.float64)
        self.repeat_factors = ones.scatter_reduce(0, image, class_factors[label], "amax")

    @property
    def repeated(self) -> int:
        """Images whose factor is above 1."""
        return int((self.repeat_factors > 1).sum())

    @property
    def expected(self) -> float:
        """Rows of an epoch on average, over all processes."""
        return float(self.repeat_factors.sum())

    @property
    def mean_share(self) -> float:
        """Mean of f_c over the classes with images: the threshold at which all classes are repeated that are rarer than
        the mean one. With one class an image it is 1 / C, and makes an epoch at most twice as long."""
        return float(self.shares[self.shares > 0].mean())

    def _repeats(self, generator: torch.Generator) -> Tensor:
        whole = self.repeat_factors.floor()
        up = torch.rand(len(whole), dtype=torch.float64, generator=generator) < self.repeat_factors - whole
        return whole.long() + up

    def draw(self, generator: torch.Generator, epoch: int) -> Tensor:
        repeats = self._repeats(generator)
        rows = torch.arange(len(repeats)).repeat_interleave(repeats)
        return rows[torch.randperm(len(rows), generator=generator)]

    def size(self, epoch: int) -> int:
        return int(self._repeats(epoch_generator(self.seed, epoch)).sum())
