import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from longtail.data.split import (
    classes_without,
    fraction_for_one,
    random_fraction_for_one,
    random_split,
    stratified_split,
)

TARGETS = hnp.arrays(np.int64, st.integers(0, 60), elements=st.integers(0, 9))
FRACTION = st.floats(0, 1, exclude_max=True)
SEED = st.integers(0, 2**32)


@given(TARGETS, FRACTION, SEED)
def test_invariants(targets, fraction, seed):
    train, held_out = stratified_split(targets, fraction, seed)
    assert train.dtype == held_out.dtype == np.int64
    assert np.array_equal(np.sort(np.concatenate([train, held_out])), np.arange(len(targets)))
    assert (np.diff(train) > 0).all()
    assert (np.diff(held_out) > 0).all()
    labels, counts = np.unique(targets, return_counts=True)
    expected = [min(round(fraction * count), count - 1) for count in counts.tolist()]
    if fraction and counts.any() and not any(expected):  # of all classes together, one at least
        expected[int(counts.argmax())] = min(1, int(counts.max()) - 1)
    assert [(targets[held_out] == label).sum() for label in labels] == expected
    rerun = stratified_split(targets, fraction, seed)
    assert np.array_equal(train, rerun[0])
    assert np.array_equal(held_out, rerun[1])


@given(TARGETS, FRACTION, SEED)
def test_interleaving_does_not_matter(targets, fraction, seed):
    order = np.argsort(targets, kind="stable")  # keeps the order within each class
    _, held_out = stratified_split(targets, fraction, seed)
    _, held_out_of_sorted = stratified_split(targets[order], fraction, seed)
    assert np.array_equal(np.sort(order[held_out_of_sorted]), held_out)


def test_seeds_differ_and_every_row_can_be_held_out():
    targets = np.repeat([3, 8], 20)
    splits = [stratified_split(targets, 0.5, seed)[1] for seed in range(20)]
    assert len({tuple(held_out.tolist()) for held_out in splits}) > 15
    assert len(np.unique(np.concatenate(splits))) == 40


def test_a_tenth_of_ten_is_one():
    for targets in ([0] * 10, [0] * 5 + [1] * 5, [0] * 4 + [1] * 3 + [2] * 3):
        assert len(stratified_split(np.array(targets), 0.1, 0)[1]) == 1


def test_a_fraction_is_of_the_whole_set():
    targets = np.repeat([0, 1], [10, 100])
    rest, test = stratified_split(targets, 0.2, 0)
    kept_of_rest, val = stratified_split(targets[rest], 0.2, 0, np.array([10, 100]))
    for rows, counts in ((rest[kept_of_rest], [6, 60]), (rest[val], [2, 20]), (test, [2, 20])):
        assert np.bincount(targets[rows]).tolist() == counts


@given(st.lists(st.integers(2, 300), min_size=1, max_size=5))
def test_the_smallest_fraction_for_one_of_every_class(sizes):
    least = fraction_for_one(np.array(sizes))
    assert min(round(least * size) for size in sizes) >= 1
    assert min(round((least - 0.01) * size) for size in sizes) == 0


@given(hnp.arrays(np.int64, st.integers(4, 60), elements=st.integers(0, 5)), SEED)
def test_the_smallest_random_fraction_for_one_of_every_class(targets, seed):
    least = random_fraction_for_one(targets, np.arange(len(targets)), len(targets), seed)
    classes = np.flatnonzero(np.bincount(targets) > 1)

    def reaches(hundredths):
        train, held_out = random_split(len(targets), hundredths / 100, seed)
        return np.isin(classes, targets[held_out]).all() and np.isin(classes, targets[train]).all()

    fractions = [hundredths / 100 for hundredths in range(1, 51) if len(classes) and reaches(hundredths)]
    assert least == (fractions[0] if fractions else None)


@given(st.lists(st.integers(0, 6), min_size=2, max_size=40), st.floats(0.01, 0.9), SEED)
def test_a_random_split_keeps_groups_whole(groups, fraction, seed):
    names = [f"g{group}" for group in groups]
    if len(set(names)) < 2:
        with pytest.raises(ValueError, match="all images are of one group"):
            random_split(len(names), fraction, seed, names)
        return
    train, held_out = random_split(len(names), fraction, seed, names)
    assert sorted([*train, *held_out]) == list(range(len(names)))
    assert len(held_out)
    assert not {names[i] for i in train} & {names[i] for i in held_out}
    largest = max(names.count(name) for name in names)
    assert abs(len(held_out) - fraction * len(names)) <= largest + 0.5
    alone = [f"g{row}" for row in range(len(names))]
    for empty in (alone, [""] * len(names)):
        assert [len(part) for part in random_split(len(names), fraction, seed, empty)] == [
            len(part) for part in random_split(len(names), fraction, seed)
        ]


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 2, float("nan")])
def test_fraction_out_of_range(fraction):
    with pytest.raises(ValueError, match=r"fraction must be in \[0, 1\)"):
        stratified_split(np.array([0, 1]), fraction, 0)


def test_classes_without():
    assert classes_without(np.array([0, 3, 3]), 5) == [1, 2, 4]
    assert classes_without(np.array([], dtype=np.int64), 2) == [0, 1]
    assert classes_without(np.array([1, 0]), 2) == []
