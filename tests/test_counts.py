"""Class counts: profiles, subsets, groups, prior."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from longtail.counts import (
    class_number,
    counts_tensor,
    exponential_counts,
    log_prior,
    long_tail_subset,
    pareto_counts,
    shot_groups,
    step_counts,
)
from longtail.reports.groups import group_of
from longtail.reports.results import Thresholds

profiles = given(st.integers(1, 5000), st.integers(1, 120), st.floats(1e-3, 1))


def test_the_published_cifar10_lt_counts() -> None:
    counts = exponential_counts(5000, 10, 0.01)
    assert counts.tolist() == [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]
    assert counts.dtype == torch.int64
    assert exponential_counts(500, 100, 0.01).sum() == 10847


@profiles
def test_exponential_profile_is_the_closed_form(n_max: int, classes: int, factor: float) -> None:
    counts = exponential_counts(n_max, classes, factor).tolist()
    assert len(counts) == classes
    for c, count in enumerate(counts):
        exact = n_max * factor ** (c / (classes - 1)) if classes > 1 else n_max
        assert count == max(1, math.floor(exact))


@profiles
def test_step_profile_has_two_values(n_max: int, classes: int, factor: float) -> None:
    counts = step_counts(n_max, classes, factor).tolist()
    tail = classes // 2  # an odd class in the middle belongs to the head
    assert counts == [n_max] * (classes - tail) + [max(1, math.floor(n_max * factor))] * tail


@given(st.integers(1, 5000), st.integers(1, 120), st.floats(1e-3, 1), st.floats(0.5, 20))
def test_pareto_profile_is_the_closed_form(n_max: int, classes: int, factor: float, power: float) -> None:
    counts = pareto_counts(n_max, classes, factor, power)
    assert counts.dtype == torch.int64
    assert counts[0] == n_max
    assert torch.equal(counts, counts.sort(descending=True).values)
    assert len(counts) == classes
    first = (classes + 1) ** (1 / power) - 1
    for c, count in enumerate(counts.tolist()):
        exact = max(1, factor * n_max, n_max * (((classes + 1) / (c + 1)) ** (1 / power) - 1) / first)
        assert exact - 1 - 1e-6 < count <= exact + 1e-6  # the floor, up to rounding


def test_pareto_profile_is_near_imagenet_lt() -> None:
    counts = pareto_counts(1280, 1000, 5 / 1280)
    assert (counts[0], counts[-1]) == (1280, 5)
    assert counts.sum() == 117137
    assert counts.sum().item() == pytest.approx(115846, rel=0.012)
    assert pareto_counts(1280, 10, 0.01).tolist() == [1280, 856, 629, 478, 365, 276, 203, 142, 88, 41]


def test_pareto_profile_at_its_ends() -> None:
    assert pareto_counts(7, 1, 0.5).tolist() == [7]
    assert pareto_counts(1, 3, 0.5).tolist() == [1, 1, 1]
    assert pareto_counts(9, 3, 1.0).tolist() == [9, 9, 9]
    assert pareto_counts(12, 3, 0.01, power=1).tolist() == [12, 4, 1]  # 4 - 1, 2 - 1 and 4/3 - 1


@pytest.mark.parametrize("power", [0.0, -1.0, math.inf, math.nan])
def test_a_power_that_makes_no_pareto_profile_is_refused(power: float) -> None:
    with pytest.raises(ValueError, match="power must be positive and finite"):
        pareto_counts(10, 10, 0.1, power)


@pytest.mark.parametrize("profile", [exponential_counts, step_counts, pareto_counts])
@pytest.mark.parametrize("arguments", [(0, 10, 0.1), (10, 0, 0.1), (10, 10, 0.0), (10, 10, 1.1), (10, 10, math.nan)])
def test_a_profile_refuses_what_makes_no_counts(profile, arguments) -> None:
    with pytest.raises(ValueError, match="must be"):
        profile(*arguments)


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 4)), min_size=1, max_size=6), st.integers(0, 3))
def test_subset_is_one_shuffle_per_class_in_class_order(classes: list[tuple[int, int]], seed: int) -> None:
    counts = [number for number, _ in classes]
    targets = np.repeat(np.arange(len(classes)), [number + spare for number, spare in classes])
    np.random.RandomState(9).shuffle(targets)

    random = np.random.RandomState(seed)
    expected = []
    for c in range(len(classes)):
        rows = np.array([row for row in range(len(targets)) if targets[row] == c])
        random.shuffle(rows)
        expected += rows[: counts[c]].tolist()
    assert long_tail_subset(targets, counts, seed).tolist() == expected


def test_subset_agrees_with_the_released_code() -> None:
    rows = long_tail_subset(np.arange(400) % 10, exponential_counts(40, 10, 0.1))
    last = [87, 47, 167, 137, 7, 147, 98, 268, 58, 18, 368, 299, 339, 249, 79]  # of classes 7, 8 and 9
    assert rows[-15:].tolist() == last


def test_subset_of_a_class_that_is_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="class 1 has 1 images, 2 are asked for"):
        long_tail_subset(np.array([0, 0, 1]), [1, 2])


def test_shot_groups_at_the_thresholds() -> None:
    groups = shot_groups([101, 100, 99, 21, 20, 19, 1])
    assert {name: mask.nonzero().flatten().tolist() for name, mask in groups.items()} == {
        "many": [0],
        "medium": [1, 2, 3, 4],
        "few": [5, 6],
    }


@pytest.mark.parametrize(("many", "few"), [(100, 20), (50, 50), (50, 51), (7, 3)])
def test_report_and_metrics_agree_on_the_groups(many: int, few: int) -> None:
    counts = range(1, 201)
    masks = shot_groups(torch.tensor(counts), many, few)
    assert torch.stack(list(masks.values())).sum(0).eq(1).all(), "every class is in exactly one group"
    for i, count in enumerate(counts):
        assert masks[group_of(count, Thresholds(many=many, few=few))][i]


def test_thresholds_that_cross_are_refused() -> None:
    with pytest.raises(ValueError, match="few must not be above many"):
        shot_groups([1, 2], many=10, few=12)


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=20))
def test_log_prior(counts: list[int]) -> None:
    prior = log_prior(counts)
    assert prior.dtype == torch.float32
    assert prior.tolist() == pytest.approx([math.log(n / sum(counts)) for n in counts], abs=1e-5)
    assert torch.equal(prior, log_prior(torch.tensor(counts, dtype=torch.int32)))


@pytest.mark.parametrize(
    ("counts", "problem"),
    [
        ([], "shape"),
        (torch.ones(2, 2, dtype=torch.int64), "shape"),
        (torch.tensor(3), "shape"),
        ([1.0, 2.0], "whole numbers"),
        ([4, 0], "got 0 for class 1"),
        ([-1, 3], "got -1 for class 0"),
    ],
)
def test_counts_that_are_no_counts_are_refused(counts, problem: str) -> None:
    for check in (counts_tensor, log_prior):
        with pytest.raises(ValueError, match=problem):
            check(counts)


def test_the_number_of_classes_is_given_or_counted() -> None:
    assert class_number(3) == class_number([5, 2, 1]) == class_number(torch.tensor([5, 2, 1])) == 3
    for value in (0, [], [3, 0]):
        with pytest.raises(ValueError, match="must"):
            class_number(value)


@pytest.mark.parametrize(
    "counts", [{"cat": 50, "dog": 10, "owl": 2}.values(), np.array([50, 10, 2], np.int16), (50, 10, 2)]
)
def test_counts_of_any_form(counts) -> None:
    assert counts_tensor(counts).tolist() == [50, 10, 2]
    assert class_number(counts) == 3
    assert [mask.tolist() for mask in shot_groups(counts, 20, 5).values()] == [
        [True, False, False],
        [False, True, False],
        [False, False, True],
    ]
    targets = [2, 0, 1] * 50
    rows = long_tail_subset(targets, counts)
    assert np.array_equal(rows, long_tail_subset(np.array(targets), counts_tensor(counts)))
    assert np.bincount(np.array(targets)[rows]).tolist() == [50, 10, 2]


def test_counts_that_are_none_say_what_is_wanted() -> None:
    with pytest.raises(ValueError, match=r"class_counts must be numbers of shape \(C,\), .*got dict"):
        counts_tensor({"cat": 50})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"got 0 for class 0: if labels run from 1 to 3, subtract 1 before"):
        counts_tensor(np.bincount([1, 1, 2, 3]))
    with pytest.raises(ValueError, match=r"got 0 for class 1$"):
        counts_tensor([3, 0, 1])
