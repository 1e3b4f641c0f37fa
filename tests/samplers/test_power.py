"""Sampling by a power of the class sizes."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from longtail.samplers.power import PowerSampler

from . import assert_frequencies

COUNTS = [60, 0, 25, 10, 1, 0]
TARGETS = torch.arange(6).repeat_interleave(torch.tensor(COUNTS))[
    torch.randperm(96, generator=torch.Generator().manual_seed(0))
]


@given(st.lists(st.integers(0, 300), min_size=1, max_size=8).filter(any), st.floats(-2, 2))
def test_probabilities_are_the_formula(counts: list[int], power: float) -> None:
    targets = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    powers = [n**power if n else 0 for n in counts]
    expected = [p / sum(powers) for p in powers]
    sampler = PowerSampler(targets, power, num_classes=len(counts))
    assert sampler.probabilities(0).tolist() == pytest.approx(expected, rel=1e-9)
    assert [p == 0 for p in sampler.probabilities(0).tolist()] == [n == 0 for n in counts]


def test_progressive_probabilities() -> None:
    sampler = PowerSampler(TARGETS, 0, progressive_epochs=5)
    for epoch in range(8):
        part = min(epoch / 4, 1)
        expected = [(1 - part) * n / 96 + part * (n > 0) / 4 for n in COUNTS[:5]]
        assert sampler.probabilities(epoch).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("power", [0, 0.5, 1])
def test_frequencies_of_classes_and_of_rows(power: float) -> None:
    sampler = PowerSampler(TARGETS, power, num_classes=6, num_samples=50_000)
    rows = sampler.order(0)
    probabilities = sampler.probabilities(0)
    assert_frequencies(TARGETS[rows], probabilities)
    assert_frequencies(rows, torch.stack([probabilities[c] / COUNTS[c] for c in TARGETS.tolist()]))


def test_the_order_of_an_epoch_uses_its_own_probabilities() -> None:
    sampler = PowerSampler(TARGETS, 0, progressive_epochs=4, num_samples=50_000)
    for epoch in (3, 0, 1):
        assert_frequencies(TARGETS[sampler.order(epoch)], sampler.probabilities(epoch))


def test_images_with_several_targets() -> None:
    targets = torch.tensor([0, 0, 0, 1, 1, 2])
    images = torch.tensor([7, 7, 2, 2, 4, 4])
    sampler = PowerSampler(targets, 1, images=images)
    assert len(sampler) == 3
    rows = PowerSampler(targets, 1, images=images, num_samples=20_000).order(0)
    assert_frequencies(rows, torch.tensor([0, 0, 2 / 6, 0, 2 / 6, 0, 0, 2 / 6]))


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"power": math.nan}, "power must be finite, got nan"),
        ({"power": math.inf}, "power must be finite, got inf"),
        ({"power": 0, "progressive_epochs": 1}, "progressive_epochs must be at least 2, got 1"),
    ],
)
def test_settings_that_are_refused(settings: dict, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        PowerSampler(TARGETS, **settings)
