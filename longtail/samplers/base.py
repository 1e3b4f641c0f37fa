"""What every sampler shares: seeds and shards, the check of its inputs, and drawing an image of a class."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import Sampler

from longtail.checks import Numbers, as_tensor, from_one
from longtail.distributed import processes


def epoch_generator(seed: int, epoch: int) -> torch.Generator:
    """What all draws of an epoch come from; other seeds and epochs give others."""
    return torch.Generator().manual_seed((seed * 1_000_003 + epoch) % 2**63)


class EpochSampler(Sampler[int], ABC):
    """Image rows of an epoch, in an order that follows from (seed, epoch) and is the same on all processes.

    Each process takes every world-th row. The order is filled up to equal shards by repeating its first rows.

    Args:
        seed: of the order.
        rank, world: this process, and the number of processes; without them torch.distributed is asked when the
            sampler is used (0 and 1 where it is not initialised).

    Raises:
        ValueError: if only one of rank and world is given, or rank is not in 0..world - 1.
    """

    def __init__(self, *, seed: int = 0, rank: int | None = None, world: int | None = None) -> None:
        if (rank is None) != (world is None):
            raise ValueError(f"rank and world must be given together, got rank {rank} and world {world}")
        if rank is not None and world is not None and not 0 <= rank < world:
            raise ValueError(f"rank must be in 0..world - 1, got rank {rank} and world {world}")
        self.seed, self.rank, self.world = seed, rank, world
        self.epoch = 0

    @abstractmethod
    def draw(self, generator: torch.Generator, epoch: int) -> Tensor:
        """Draw the image rows of a whole epoch over all processes: int64, one-dimensional, at least one."""

    def size(self, epoch: int) -> int:
        """Rows of an epoch over all processes, before they are filled up; override it where it is known at once."""
        return len(self.order(epoch))

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration."""
        self.epoch = epoch

    def order(self, epoch: int) -> Tensor:
        """Image rows of an epoch over all processes, before they are filled up; int64 (size(epoch),)."""
        return self.draw(epoch_generator(self.seed, epoch), epoch)

    def __iter__(self) -> Iterator[int]:
        order = self.order(self.epoch)
        rank, world = self._place()
        filled_up = -(-len(order) // world) * world
        shard: list[int] = order[torch.arange(rank, filled_up, world) % len(order)].tolist()
        return iter(shard)

    def __len__(self) -> int:
        return -(-self.size(self.epoch) // self._place()[1])

    def _place(self) -> tuple[int, int]:
        """Rank and world."""
        if self.rank is not None and self.world is not None:
            return self.rank, self.world
        return processes()


class ClassImages:
    """Images grouped by class, for drawing a class and then one of its images.

    Args:
        targets: labels (M,), int64.
        images: the image row of each target (M,), int64.
        num_classes: C.

    An image that has a class twice counts twice in ``label_counts`` (C,) and in what is drawn.
    """

    def __init__(self, targets: Tensor, images: Tensor, num_classes: int) -> None:
        self.label_counts = torch.bincount(targets, minlength=num_classes)
        self._starts = self.label_counts.cumsum(0) - self.label_counts
        self._images = images[targets.argsort(stable=True)]

    def draw(self, probabilities: Tensor, samples: int, generator: torch.Generator) -> Tensor:
        """Draw image rows (samples,): a class by the probabilities, then uniformly one of its images, with replacement.

        Args:
            probabilities: of the classes (C,), not negative; they need not sum to 1. A class without images is left
                out.
            samples: how many.
            generator: of the random numbers.
        """
        cumulative = probabilities.double().where(self.label_counts > 0, 0).cumsum(0)
        u, v = torch.rand(2, samples, dtype=torch.float64, generator=generator)
        # The first class whose cumulative probability is above u * total, which is below the total even after
        # rounding: so a class that adds nothing is never it.
        classes = torch.searchsorted(cumulative, u * cumulative[-1], right=True)
        return self._images[self._starts[classes] + (v * self.label_counts[classes]).long()]


def check_labels(labels: Numbers, rows: Numbers | None, num_classes: int | None = None) -> tuple[Tensor, Tensor, int]:
    """Check labels and the image of each label; return both (M,), and the number of classes C.

    Args:
        labels: (M,).
        rows: of the images (M,); None for one target an image.
        num_classes: C; None for the largest label + 1.

    Raises:
        ValueError: if either is not int64, one-dimensional and non-negative, the lengths differ, there is no target,
            or a label is not below num_classes.
    """
    targets = as_tensor("targets", labels, "M")
    images = torch.arange(targets.numel()) if rows is None else as_tensor("images", rows, "M")
    for name, numbers in (("targets", targets), ("images", images)):
        if numbers.ndim != 1 or len(numbers) == 0 or len(numbers) != len(targets):
            shape = "have shape (M,) with M >= 1, one for each target"
            raise ValueError(f"{name} must {shape}, got {tuple(numbers.shape)}")
        if numbers.dtype != torch.int64:
            raise ValueError(f"{name} must be int64, got dtype {numbers.dtype}")
        if int(numbers.min()) < 0:
            raise ValueError(f"{name} must not be negative, got {int(numbers.min())}")
    least, largest = (int(label) for label in targets.aminmax())
    if num_classes is not None and largest >= num_classes:
        hint = from_one(least, largest, num_classes)
        raise ValueError(f"targets must lie in 0..{num_classes - 1}, got {largest}{hint}")
    return targets, images, largest + 1 if num_classes is None else num_classes


def check_samples(num_samples: int | None, images: Tensor) -> int:
    """Return the draws of an epoch; the number of different images (M,) if None.

    Raises:
        ValueError: if it is below 1.
    """
    if num_samples is None:
        rising = bool((images[1:] > images[:-1]).all())  # as they are where each has one target
        return len(images) if rising else len(torch.unique(images))
    if num_samples < 1:
        raise ValueError(f"num_samples must be at least 1, got {num_samples}")
    return num_samples
