"""Sampling of classes by their difficulty."""

import torch
from torch import Tensor

from longtail.checks import Numbers
from longtail.difficulty import ClassDifficulty
from longtail.samplers.base import ClassImages, EpochSampler, check_labels, check_samples


class ClassDifficultySampler(EpochSampler):
    """CDB-S: draws class c with probability d_c^tau / sum d^tau, then uniformly one of its images, with replacement.

    The sums are over the classes that have an image. The difficulty is read when an order is made, so each epoch uses
    the last validation. Processes agree on the order as long as their difficulties are the same.

    Args:
        targets: labels (M,): a tensor of int64, or what ``torch.as_tensor`` makes whole numbers of.
        difficulty: difficulty of the C classes; its owner updates it.
        images: the image row of each target (M,), where an image carries several; the image then belongs to its
            hardest class at the time, the lowest of equally hard ones. None: target i is of image i.
        num_samples: draws of an epoch over all processes; None for the number of images with a target.
        seed, rank, world: see `EpochSampler`.

    Raises:
        ValueError: for labels or images of a wrong kind, no target, a label not below C, or num_samples below 1.

    Source: Sinha et al., Class-difficulty based methods for long-tailed visual recognition, IJCV 2022. The
    probabilities, and the hardest class of an image with several, are our reading of its abstract.
    """

    def __init__(
        self,
        targets: Numbers,
        difficulty: ClassDifficulty,
        *,
        images: Numbers | None = None,
        num_samples: int | None = None,
        seed: int = 0,
        rank: int | None = None,
        world: int | None = None,
    ) -> None:
        super().__init__(seed=seed, rank=rank, world=world)
        self._targets, rows, self._num_classes = check_labels(targets, images, len(difficulty.accuracy))
        self.difficulty = difficulty
        self.num_samples = check_samples(num_samples, rows)
        self._rows, self._image = torch.unique(rows, return_inverse=True)  # row of each image, image of each target

    def hardest_classes(self) -> Tensor:
        """Class that each image with a target belongs to at present, in the order of the rows; int64."""
        hardest_first = self.difficulty.difficulty().cpu().argsort(descending=True, stable=True)
        places = hardest_first.argsort()[self._targets]
        first = torch.full_like(self._rows, self._num_classes).scatter_reduce(0, self._image, places, "amin")
        return hardest_first[first]

    def draw(self, generator: torch.Generator, epoch: int) -> Tensor:
        groups = ClassImages(self.hardest_classes(), self._rows, self._num_classes)
        return groups.draw(self.difficulty.sampling_probabilities().cpu(), self.num_samples, generator)

    def size(self, epoch: int) -> int:
        return self.num_samples
