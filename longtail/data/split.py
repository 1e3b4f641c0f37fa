"""Holding out a part of a set, or of every class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from longtail.errors import InputError
from longtail.files.listing import IntegerArray


def check_fraction(name: str, fraction: float) -> None:
    """Check that a part to hold out is in [0, 1); raises InputError with its name."""
    if not 0 <= fraction < 1:
        raise InputError(f"{name} must be in [0, 1), got {fraction}")


def check_fractions(val_fraction: float, test_fraction: float) -> None:
    """Check that two parts to hold out are in [0, 1), and leave something to train on; raises InputError."""
    check_fraction("val_fraction", val_fraction)
    check_fraction("test_fraction", test_fraction)
    if val_fraction + test_fraction >= 1:
        both = f"{val_fraction:g} and {test_fraction:g}"
        raise InputError(f"val_fraction and test_fraction are of the whole set: {both} leave nothing to train on")


def stratified_split(
    targets: IntegerArray,
    fraction: float,
    seed: int,
    sizes: IntegerArray | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Hold out ``round(fraction * n)`` of the n rows of every class, but never all of them; where that is none of any
    class, one row of the largest.

    The choice depends on ``seed``, on the class sizes and on the order of the rows within their class; how the classes
    interleave does not matter.

    Args:
        targets: (M,) integer classes.
        fraction: the part to hold out, in [0, 1).
        seed: of the random choice, not negative.
        sizes: (C,) n of every class, where ``targets`` are what is left of more; by default those in ``targets``.

    Returns:
        Row numbers that are kept and that are held out, both int64 and ascending; together 0..M-1.

    Raises:
        InputError: ``fraction`` is outside [0, 1).
    """
    check_fraction("fraction", fraction)
    order = _in_order(targets)  # row numbers, class by class
    classes, starts, counts = np.unique(targets[order], return_index=True, return_counts=True)
    held_out = np.minimum(np.rint(fraction * (counts if sizes is None else sizes[classes])), counts - 1)
    if fraction and not held_out.any() and len(counts):
        held_out[counts.argmax()] = min(1, counts.max() - 1)
    of_class = np.repeat(np.arange(len(counts)), counts)
    draws = np.argsort(np.random.default_rng(seed).random(len(order)), kind="stable")
    shuffled = order[draws[_in_order(of_class[draws])]]  # class by class, each in the order that is drawn
    is_held_out = np.zeros(len(order), dtype=np.bool_)
    is_held_out[shuffled[np.arange(len(order)) - starts[of_class] < held_out[of_class]]] = True
    return np.flatnonzero(~is_held_out).astype(np.int64), np.flatnonzero(is_held_out).astype(np.int64)


def _in_order(numbers: IntegerArray) -> NDArray[np.int64]:
    """Row numbers by the numbers in the rows, those of equal ones in order; small numbers are sorted in one pass."""
    if len(numbers) and numbers.min() >= 0 and numbers.max() < 2**16:
        numbers = numbers.astype(np.uint16)
    return np.argsort(numbers, kind="stable")


def grouped_split(
    targets: IntegerArray,
    groups: Sequence[str],
    fraction: float,
    seed: int,
    sizes: IntegerArray | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Hold out whole groups, so that of every class about ``fraction`` of its rows is.

    Groups are taken in an order that is drawn, those with more classes first; each is held out if that brings the sum
    over the classes of |held out - fraction * n|, in parts of the n rows of the class, down. No class loses its last
    group. Rows with an empty group are on their own.

    Args:
        targets: (M,) integer classes.
        groups: of each row.
        fraction: the part to hold out, in [0, 1).
        seed: of the random order, not negative.
        sizes: as of ``stratified_split``.

    Returns:
        Row numbers that are kept and that are held out, both int64 and ascending; together 0..M-1.

    Raises:
        InputError: ``fraction`` is outside [0, 1).
    """
    check_fraction("fraction", fraction)
    classes, labels = np.unique(targets, return_inverse=True)
    names = [name or f"\0{row}" for row, name in enumerate(groups)]
    _, owner = np.unique(names, return_inverse=True)
    counts = np.zeros((owner.max(initial=-1) + 1, labels.max(initial=-1) + 1), dtype=np.int64)
    np.add.at(counts, (owner, labels), 1)
    totals = counts.sum(0)
    quotas = fraction * (totals if sizes is None else sizes[classes])
    order = np.random.default_rng(seed).permutation(len(counts))
    order = order[np.argsort(-(counts[order] > 0).sum(1), kind="stable")]
    held = np.zeros(len(totals), dtype=np.int64)
    is_held = np.zeros(len(counts), dtype=bool)
    for group in order:
        own = counts[group]
        before, after = np.abs(held - quotas), np.abs(held + own - quotas)
        if ((after - before) / totals).sum() < 0 and (held + own < totals)[own > 0].all():
            is_held[group], held = True, held + own
    rows = is_held[owner]
    return np.flatnonzero(~rows).astype(np.int64), np.flatnonzero(rows).astype(np.int64)


def groups_of_classes(
    targets: IntegerArray,
    groups: Sequence[str],
    num_classes: int,
) -> NDArray[np.int64]:
    """The number of groups in which each class has rows (C,); a row with an empty group is on its own."""
    names = [name or f"\0{row}" for row, name in enumerate(groups)]
    pairs = set(zip(targets.tolist(), names, strict=True))
    return np.bincount([target for target, _ in pairs], minlength=num_classes).astype(np.int64)


def grouped_fraction_for_one(
    targets: IntegerArray,
    groups: Sequence[str],
    classes: IntegerArray,
    seed: int,
    sizes: IntegerArray | None = None,
) -> float | None:
    """The smallest fraction, in hundredths, by which ``grouped_split`` holds one row at least of each of ``classes``
    out; None where none up to a half does. The other arguments are as there."""
    for hundredths in range(1, 51):
        _, held_out = grouped_split(targets, groups, hundredths / 100, seed, sizes)
        if np.isin(classes, targets[held_out]).all():
            return hundredths / 100
    return None


def random_split(
    count: int, fraction: float, seed: int, groups: Sequence[str] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Hold out ``round(fraction * count)`` of so many rows, whatever their classes, and one at least; of groups as many
    whole ones as come nearest to that.

    Args:
        count: of the rows.
        fraction: the part to hold out.
        seed: of the random choice, not negative.
        groups: of each row, where such must not be parted; a row with an empty one is on its own.

    Returns:
        Row numbers that are kept and that are held out, both int64 and ascending; together 0..count-1.

    Raises:
        InputError: there is a single group.
    """
    places, sizes = _places(count, seed, groups)
    if groups is not None and len(sizes) < 2:
        raise InputError("--data.group: all images are of one group, of which none can be held out; give another one")
    is_held = places < _held_out(sizes, fraction)
    return np.flatnonzero(~is_held).astype(np.int64), np.flatnonzero(is_held).astype(np.int64)


def _places(count: int, seed: int, groups: Sequence[str] | None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each of so many rows stands in a random order (count,), those of a group at one place; and how many stand
    at each place."""
    owner = np.arange(count)
    if groups is not None:
        _, owner = np.unique([name or f"\0{row}" for row, name in enumerate(groups)], return_inverse=True)
    size = int(owner.max(initial=-1)) + 1
    place = np.empty(size, dtype=np.int64)
    place[np.random.default_rng(seed).permutation(size)] = np.arange(size)
    return place[owner], np.bincount(place[owner], minlength=size).astype(np.int64)


def _held_out(sizes: NDArray[np.int64], fraction: float) -> int:
    """How many of the first places ``random_split`` holds out, of which each has so many rows."""
    totals = sizes.cumsum()
    return 1 if len(sizes) == 0 else int(np.abs(totals - round(fraction * int(totals[-1]))).argmin()) + 1


def fraction_for_one(sizes: IntegerArray) -> float:
    """The smallest fraction, in hundredths, that ``stratified_split`` holds one row of every class out by, of classes
    of n rows each (K,): the first over a half of one in the smallest."""
    return float(np.floor(50 / sizes.min()) + 1) / 100


def random_fraction_for_one(
    targets: IntegerArray,
    owners: IntegerArray,
    count: int,
    seed: int,
    groups: Sequence[str] | None = None,
) -> float | None:
    """The smallest fraction, in hundredths, by which ``random_split`` holds one row at least of every class out, of
    those that several rows or groups have, and leaves them another; None where none up to a half does.

    Args:
        targets: (M,) integer classes.
        owners: (M,) the row that has each of them, of ``count``.
        count: as there.
        seed: as there.
        groups: as there.
    """
    if len(targets) == 0:
        return None
    place, sizes = _places(count, seed, groups)
    size = int(targets.max()) + 1
    first, last = np.full(size, len(sizes)), np.full(size, -1)
    np.minimum.at(first, targets, place[owners])
    np.maximum.at(last, targets, place[owners])
    in_several = first < last
    if not in_several.any():
        return None
    enough, most = int(first[in_several].max()) + 1, int(last[in_several].min())
    fractions = (hundredths / 100 for hundredths in range(1, 51))
    return next((fraction for fraction in fractions if enough <= _held_out(sizes, fraction) <= most), None)


def classes_without(targets: IntegerArray, num_classes: int) -> list[int]:
    """The classes among 0..num_classes-1 that do not occur in ``targets`` (M,), ascending."""
    absent: list[int] = np.setdiff1d(np.arange(num_classes), targets).tolist()
    return absent
