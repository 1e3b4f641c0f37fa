"""A queue of features for each class."""

import torch
from torch import Tensor, nn

from longtail.checks import Numbers, check_integers, check_shape, check_targets
from longtail.counts import Counts, counts_tensor


def class_slots(class_counts: Counts, size: int, min_per_class: int = 1) -> Tensor:
    """Slots of each class, K_c = k0 + (K - C k0) p_c with the prior p_c = n_c / sum n; int64 (C,), with sum K.

    Fractions are rounded by largest remainder; of equal remainders that of the lower class comes first.

    Args:
        class_counts: training images of each class (C,).
        size: K, slots altogether.
        min_per_class: k0, slots that every class has at least.

    Raises:
        ValueError: if k0 is below 1, or K below C k0.

    >>> class_slots([50, 10, 2], size=16, min_per_class=2).tolist()
    [10, 4, 2]
    """
    counts = counts_tensor(class_counts)
    least = len(counts) * min_per_class
    if min_per_class < 1:
        raise ValueError(f"min_per_class must be at least 1, got {min_per_class}")
    if size < least:
        raise ValueError(f"size must be at least {least} = {len(counts)} classes x {min_per_class}, got {size}")
    shares, total = (size - least) * counts, counts.sum()
    slots = shares // total
    left = size - least - int(slots.sum())
    slots[(shares % total).argsort(descending=True, stable=True)[:left]] += 1
    return slots + min_per_class


class ClassQueue(nn.Module):
    """First-in-first-out queues of the latest features, one for each class, in one flat store of K slots.

    Class c owns the K_c slots from ``offsets[c]`` on (:func:`class_slots`), and fills them in a circle.

    - ``features`` (K, D): zeros where a slot is empty.
    - ``targets`` (K,): label of the slot's content, -1 where it is empty. ``longtail.losses.GaussianMixtureLoss`` skips
      empty slots.
    - ``ids`` (K,): which image it came from, -1 where empty or not given.
    - ``pointer`` (C,): the next slot of each class, counted from its offset.

    All four survive a reload. ``enqueue`` writes in place: call it before the queue is read for a loss, or after
    ``backward``. With several processes enqueue what ``longtail.distributed.gather`` returns: then all hold the same.

    Args:
        class_counts: training images of each class (C,).
        dim: D, length of a feature.
        size: K, slots altogether.
        min_per_class: k0, slots that every class has at least.

    Raises:
        ValueError: if dim or k0 is below 1, or K below C k0.

    Source: Suh and Seo, Long-tailed recognition by mutual information maximization between latent features and
    ground-truth labels, ICML 2023.
    """

    features: Tensor
    targets: Tensor
    ids: Tensor
    pointer: Tensor
    slots: Tensor
    offsets: Tensor

    def __init__(self, class_counts: Counts, dim: int, size: int, min_per_class: int = 1) -> None:
        super().__init__()
        if dim < 1:
            raise ValueError(f"dim must be at least 1, got {dim}")
        slots = class_slots(class_counts, size, min_per_class)
        self.register_buffer("features", torch.zeros(size, dim))
        self.register_buffer("targets", torch.full((size,), -1))
        self.register_buffer("ids", torch.full((size,), -1))
        self.register_buffer("pointer", torch.zeros_like(slots))
        self.register_buffer("slots", slots, persistent=False)
        self.register_buffer("offsets", slots.cumsum(0) - slots, persistent=False)

    @torch.no_grad()
    def enqueue(self, features: Numbers, targets: Numbers, ids: Numbers | None = None) -> None:
        """Add the rows of a batch in their order, each in place of the oldest of its class.

        Shapes: features (N, D), cast to the dtype of the store; targets (N,) int64; ids (N,) int64.

        Raises:
            ValueError: on a wrong shape or dtype, or, on the CPU, a label outside 0..C-1.
        """
        device = self.features.device
        features = check_shape("features", features, "N", self.features.shape[1], device=device)
        targets = check_targets(targets, len(features), len(self.slots), device=device)
        if ids is None:
            ids = torch.full_like(targets, -1)
        ids = check_integers("ids", ids, len(features), device=device)
        order = targets.argsort(stable=True)
        classes = targets[order]
        edges = torch.searchsorted(classes, torch.arange(len(self.slots) + 1, device=classes.device))  # (C + 1,)
        starts, in_batch = edges[:-1], edges.diff()  # where each class starts among the sorted rows, and its rows
        rank = torch.arange(len(classes), device=classes.device) - starts[classes]

        # Where a class brings more rows than it has slots, a row writes what the last one on the same slot writes.
        laps = (in_batch[classes] - 1 - rank) // self.slots[classes]
        rows = order[starts[classes] + rank + laps * self.slots[classes]]
        places = self.offsets[classes] + (self.pointer[classes] + rank) % self.slots[classes]
        self.features[places] = features[rows].to(self.features.dtype)
        self.targets[places] = classes
        self.ids[places] = ids[rows]
        self.pointer.copy_((self.pointer + in_batch) % self.slots)
