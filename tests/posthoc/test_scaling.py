"""Scalings against a general optimiser on the formula, and on logits whose calibration is known."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from longtail.posthoc import SCALINGS, cross_fitted, fit_scaling

COUNTS = [300, 50, 5]


def draw(rows: int, scale: float, strength: float, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Logits whose posterior is known, ``scale`` times too large, and labels of equal frequencies."""
    torch.manual_seed(seed)
    labels = torch.arange(rows) % 3
    features = torch.nn.functional.one_hot(labels, 3) * 2 + torch.randn(rows, 3)
    calibrated = 2 * features  # log p(x | c) of unit noise, up to a constant of the row
    prior = torch.tensor(COUNTS).log() - math.log(sum(COUNTS))
    return (calibrated + strength * prior) * scale, labels


@pytest.mark.parametrize("kind", SCALINGS)
def test_known_scale_and_prior_are_given_back(kind: str) -> None:
    logits, labels = draw(30_000, 2.5, 0.75)
    scaling = fit_scaling(logits, labels, COUNTS, kind, many=100, few=20)
    posterior = scaling(logits.double()).softmax(1)
    truth = (logits.double() / 2.5 - 0.75 * (torch.tensor(COUNTS).double().log() - math.log(sum(COUNTS)))).softmax(1)
    assert (posterior - truth).abs().mean() < 0.01
    if kind == "temperature":
        assert scaling.scale.tolist() == pytest.approx([0.4] * 3, rel=0.03)
        assert scaling.strength == pytest.approx(0.75, abs=0.03)
        prior = scaling.implied_prior(COUNTS)
        assert prior.tolist() == pytest.approx([n**0.75 / sum(m**0.75 for m in COUNTS) for n in COUNTS], abs=0.02)


def naive_loss(parameters: NDArray[np.float64], kind: str, logits: Tensor, labels: Tensor) -> float:
    parts = {"temperature": [], "group": [0, 1, 2], "bias": [0, 1, 2], "vector": [0, 1, 2]}[kind]
    common, strength, *rest = parameters.tolist()
    scales, offsets = rest[: len(parts)], rest[len(parts) :]
    n, total = labels.tolist(), 0.0
    for row, y in zip(logits.tolist(), n, strict=True):
        terms = []
        for c in range(3):
            a = math.exp(common + (scales[c] if parts and kind != "bias" else 0.0))
            b = -strength * math.log(COUNTS[c] / sum(COUNTS)) + (offsets[c] if parts else 0.0)
            terms.append(a * row[c] + b + math.log(n.count(c) / len(n)))
        total += math.log(sum(map(math.exp, terms))) - terms[y]
    return total / len(n) + sum(value**2 for value in rest) / (2 * len(n))


@pytest.mark.parametrize("kind", SCALINGS)
def test_the_fit_is_that_of_a_general_optimiser(kind: str) -> None:
    logits, labels = draw(40, 1.5, 0.5)
    scaling = fit_scaling(logits, labels, COUNTS, kind, many=100, few=20)
    size = 2 + (0 if kind == "temperature" else 6)
    best = minimize(naive_loss, np.zeros(size), args=(kind, logits, labels), method="BFGS", options={"gtol": 1e-7}).x
    rest = [0.0] * 6 if kind == "temperature" else best[2:].tolist()
    scale = [math.exp(best[0] + (0.0 if kind == "bias" else rest[c])) for c in range(3)]
    bias = [-best[1] * math.log(COUNTS[c] / sum(COUNTS)) + rest[3 + c] for c in range(3)]
    assert scaling.scale.tolist() == pytest.approx(scale, rel=1e-3)
    assert scaling.bias.tolist() == pytest.approx(bias, abs=2e-3)


def test_every_row_is_scaled_by_others_alone() -> None:
    logits, labels = draw(50, 1.5, 0.5)
    scaled = cross_fitted(logits, labels, COUNTS, folds=5)
    fold = torch.empty(50, dtype=torch.int64)
    fold[labels.argsort(stable=True)] = torch.arange(50) % 5
    for number in range(5):
        scaling = fit_scaling(logits[fold != number], labels[fold != number], COUNTS)
        torch.testing.assert_close(scaled[fold == number], scaling(logits[fold == number].double()))


def test_a_class_without_a_validation_image_stays_near_the_others() -> None:
    logits, labels = draw(300, 1.0, 1.0)
    mask = labels < 2
    scaling = fit_scaling(logits[mask], labels[mask], COUNTS, "vector")
    assert scaling.scale.isfinite().all()
    assert scaling.bias.isfinite().all()


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match="kind must be one of temperature"):
        fit_scaling(torch.zeros(2, 3), [0, 1], COUNTS, "platt")
    with pytest.raises(ValueError, match="a row to fit on"):
        fit_scaling(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64), COUNTS)
