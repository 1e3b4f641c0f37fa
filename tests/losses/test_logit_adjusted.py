"""Logit-adjusted cross-entropy against its formula."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from longtail.losses.cross_entropy import CrossEntropyLoss
from longtail.losses.logit_adjusted import LogitAdjustedLoss


@given(
    st.integers(0, 6),
    st.lists(st.integers(1, 5000), min_size=1, max_size=7),
    st.sampled_from([0.0, 0.5, 1.0, 2.0]),
    st.integers(0, 99),
)
def test_value_and_gradient_are_the_formulas(rows: int, counts: list[int], strength: float, seed: int) -> None:
    torch.manual_seed(seed)
    logits = (5 * torch.randn(rows, len(counts), dtype=torch.float64)).requires_grad_()
    targets = torch.randint(len(counts), (rows,))
    expected = torch.zeros(rows, dtype=torch.float64)
    for i in range(rows):
        scores = [logits[i, c] + strength * math.log(n / sum(counts)) for c, n in enumerate(counts)]
        expected[i] = -(scores[targets[i]].exp() / sum(value.exp() for value in scores)).log()
    values = LogitAdjustedLoss(counts, strength, reduction="none")(logits, targets)
    close = {"rtol": 1e-5, "atol": 1e-5}  # the prior is kept in float32
    torch.testing.assert_close(values, expected, **close)
    if rows:
        (reference,) = torch.autograd.grad(expected.sum(), logits)
        (gradient,) = torch.autograd.grad(values.sum(), logits)
        torch.testing.assert_close(gradient, reference, **close)


@pytest.mark.parametrize(("counts", "strength"), [([7, 7, 7], 1.0), ([900, 30, 1], 0.0)])
def test_without_imbalance_or_strength_it_is_plain_cross_entropy(counts: list[int], strength: float) -> None:
    logits, targets = torch.randn(5, 3), torch.tensor([0, 2, 1, 1, 0])
    torch.testing.assert_close(
        LogitAdjustedLoss(counts, strength)(logits, targets), CrossEntropyLoss()(logits, targets)
    )


def test_equal_logits_cost_the_log_prior() -> None:
    values = LogitAdjustedLoss([90, 9, 1], reduction="none")(torch.zeros(3, 3), torch.arange(3))
    assert values.tolist() == pytest.approx([-math.log(0.9), -math.log(0.09), -math.log(0.01)], rel=1e-5)


@pytest.mark.parametrize("counts", [[], [3, 0], [1.5, 2.0]])
def test_counts_that_are_no_counts_are_refused(counts: list[float]) -> None:
    with pytest.raises(ValueError, match="class_counts must"):
        LogitAdjustedLoss(counts)


def test_logits_of_other_classes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"logits must have shape \(M, 3\), got \(2, 4\)"):
        LogitAdjustedLoss([1, 2, 3])(torch.zeros(2, 4), torch.tensor([0, 1]))
