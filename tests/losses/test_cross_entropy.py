"""Plain and weighted cross-entropy against their formula."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from longtail.losses.cross_entropy import CrossEntropyLoss

from . import naive


@given(st.integers(0, 6), st.integers(1, 7), st.booleans(), st.integers(0, 99))
def test_value_and_gradient_are_the_formulas(rows: int, classes: int, weighted: bool, seed: int) -> None:
    logits, targets = naive.logits_and_targets(rows, classes, seed)
    weights = 3 * torch.rand(classes) if weighted else torch.ones(classes)
    expected = [-float(weights[y]) * naive.probability(x, y).log() for x, y in zip(logits, targets, strict=True)]
    values = CrossEntropyLoss(weights if weighted else None, reduction="none")(logits, targets)
    naive.assert_same_rows(values, naive.stack(expected, logits), [logits])


def test_weighted_rows_are_those_of_torch_and_their_mean_divides_by_their_number() -> None:
    logits, targets, weights = torch.randn(5, 3), torch.tensor([0, 2, 1, 1, 0]), [0.0, 0.5, 4.0]
    rows = F.cross_entropy(logits, targets, weight=torch.tensor(weights), reduction="none")
    torch.testing.assert_close(CrossEntropyLoss(weights, reduction="none")(logits, targets), rows)
    torch.testing.assert_close(CrossEntropyLoss(weights)(logits, targets), rows.sum() / 5)


def test_logits_that_are_far_apart_stay_finite() -> None:
    value = CrossEntropyLoss()(torch.tensor([[1e4, 0.0]]), torch.tensor([1]))
    assert value == 1e4


@pytest.mark.parametrize("weights", [[1.0, -0.5], [1.0, math.nan], [math.inf, 1.0]])
def test_weights_that_are_none_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="class_weights must be finite and not negative"):
        CrossEntropyLoss(weights)


def test_weights_and_logits_of_different_numbers_of_classes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"class_weights must have shape \(C,\)"):
        CrossEntropyLoss(torch.ones(2, 2))
    with pytest.raises(ValueError, match=r"logits must have shape \(M, 3\), got \(2, 4\)"):
        CrossEntropyLoss([1, 2, 3])(torch.zeros(2, 4), torch.tensor([0, 1]))
