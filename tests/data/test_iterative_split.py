"""Holding out images of several labels: every label on both sides, in its share."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from longtail.data.iterative_split import iterative_split
from longtail.errors import InputError

LABELS = hnp.arrays(np.bool_, st.tuples(st.integers(0, 30), st.integers(1, 5)))


@settings(max_examples=30)
@given(LABELS, st.floats(0, 1, exclude_max=True), st.integers(0, 9), st.booleans())
def test_invariants(labels, fraction, seed, grouped):
    groups = [f"g{row // 3}" if row % 4 else "" for row in range(len(labels))] if grouped else None
    train, val = iterative_split(labels, fraction, seed, groups)
    assert train.dtype == val.dtype == np.int64
    assert np.array_equal(np.sort(np.concatenate([train, val])), np.arange(len(labels)))
    assert (np.diff(train) > 0).all()
    assert (np.diff(val) > 0).all()
    assert (labels[train].sum(0) > 0)[labels.any(0)].all(), "no label loses its last image"
    if fraction == 0:
        assert len(val) == 0
    if groups is not None:
        assert not {groups[row] for row in train} & {groups[row] for row in val} - {""}
    assert np.array_equal(val, iterative_split(labels, fraction, seed, groups)[1])


def long_tail(images: int, classes: int) -> np.ndarray:
    random = np.random.default_rng(0)
    return random.random((images, classes)) < np.geomspace(0.4, 0.01, classes)


def test_every_label_keeps_its_share_on_both_sides() -> None:
    labels = long_tail(1000, 20)
    _, val = iterative_split(labels, 0.2, 0)
    counts, out = labels.sum(0), labels[val].sum(0)
    assert np.abs(out - 0.2 * counts).max() <= 2
    assert abs(len(val) - 200) <= 5
    empty = ~labels.any(1)
    assert abs(empty[val].sum() - 0.2 * empty.sum()) <= 5
    assert not np.array_equal(val, iterative_split(labels, 0.2, 1)[1]), "the seed draws"


def test_a_label_of_two_images_is_on_both_sides_and_one_of_a_single_image_is_trained_on() -> None:
    labels = long_tail(200, 12)
    labels[:, :2] = False
    labels[[5, 60], 0] = True
    labels[70, 1] = True
    train, val = iterative_split(labels, 0.1, 0)
    assert labels[train][:, 0].sum() == labels[val][:, 0].sum() == 1
    assert labels[train][:, 1].sum() == 1


def test_a_second_split_is_by_the_whole_set() -> None:
    labels = np.repeat(np.eye(2, dtype=np.bool_), 50, axis=0)
    rest, test = iterative_split(labels, 0.2, 0)
    assert labels[test].sum(0).tolist() == [10, 10]
    _, val = iterative_split(labels[rest], 0.2, 0, sizes=labels.sum(0))
    assert labels[rest][val].sum(0).tolist() == [10, 10]


def test_a_part_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="fraction must be in"):
        iterative_split(np.ones((3, 1), dtype=np.bool_), 1.0, 0)
