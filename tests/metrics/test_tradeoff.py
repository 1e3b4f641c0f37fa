"""Accuracies under logit adjustment against plain loops."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from longtail.metrics.tradeoff import adjusted_accuracy

from .naive import figures

NAMES = ("many", "medium", "few", "balanced_accuracy", "top1")


def naive(logits: torch.Tensor, targets: torch.Tensor, counts: list[int], strength: float) -> dict[str, float]:
    """The figures of one strength, the logits adjusted one by one."""
    scores = [
        [value - strength * math.log(count / sum(counts)) for value, count in zip(row, counts, strict=True)]
        for row in logits.double().tolist()
    ]
    scalars, _ = figures(torch.tensor(scores, dtype=torch.float64).reshape(-1, len(counts)), targets, counts)
    return {name: scalars[name] for name in NAMES}


@given(
    st.integers(0, 40),
    st.lists(st.sampled_from([500, 101, 100, 20, 19, 1]), min_size=1, max_size=9),
    st.lists(st.floats(-3, 3), max_size=4),
    st.integers(0, 99),
)
def test_every_figure_is_the_naive_one(rows: int, counts: list[int], strengths: list[float], seed: int) -> None:
    torch.manual_seed(seed)
    targets = torch.randint(len(counts), (rows,))
    logits = 3 * torch.randn(rows, len(counts)) + 2 * torch.nn.functional.one_hot(targets, len(counts))
    curves = adjusted_accuracy(logits, targets, counts, strengths)
    assert tuple(curves) == NAMES
    assert all(values.shape == (len(strengths),) for values in curves.values())
    for place, strength in enumerate(strengths):
        reference = naive(logits, targets, counts, strength)
        values = {name: float(column[place]) for name, column in curves.items()}
        assert values == pytest.approx(reference, abs=1e-6, nan_ok=True)


def test_strength_moves_predictions_from_the_frequent_class_to_the_rare_one() -> None:
    logits = torch.tensor([[2.0, 0.0], [2.0, 0.0], [2.0, 0.0], [-1.0, 0.0]])
    targets = torch.tensor([0, 0, 1, 1])
    curves = adjusted_accuracy(logits, targets, [900, 9], [-1.0, 0.0, 1.0])  # log(900 / 9) = 4.6
    assert curves["many"].tolist() == [1, 1, 0]
    assert curves["few"].tolist() == [0, 0.5, 1]
    assert curves["balanced_accuracy"].tolist() == curves["top1"].tolist() == [0.5, 0.75, 0.5]
    assert curves["medium"].isnan().all()


def test_thresholds_are_passed_on() -> None:
    logits, targets = torch.eye(3)[[0, 0, 2]], torch.tensor([0, 1, 2])
    curves = adjusted_accuracy(logits, targets, [9, 5, 1], [0.0], many=8, few=2)
    assert [float(curves[group]) for group in ("many", "medium", "few")] == [1, 0, 1]


@pytest.mark.parametrize("strength", [math.nan, math.inf, -math.inf])
def test_a_strength_that_is_no_number(strength: float) -> None:
    with pytest.raises(ValueError, match="strengths must be finite"):
        adjusted_accuracy(torch.zeros(1, 2), torch.tensor([0]), [3, 2], [0.0, strength])


def test_another_number_of_classes() -> None:
    with pytest.raises(ValueError, match="logits must have shape"):
        adjusted_accuracy(torch.zeros(1, 2), torch.tensor([0]), [3, 2, 1], [0.0])
