"""Repeat factor sampling."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from longtail.samplers.repeat_factor import RepeatFactorSampler


@given(
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 4)), min_size=1, max_size=20),
    st.integers(0, 5),
    st.floats(0, 1),
)
def test_factors_are_the_formula(pairs: list[tuple[int, int]], negatives: int, threshold: float) -> None:
    count = max(image for image, _ in pairs) + 1
    classes_of = [{label for image, label in pairs if image == i} for i in range(count + negatives)]
    expected = []
    for classes in classes_of:
        factor = 1.0
        for c in classes:
            share = sum(c in labels for labels in classes_of) / len(classes_of)
            factor = max(factor, math.sqrt(threshold / share))
        expected.append(factor)

    images, targets = torch.tensor(pairs).T
    sampler = RepeatFactorSampler(targets, images=images, num_images=count + negatives, threshold=threshold)
    assert sampler.repeat_factors.tolist() == pytest.approx(expected)


def test_one_target_an_image() -> None:
    sampler = RepeatFactorSampler(torch.tensor([0] * 99 + [1]), threshold=0.04)
    assert sampler.repeat_factors.tolist() == pytest.approx([1] * 99 + [2])
    assert sorted(sampler) == [*range(99), 99, 99]


def test_every_epoch_rounds_each_factor_to_a_neighbour_and_is_right_on_average() -> None:
    targets = torch.tensor([0] * 20 + [1] * 6 + [2] * 3)
    sampler = RepeatFactorSampler(targets, num_images=32, threshold=0.5)
    factors = sampler.repeat_factors
    epochs = 4000
    repeats = torch.stack([torch.bincount(sampler.order(epoch), minlength=32) for epoch in range(epochs)])
    assert (repeats >= factors.floor()).all()
    assert (repeats <= factors.ceil()).all()
    deviation = ((factors - factors.floor()) * (factors.ceil() - factors) / epochs).sqrt()
    assert ((repeats.double().mean(0) - factors).abs() <= 5 * deviation).all()


def test_length_is_that_of_the_epoch() -> None:
    sampler = RepeatFactorSampler(torch.tensor([0] * 20 + [1] * 6 + [2] * 3), threshold=0.5)
    lengths = []
    for epoch in range(10):
        sampler.set_epoch(epoch)
        lengths.append(len(sampler))
        assert len(list(sampler)) == lengths[-1] == sampler.size(epoch)
    assert len(set(lengths)) > 1


def test_the_order_is_shuffled() -> None:
    order = RepeatFactorSampler(torch.zeros(100, dtype=torch.int64)).order(0).tolist()
    assert order != sorted(order) == list(range(100))


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"threshold": -0.1}, r"threshold must be in 0\.\.1, got -0.1"),
        ({"threshold": math.nan}, r"threshold must be in 0\.\.1, got nan"),
        ({"num_images": 2}, r"images must lie in 0\.\.1, got 2"),
    ],
)
def test_settings_that_are_refused(settings: dict, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        RepeatFactorSampler(torch.tensor([0, 1, 1]), **settings)


@given(st.lists(st.integers(1, 300), min_size=1, max_size=12))
def test_at_the_mean_share_an_epoch_at_most_doubles(counts: list[int]) -> None:
    targets = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    share = RepeatFactorSampler(targets).mean_share
    assert share == pytest.approx(1 / len(counts))
    sampler = RepeatFactorSampler(targets, threshold=share)
    rows, classes = sum(counts), len(counts)
    factors = [math.sqrt(max(1, rows / classes / n)) for n in counts]
    assert sampler.expected == pytest.approx(sum(n * factor for n, factor in zip(counts, factors, strict=True)))
    assert sampler.expected <= 2 * rows
    rarer = sum(n for n in counts if n * classes < rows)
    assert abs(sampler.repeated - rarer) <= rows * (rarer == 0)  # all equal: rounding may put a factor above 1


def test_shares_count_an_image_once_for_a_class() -> None:
    sampler = RepeatFactorSampler([0, 0, 2], images=[0, 0, 1], num_images=4)
    assert sampler.shares.tolist() == [0.25, 0, 0.25]
    assert sampler.mean_share == 0.25
