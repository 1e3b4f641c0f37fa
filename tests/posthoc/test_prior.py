"""Class frequencies against closed cases and plain loops."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from longtail.posthoc import estimate_prior, prior_interval, shift_prior
from longtail.posthoc.prior import check_prior


def test_a_posterior_is_shifted_as_by_bayes() -> None:
    densities = torch.tensor([[0.2, 0.5, 0.1], [0.9, 0.3, 0.3]], dtype=torch.float64)
    source, target = torch.tensor([0.7, 0.2, 0.1]), torch.tensor([0.1, 0.0, 0.9])
    logits = (densities * source).log() + 3.0  # of any constant
    posterior = shift_prior(logits, source, target).softmax(1)
    for row, density in zip(posterior.tolist(), densities.tolist(), strict=True):
        joint = [d * t for d, t in zip(density, target.tolist(), strict=True)]
        assert row == pytest.approx([j / sum(joint) for j in joint])


@given(st.floats(0.21, 0.69))
def test_two_classes_of_one_bit_have_a_closed_estimate(ones: float) -> None:
    """p(x = 1) is 0.2 in the first class and 0.7 in the second, so pi_1 = (share of ones - 0.2) / 0.5."""
    images = 1000
    on = round(ones * images)
    density = torch.tensor([[0.2, 0.7]] * on + [[0.8, 0.3]] * (images - on), dtype=torch.float64)
    source = torch.tensor([0.9, 0.1], dtype=torch.float64)
    estimate = estimate_prior((density * source).log(), source)
    assert estimate[1].item() == pytest.approx((on / images - 0.2) / 0.5, abs=1e-3)
    assert estimate.sum().item() == pytest.approx(1)


def test_the_estimate_is_that_of_a_plain_loop_and_its_interval_holds_it() -> None:
    torch.manual_seed(0)
    truth, classes, source = [0.05, 0.15, 0.8], 3, [0.6, 0.3, 0.1]
    labels = torch.multinomial(torch.tensor(truth), 2000, replacement=True)
    x = labels + 0.7 * torch.randn(2000)
    logits = torch.stack([-((x - c) ** 2) / (2 * 0.49) + math.log(source[c]) for c in range(classes)], 1)
    estimate = estimate_prior(logits, source)

    prior = [1 / classes] * classes
    posterior = logits.double().softmax(1).tolist()
    for _ in range(500):
        total = [0.0] * classes
        for row in posterior:
            joint = [p * q / s for p, q, s in zip(row, prior, source, strict=True)]
            for c in range(classes):
                total[c] += joint[c] / sum(joint) / len(posterior)
        prior = total
    assert estimate.tolist() == pytest.approx(prior, abs=1e-4)
    low, high = prior_interval(logits, source)
    assert (low <= estimate).all()
    assert (estimate <= high).all()
    assert (low <= torch.tensor(truth)).all()
    assert (torch.tensor(truth) <= high).all()
    assert (high - low).max() < 0.1


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ([1, 1], [-1, 2], "not negative"),
        ([1, 0], [1, 1], "source must be positive, got 0 for class 1"),
        ([1, 1], [0, 0], "a class above 0"),
        ([1, 1, 1], [1, 1], r"shape \(2,\)"),
    ],
)
def test_wrong_frequencies_are_refused(source: list[int], target: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        shift_prior(torch.zeros(4, 2), source, target)


def test_no_image_tells_nothing() -> None:
    with pytest.raises(ValueError, match="M >= 1"):
        estimate_prior(torch.zeros(0, 2), [1, 1])


def test_counts_become_frequencies() -> None:
    assert check_prior([3, 0, 1], 3).tolist() == [0.75, 0.0, 0.25]
