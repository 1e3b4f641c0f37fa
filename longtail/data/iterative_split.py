"""Holding out a part of a set whose images have several classes or none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from longtail.data.split import check_fraction


def iterative_split(
    labels: NDArray[np.bool_],
    fraction: float,
    seed: int,
    groups: Sequence[str] | None = None,
    sizes: NDArray[np.int64] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Hold out a part so that each class, and those without one, keep their share on both sides.

    Iterative stratification: the class of which fewest images are left to be dealt out comes first, as later ones have
    more to choose from; each of its images goes to the side that lacks more of the class, and if both lack as much, of
    images. The side that is held out is to have ``fraction * n`` images of a class of n, and one at least where n is
    two or more. No image is held out that is the last of one of its classes.

    Args:
        labels: (M, C), whether an image has a class.
        fraction: the part to hold out, in [0, 1).
        seed: of the order of the images, not negative.
        groups: of each image, where such must not be parted; one with an empty group is on its own.
        sizes: (C,) n of every class, where ``labels`` are what is left of more; by default those in ``labels``.

    Returns:
        Row numbers that are kept and that are held out, both int64 and ascending; together 0..M-1.

    Raises:
        InputError: ``fraction`` is outside [0, 1).

    Source: Sechidis, Tsoumakas and Vlahavas, On the stratification of multi-label data, ECML PKDD 2011, algorithm 1;
    the least of one and the groups are ours.
    """
    check_fraction("fraction", fraction)
    names = [f"\0{row}" if groups is None else groups[row] or f"\0{row}" for row in range(len(labels))]
    _, owner = np.unique(names, return_inverse=True)
    counts = np.zeros((owner.max(initial=-1) + 1, labels.shape[1] + 1), dtype=np.int64)  # images, in the last column
    np.add.at(counts, owner, np.column_stack([labels, np.ones(len(labels), dtype=np.bool_)]))
    totals = counts.sum(0)
    quotas = fraction * np.append(totals[:-1] if sizes is None else sizes, totals[-1])
    quotas = np.where(totals >= 2, quotas.clip(1 if fraction else 0), quotas)
    lacking = np.stack([totals - quotas, quotas])  # of the side that is kept, and of the one that is held out
    is_held, can_give = np.zeros(len(counts), dtype=np.bool_), totals[:-1].copy()
    waiting = np.random.default_rng(seed).permutation(len(counts))
    left = totals.copy()
    while len(waiting):
        classes = np.flatnonzero(left[:-1])
        rarest = classes[left[classes].argmin()] if len(classes) else len(totals) - 1
        has_it = counts[waiting, rarest] > 0
        for group in waiting[has_it]:
            own = counts[group]
            side = int((lacking[1, rarest], lacking[1, -1]) > (lacking[0, rarest], lacking[0, -1]))
            if side and (own[:-1] < can_give)[own[:-1] > 0].all():
                is_held[group], can_give = True, can_give - own[:-1]
            lacking[int(is_held[group])] -= own
            left -= own
        waiting = waiting[~has_it]
    rows = is_held[owner]
    return np.flatnonzero(~rows).astype(np.int64), np.flatnonzero(rows).astype(np.int64)
