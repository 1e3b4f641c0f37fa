import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from longtail.data.split import classes_without, stratified_split

TARGETS = hnp.arrays(np.int64, st.integers(0, 60), elements=st.integers(0, 9))
FRACTION = st.floats(0, 1, exclude_max=True)
SEED = st.integers(0, 2**32)


@given(TARGETS, FRACTION, SEED)
def test_invariants(targets, fraction, seed):
    kept, held_out = stratified_split(targets, fraction, seed)
    assert kept.dtype == held_out.dtype == np.int64
    assert np.array_equal(np.sort(np.concatenate([kept, held_out])), np.arange(len(targets)))
    assert (np.diff(kept) > 0).all()
    assert (np.diff(held_out) > 0).all()
    for label, count in zip(*np.unique(targets, return_counts=True), strict=True):
        assert (targets[held_out] == label).sum() == min(round(fraction * count), count - 1)
    again = stratified_split(targets, fraction, seed)
    assert np.array_equal(kept, again[0])
    assert np.array_equal(held_out, again[1])


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


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 2, float("nan")])
def test_fraction_out_of_range(fraction):
    with pytest.raises(ValueError, match=r"fraction must be in \[0, 1\)"):
        stratified_split(np.array([0, 1]), fraction, 0)


def test_classes_without():
    assert classes_without(np.array([0, 3, 3]), 5) == [1, 2, 4]
    assert classes_without(np.array([], dtype=np.int64), 2) == [0, 1]
    assert classes_without(np.array([1, 0]), 2) == []
