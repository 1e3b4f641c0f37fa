"""How hard the classes are against how frequent they are, over the epochs, and what to say about it."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longtail.reports.groups import Group, ends, group_of
from longtail.reports.results import Epoch, Thresholds

NAMED = 3

# From which rank correlation of difficulty with rarity on what is said; below the last one the next to nothing.
_WORDS = (
    (0.9, "the rarer a class, the harder it is, almost without exception"),
    (0.6, "the rare classes are mostly the hard ones, with exceptions"),
    (0.3, "the rare classes tend to be the hard ones, but a good part of them is not"),
    (-0.3, "how rare a class is says little about how hard it is"),
    (-1.0, "the rare classes are rather the easy ones"),
)


@dataclass(frozen=True)
class Snapshot:
    """The difficulty of every class, 1 - its recorded accuracy, after an epoch; None where it was not measured."""

    epoch: int
    difficulty: tuple[float | None, ...]


def snapshots(history: Sequence[Epoch]) -> list[Snapshot]:
    """Return the first, the middle and the last validated epoch; fewer where fewer were validated."""
    known = [(epoch["epoch"], epoch.get("class_accuracy") or []) for epoch in history]
    known = [(epoch, accuracy) for epoch, accuracy in known if any(value is not None for value in accuracy)]
    places = sorted({0, (len(known) - 1) // 2, len(known) - 1}) if known else []
    return [
        Snapshot(epoch, tuple(None if value is None else 1 - value for value in accuracy))
        for epoch, accuracy in (known[place] for place in places)
    ]


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Return Spearman's rank correlation, equal values sharing their mean rank.

    None for fewer than three pairs, or where all values of a side are equal.
    """
    if len(one) < 3 or len(set(one)) == 1 or len(set(other)) == 1:
        return None
    return float(np.corrcoef(_ranks(one), _ranks(other))[0, 1])


def _ranks(values: Sequence[float]) -> NDArray[np.float64]:
    _, inverse, copies = np.unique(np.asarray(values, dtype=np.float64), return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (copies.cumsum() - (copies - 1) / 2)[inverse]
    return ranks


def rarity_correlation(snapshot: Snapshot, train_counts: Sequence[int]) -> float | None:
    """Return the rank correlation of difficulty with rarity over the classes measured: 1 where the rarer is harder."""
    pairs = [
        (value, -count) for value, count in zip(snapshot.difficulty, train_counts, strict=True) if value is not None
    ]
    return rank_correlation([value for value, _ in pairs], [rarity for _, rarity in pairs])


def no_correlation(snapshot: Snapshot, train_counts: Sequence[int]) -> str:
    """Say why ``rarity_correlation`` gives None."""
    pairs = [
        (value, count) for value, count in zip(snapshot.difficulty, train_counts, strict=True) if value is not None
    ]
    if len(pairs) < 3:
        return "fewer than 3 classes measured"
    frequent = len({count for _, count in pairs}) == 1
    return f"all classes equally {'frequent' if frequent else 'difficult'}"


def in_words(correlation: float | None) -> str:
    """Say how far the rare classes are the hard ones."""
    if correlation is None:
        return "how far the rare classes are the hard ones cannot be told"
    return next(words for least, words in _WORDS if correlation >= least or least == -1.0)


@dataclass(frozen=True)
class Exceptions:
    """Classes that are not as their frequency would have it, the most striking first.

    ``easy`` are of the group ``tail`` and easier than the mean of the group ``head``; ``hard`` the other way round.
    """

    head: Group
    tail: Group
    easy: list[int]
    hard: list[int]


def exceptions(snapshot: Snapshot, train_counts: Sequence[int], thresholds: Thresholds) -> Exceptions | None:
    """Return the easy rare classes and the hard frequent ones; None where only one group was measured."""
    members: dict[Group, list[tuple[float, int]]] = {}
    for index, (value, count) in enumerate(zip(snapshot.difficulty, train_counts, strict=True)):
        if value is not None:
            members.setdefault(group_of(count, thresholds), []).append((value, index))
    groups = ends(members)
    if groups is None:
        return None
    head, tail = groups
    means = {group: statistics.fmean(value for value, _ in members[group]) for group in groups}
    easy = sorted((value, train_counts[index], index) for value, index in members[tail] if value < means[head])
    hard = sorted((-value, -train_counts[index], index) for value, index in members[head] if value > means[tail])
    return Exceptions(head, tail, [index for *_, index in easy[:NAMED]], [index for *_, index in hard[:NAMED]])
