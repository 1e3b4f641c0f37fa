"""Focal loss against its formula."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from longtail.losses.cross_entropy import CrossEntropyLoss
from longtail.losses.focal import FocalLoss

from . import naive

gammas = pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 5.0])


@given(st.integers(0, 6), st.integers(2, 7), st.sampled_from([0.0, 0.5, 1.0, 2.0]), st.booleans(), st.integers(0, 99))
def test_value_and_gradient_are_the_formulas(rows: int, classes: int, gamma: float, weighted: bool, seed: int) -> None:
    logits, targets = naive.logits_and_targets(rows, classes, seed)
    weights = 3 * torch.rand(classes) if weighted else torch.ones(classes)
    expected = []
    for x, y in zip(logits, targets, strict=True):
        rest = sum(naive.probability(x, c) for c in range(classes) if c != y)  # 1 - p without cancellation
        expected.append(-float(weights[y]) * rest**gamma * naive.probability(x, y).log())
    values = FocalLoss(gamma, weights if weighted else None, reduction="none")(logits, targets)
    naive.assert_same_rows(values, naive.stack(expected, logits), [logits])


def test_gamma_zero_is_cross_entropy() -> None:
    logits, targets = 30 * torch.randn(8, 3), torch.arange(8) % 3
    assert torch.equal(FocalLoss(0)(logits, targets), CrossEntropyLoss()(logits, targets))


@gammas
@pytest.mark.parametrize("log_p", [-1e-9, -1e-6, -0.5, -50.0])
def test_near_certainty_nothing_is_lost(gamma: float, log_p: float) -> None:
    """dL / d log p = gamma (1 - p)^(gamma - 1) p log p - (1 - p)^gamma, in float32."""
    x = torch.tensor([log_p], requires_grad=True)
    value = FocalLoss(gamma).rows(x, None)
    value.backward()
    rest = -math.expm1(log_p)
    slope = gamma * rest ** (gamma - 1) * math.exp(log_p) * log_p - rest**gamma
    assert value.item() == pytest.approx(-(rest**gamma) * log_p, rel=1e-5, abs=1e-37)
    assert x.grad.item() == pytest.approx(slope, rel=1e-5, abs=1e-37)


@gammas
@pytest.mark.parametrize("margin", [20.0, 12.0, -30.0, -100.0])
def test_the_gradient_of_the_logits_near_certainty(gamma: float, margin: float) -> None:
    """With p = 1 / (1 + e^-m): dL/dm = -(1 - p)^gamma (1 - p - gamma p log p), log p = -log(1 + e^-m)."""
    logits = torch.tensor([[margin, 0.0]], dtype=torch.float64, requires_grad=True)
    FocalLoss(gamma)(logits, torch.tensor([0])).backward()
    p, rest = 1 / (1 + math.exp(-margin)), 1 / (1 + math.exp(margin))
    expected = -(rest**gamma) * (rest + gamma * p * math.log1p(math.exp(-margin)))
    assert logits.grad[0].tolist() == pytest.approx([expected, -expected], rel=1e-6, abs=1e-37)


@gammas
def test_at_certainty_the_gradient_is_zero(gamma: float) -> None:
    logits = torch.tensor([[1e4, 0.0]], requires_grad=True)
    value = FocalLoss(gamma)(logits, torch.tensor([0]))
    value.backward()
    assert value == 0
    assert logits.grad.count_nonzero() == 0


@pytest.mark.parametrize("gamma", [-1.0, math.nan, math.inf])
def test_a_gamma_that_is_none_is_refused(gamma: float) -> None:
    with pytest.raises(ValueError, match="gamma must be at least 0"):
        FocalLoss(gamma)
