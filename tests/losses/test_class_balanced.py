"""Class-balanced loss against its formula."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from longtail.losses.class_balanced import ClassBalancedLoss, effective_number_weights
from longtail.losses.cross_entropy import CrossEntropyLoss

from . import naive


@given(
    st.integers(0, 6),
    st.lists(st.integers(1, 5000), min_size=2, max_size=7),
    st.sampled_from([0.0, 0.9, 0.9999]),
    st.sampled_from([0.0, 1.0]),
    st.integers(0, 99),
)
def test_value_and_gradient_are_the_formulas(
    rows: int, counts: list[int], beta: float, gamma: float, seed: int
) -> None:
    logits, targets = naive.logits_and_targets(rows, len(counts), seed)
    inverse = [(1 - beta) / (1 - beta**n) for n in counts]
    expected = []
    for x, y in zip(logits, targets, strict=True):
        p = naive.probability(x, y)
        expected.append(-inverse[y] / sum(inverse) * len(counts) * (1 - p) ** gamma * p.log())
    values = ClassBalancedLoss(counts, beta, gamma, reduction="none")(logits, targets)
    close = {"rtol": 1e-5, "atol": 1e-6}  # the weights are kept in float32
    naive.assert_same_rows(values, naive.stack(expected, logits), [logits], **close)


def test_beta_zero_is_cross_entropy() -> None:
    logits, targets = torch.randn(5, 3), torch.tensor([0, 2, 1, 1, 0])
    assert torch.equal(ClassBalancedLoss([900, 30, 1], beta=0)(logits, targets), CrossEntropyLoss()(logits, targets))


def test_beta_near_one_weighs_by_the_inverse_frequency() -> None:
    weights = effective_number_weights([1000, 30, 1], 1 - 1e-9)
    inverse = torch.tensor([1 / 1000, 1 / 30, 1])
    torch.testing.assert_close(weights, inverse / inverse.mean(), rtol=1e-5, atol=0)


@pytest.mark.parametrize("beta", [-0.1, 1, 1.5, float("nan")])
def test_a_beta_outside_its_range_is_refused(beta: float) -> None:
    with pytest.raises(ValueError, match="beta must be"):
        ClassBalancedLoss([5, 3], beta)
