"""Class counts: long-tail profiles, published subsets, shot groups and the class prior."""

import math
from collections.abc import Sequence, ValuesView
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from longtail.checks import Numbers, as_tensor, check_targets

Counts = Sequence[int] | NDArray[np.integer[Any]] | ValuesView[int] | Tensor


def counts_tensor(class_counts: Counts) -> Tensor:
    """Return class counts as an int64 tensor (C,).

    Raises:
        ValueError: if it is not one-dimensional, is empty, or holds a count below 1.
    """
    counts = as_tensor("class_counts", class_counts, "C")
    if counts.ndim != 1 or len(counts) == 0:
        raise ValueError(f"class_counts must have shape (C,) with C >= 1, got {tuple(counts.shape)}")
    if counts.is_floating_point() or counts.is_complex():
        raise ValueError(f"class_counts must be whole numbers, got dtype {counts.dtype}")
    if int(counts.min()) < 1:
        shifted = int(counts[0]) == 0 and len(counts) > 1 and int(counts[1:].min()) > 0
        hint = f": if labels run from 1 to {len(counts) - 1}, subtract 1 before they are counted" if shifted else ""
        raise ValueError(
            f"class_counts must be positive, got {int(counts.min())} for class {int(counts.argmin())}{hint}"
        )
    return counts.to(torch.int64)


def class_number(classes: int | Counts) -> int:
    """The number of classes C, from itself or from the class counts (C,).

    Raises:
        ValueError: if it is below 1, or the counts cannot be used.
    """
    if not isinstance(classes, int):
        return len(counts_tensor(classes))
    if classes < 1:
        raise ValueError(f"num_classes must be at least 1, got {classes}")
    return classes


def _check_profile(n_max: int, num_classes: int, factor: float) -> None:
    if n_max < 1 or num_classes < 1:
        raise ValueError(f"n_max and num_classes must be at least 1, got {n_max} and {num_classes}")
    if not 0 < factor <= 1:
        raise ValueError(f"factor must be in (0, 1], got {factor}")


def exponential_counts(n_max: int, num_classes: int, factor: float) -> Tensor:
    """Exponential profile: n_c = max(1, floor(n_max * factor^(c / (C - 1)))), int64 (C,).

    Args:
        n_max: images of the largest class.
        num_classes: C.
        factor: imbalance factor, smallest over largest class, in (0, 1].

    Source: Cui et al., Class-balanced loss, CVPR 2019, section 5 (the CIFAR-LT benchmark).

    >>> exponential_counts(5000, 10, 0.01).tolist()
    [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]
    """
    _check_profile(n_max, num_classes, factor)
    last = max(num_classes - 1, 1)
    return torch.tensor([max(1, int(n_max * factor ** (c / last))) for c in range(num_classes)])


def step_counts(n_max: int, num_classes: int, factor: float) -> Tensor:
    """Step profile: the first half of the classes keep n_max, the others max(1, floor(n_max * factor)); int64 (C,).

    Source: Buda et al., Neural Networks 2018, as used by Cao et al. (LDAM), NeurIPS 2019.

    >>> step_counts(100, 4, 0.1).tolist()
    [100, 100, 10, 10]
    """
    _check_profile(n_max, num_classes, factor)
    tail = max(1, int(n_max * factor))
    head = num_classes - num_classes // 2
    return torch.tensor([n_max] * head + [tail] * (num_classes - head))


def pareto_counts(n_max: int, num_classes: int, factor: float, power: float = 6.0) -> Tensor:
    """Pareto profile: n_c = max(1, floor(max(factor * n_max, n_max * q_c / q_0))), int64 (C,), descending.

    q_c = ((C + 1) / (c + 1))^(1 / power) - 1 are quantiles of the Pareto II (Lomax) distribution. This is the
    deterministic version of ImageNet-LT, whose counts were drawn with power 6: for its largest class of 1280 images and
    smallest of 5 it gives 117,137 images, 1.1 % more than the 115,846 of the published list.

    Args:
        n_max: images of the largest class.
        num_classes: C.
        factor: imbalance factor, lower bound of smallest over largest class, in (0, 1].
        power: shape of the distribution, positive; a smaller one gives a steeper profile.

    Source: Liu et al., Large-scale long-tailed recognition in an open world, CVPR 2019.

    >>> pareto_counts(1280, 10, 0.01).tolist()
    [1280, 856, 629, 478, 365, 276, 203, 142, 88, 41]
    """
    _check_profile(n_max, num_classes, factor)
    if not 0 < power < math.inf:
        raise ValueError(f"power must be positive and finite, got {power}")
    quantiles = [math.expm1(math.log((num_classes + 1) / (c + 1)) / power) for c in range(num_classes)]
    # the ratio first: it is exactly 1 for the largest class
    return torch.tensor([max(1, int(n_max * max(factor, q / quantiles[0]))) for q in quantiles])


def long_tail_subset(targets: Numbers, counts: Counts, seed: int = 0) -> NDArray[np.int64]:
    """Rows of the published long-tail subset: one shuffle per class in class order, the first n_c rows of each.

    Args:
        targets: labels (M,) in 0..C-1.
        counts: images to keep of each class (C,).
        seed: numpy ``RandomState`` seed; 0 gives the published CIFAR-LT subsets.

    Returns:
        Row numbers, class by class, int64 (sum n_c,).

    Raises:
        ValueError: if a class has fewer rows than asked for, or a label is negative.
    """
    labels = check_targets(targets, "M").numpy()
    random = np.random.RandomState(seed)
    rows = []
    for c, n in enumerate(counts_tensor(counts).tolist()):
        of_class = np.flatnonzero(labels == c)
        if len(of_class) < n:
            raise ValueError(f"class {c} has {len(of_class)} images, {n} are asked for")
        random.shuffle(of_class)
        rows.append(of_class[:n])
    return np.concatenate(rows)


def shot_groups(class_counts: Counts, many: int = 100, few: int = 20) -> dict[str, Tensor]:
    """Masks (C,) of the many-shot (n_c > many), few-shot (n_c < few) and medium-shot (all other) classes.

    Source: Liu et al., Large-scale long-tailed recognition in an open world, CVPR 2019.

    Raises:
        ValueError: if few is above many.
    """
    if few > many + 1:
        raise ValueError(f"few must not be above many, got few {few} and many {many}")
    counts = as_tensor("class_counts", class_counts, "C")
    return {"many": counts > many, "medium": (counts <= many) & (counts >= few), "few": counts < few}


def log_prior(class_counts: Counts) -> Tensor:
    """Logarithm of the class prior, log(n_c / sum n), float32 (C,)."""
    counts = counts_tensor(class_counts).double()
    return (counts / counts.sum()).log().float()
