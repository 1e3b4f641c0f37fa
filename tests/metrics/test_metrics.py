"""Every figure against plain loops, and how they add up."""

import itertools
import math
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, cohen_kappa_score, f1_score
from torch import Tensor

from longtail.errors import InputError
from longtail.metrics.calibration import CalibrationError, probability_figures
from longtail.metrics.long_tail import LongTailMetrics
from longtail.metrics.per_class import PerClassAccuracy, cohen_kappa, geometric_mean, harmonic_mean, mean_precision
from longtail.metrics.shots import shot_accuracy
from longtail.metrics.tradeoff import adjusted_accuracy

from .naive import figures


def batch(rows: int, classes: int, seed: int, present: int | None = None) -> tuple[Tensor, Tensor]:
    """Logits that are often right, and targets among the first ``present`` classes."""
    torch.manual_seed(seed)
    targets = torch.randint(min(present or classes, classes), (rows,))
    logits = torch.randn(rows, classes) + 1.5 * torch.nn.functional.one_hot(targets, classes)
    return logits, targets


@given(
    st.integers(0, 40),
    st.lists(st.sampled_from([500, 101, 100, 20, 19, 1]), min_size=1, max_size=9),
    st.integers(1, 9),
    st.integers(0, 99),
)
def test_every_figure_is_the_naive_one(rows: int, counts: list[int], present: int, seed: int) -> None:
    logits, targets = batch(rows, len(counts), seed, present)
    metrics = LongTailMetrics(counts)
    metrics.update(logits, targets)
    scalars, per_class = metrics.compute()
    reference_scalars, reference_per_class = figures(logits, targets, counts)
    assert list(scalars) == list(reference_scalars)
    for name, value in scalars.items():
        assert value.item() == pytest.approx(reference_scalars[name], abs=1e-6, nan_ok=True), name
    assert list(per_class) == list(reference_per_class)
    for name, values in per_class.items():
        assert values.tolist() == pytest.approx(reference_per_class[name], abs=1e-6, nan_ok=True), name


@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
def test_macro_f1_kappa_and_balanced_accuracy_are_those_of_scikit_learn(
    rows: int, classes: int, present: int, seed: int
) -> None:
    logits, targets = batch(rows, classes, seed, present)
    metrics = LongTailMetrics([1] * classes)
    metrics.update(logits[: rows // 2], targets[: rows // 2])
    metrics.update(logits[rows // 2 :], targets[rows // 2 :])
    scalars, _ = metrics.compute()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes that are predicted and not there
        balanced = balanced_accuracy_score(targets, logits.argmax(1))
        kappa = cohen_kappa_score(targets, logits.argmax(1))
    assert scalars["balanced_accuracy"].item() == pytest.approx(balanced)
    assert scalars["macro_f1"].item() == pytest.approx(f1_score(targets, logits.argmax(1), average="macro"))
    assert scalars["cohen_kappa"].item() == pytest.approx(kappa, nan_ok=True)


def test_kappa_of_known_counts() -> None:
    assert cohen_kappa([30, 20], [30, 20], [30, 20]) == 1, "no mistake"
    assert cohen_kappa([30, 20], [30, 0], [50, 0]) == 0, "the largest class always, right on 60%"
    assert cohen_kappa([1, 1], [0, 0], [1, 1]) == -1, "always the other"
    assert cohen_kappa([25, 20, 15], [20, 10, 15], [22, 13, 25]).item() == pytest.approx(1 - 900 / (3600 - 1185))
    assert cohen_kappa([0, 50], [0, 50], [0, 50]).isnan(), "a single class: chance is as good"
    assert cohen_kappa([0, 0], [0, 0], [0, 0]).isnan()
    count = 2**30  # float32 could not tell these apart
    assert cohen_kappa([count, 1], [count, 0], [count + 1, 0]) == 0


def test_a_class_without_images_is_left_out() -> None:
    metrics = LongTailMetrics([500, 50, 5])
    metrics.update(torch.eye(3)[[0, 1, 1, 1]], torch.tensor([0, 0, 1, 1]))
    scalars, per_class = metrics.compute()
    assert per_class["images"].tolist() == [2, 2, 0]
    assert per_class["accuracy"].tolist() == pytest.approx([0.5, 1.0, math.nan], nan_ok=True)
    assert per_class["precision"].tolist() == pytest.approx([1.0, 2 / 3, math.nan], nan_ok=True)
    assert scalars["balanced_accuracy"] == 0.75
    assert scalars["worst_class"] == 0.5
    assert scalars["few"].isnan()
    assert scalars["top5"] == 1, "of fewer than five classes"


def test_several_batches_are_one_batch() -> None:
    logits, targets = batch(30, 6, 0)
    counts = [500, 200, 90, 20, 5, 1]
    whole, parts = LongTailMetrics(counts), LongTailMetrics(counts)
    whole.update(logits, targets)
    for part in (slice(0, 1), slice(1, 20), slice(20, 20), slice(20, 30)):
        parts.update(logits[part], targets[part])
    torch.testing.assert_close(parts.compute(), whole.compute())


def test_computing_and_resetting() -> None:
    metrics = LongTailMetrics([500, 50, 5])
    metrics.update(*batch(10, 3, 0))
    first = metrics.compute()
    torch.testing.assert_close(metrics.compute(), first, msg="asked twice")

    images = first[1]["images"].clone()
    metrics.update(*batch(10, 3, 1))
    assert torch.equal(first[1]["images"], images), "what was given before is not counted on"
    assert metrics.compute()[1]["images"].sum() == 20

    metrics.reset()
    metrics.update(*batch(10, 3, 0))
    torch.testing.assert_close(metrics.compute(), first)


def test_thresholds_are_passed_on() -> None:
    metrics = LongTailMetrics([9, 5, 1], many=8, few=2)
    metrics.update(torch.eye(3)[[0, 0, 2]], torch.tensor([0, 1, 2]))
    scalars, _ = metrics.compute()
    assert [scalars[group].item() for group in ("many", "medium", "few")] == [1, 0, 1]


def test_shot_accuracy_leaves_out_what_was_not_measured() -> None:
    groups = shot_accuracy(torch.tensor([1.0, math.nan, 0.5, 0.2]), [500, 400, 50, 30])
    assert groups["many"] == 1
    assert groups["medium"].item() == pytest.approx(0.35)
    assert groups["few"].isnan()


def test_means_have_a_floor() -> None:
    accuracy = torch.tensor([1.0, 0.0, math.nan, 0.25])
    assert geometric_mean(accuracy).item() == pytest.approx((1 * 1e-3 * 0.25) ** (1 / 3))
    assert harmonic_mean(accuracy).item() == pytest.approx(3 / (1 + 1000 + 4))
    assert geometric_mean(accuracy, floor=0.01).item() == pytest.approx((0.01 * 0.25) ** (1 / 3))
    assert harmonic_mean(accuracy, floor=0.01).item() == pytest.approx(3 / 105)


def test_calibration_error_of_known_confidences() -> None:
    """Two bins: confidence 0.75 with half of the rows right, confidence 0.9 with all of them right."""
    logits = torch.tensor([[0.75, 0.25]] * 2 + [[0.9, 0.1]] * 2).log()
    metric = CalibrationError()
    metric.update(logits, torch.tensor([0, 1, 0, 0]))
    assert metric.compute().item() == pytest.approx(0.5 * 0.25 + 0.5 * 0.1)


def test_a_certain_and_right_prediction_is_calibrated() -> None:
    metric = CalibrationError(bins=1)
    metric.update(torch.tensor([[100.0, 0.0], [0.0, 100.0]]).half(), torch.tensor([0, 1]))
    assert metric.compute() == 0


def test_top5() -> None:
    metric = PerClassAccuracy(7)
    logits = -torch.arange(7.0).repeat(7, 1)  # 0 is first, 6 is last
    metric.update(logits, torch.arange(7))
    figures = metric.compute()
    assert figures["top1"].item() == pytest.approx(1 / 7)
    assert figures["top5"].item() == pytest.approx(5 / 7)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_logits_that_are_not_finite_are_no_class_0(value: float) -> None:
    """What was seen before: such rows counted as hits of some class."""
    metric = PerClassAccuracy(3)
    logits = torch.eye(3)
    logits[1] = value
    metric.update(logits, torch.tensor([0, 0, 2]))
    metric.update(torch.eye(3), torch.tensor([0, 1, 2]))
    with pytest.raises(InputError, match=r"^1 of 6 rows of logits are not finite"):
        metric.compute()
    metric.reset()
    metric.update(torch.tensor([[-math.inf, 1.0, 0.0]]), torch.tensor([1]))
    assert metric.compute()["top1"] == 1, "a class that is ruled out by -inf hides no other"
    with pytest.raises(InputError, match="1 of 3 outputs"):
        adjusted_accuracy(logits, torch.tensor([0, 1, 2]), [3, 2, 1], [0.0])


@pytest.mark.parametrize(
    "form",
    [lambda t: t.tolist(), lambda t: t.numpy(), lambda t: dict(enumerate(t.tolist())).values()],
    ids=["lists", "arrays", "dict.values()"],
)
def test_what_torch_makes_a_tensor_of_does_as_well(form: Callable[[Tensor], Any]) -> None:
    logits, targets = batch(20, 3, 0)
    counts, accuracy, images = torch.tensor([500, 50, 5]), torch.tensor([1.0, math.nan, 0.25]), torch.tensor([2, 0, 1])
    reference, metrics = LongTailMetrics(counts), LongTailMetrics(form(counts))
    reference.update(logits, targets)
    metrics.update(form(logits), form(targets))
    torch.testing.assert_close(metrics.compute(), reference.compute(), rtol=0, atol=0)
    for mean in (geometric_mean, harmonic_mean):
        assert mean(form(accuracy)) == mean(accuracy)
    assert mean_precision(form(accuracy), form(images)) == mean_precision(accuracy, images)
    assert shot_accuracy(form(accuracy), form(counts))["few"] == 0.25
    tradeoff = adjusted_accuracy(form(logits), form(targets), form(counts), [0.0])
    assert tradeoff["top1"] == reference.compute()[0]["top1"]


def test_labels_from_1_are_told_as_such() -> None:
    for metric in (LongTailMetrics([5, 3, 1]), PerClassAccuracy(3), CalibrationError()):
        with pytest.raises(ValueError, match="labels run from 1 to 3; subtract 1"):
            metric.update(torch.eye(3), [1, 2, 3])


@given(st.integers(1, 40), st.integers(1, 5), st.integers(0, 99), st.integers(1, 7))
def test_what_probabilities_are_worth_is_that_of_plain_loops(rows: int, classes: int, seed: int, bins: int) -> None:
    logits, targets = batch(rows, classes, seed)
    p = logits.double().softmax(1)
    figures = probability_figures(p, targets, bins)
    y, table = targets.tolist(), p.tolist()

    def parts(order: list[int], number: int) -> list[list[int]]:  # as even as can be, the longer ones first
        size, rest = divmod(len(order), number)
        cuts = [i * size + min(i, rest) for i in range(number + 1)]
        return [order[a:b] for a, b in itertools.pairwise(cuts) if b > a]

    sure = [max(row) for row in table]
    error = 0.0
    for part in parts(sorted(range(rows), key=lambda i: sure[i]), min(bins, rows)):
        hits = sum(table[i].index(sure[i]) == y[i] for i in part)
        error += abs(hits - sum(sure[i] for i in part)) / rows
    by_class = 0.0
    for c in range(classes):
        for part in parts(sorted(range(rows), key=lambda i: table[i][c]), bins):
            by_class += abs(sum(table[i][c] for i in part) - sum(y[i] == c for i in part)) / rows / classes
    brier = sum((table[i][c] - (y[i] == c)) ** 2 for i in range(rows) for c in range(classes)) / rows
    likelihood = -sum(math.log(table[i][y[i]]) for i in range(rows)) / rows
    assert [float(value) for value in figures.values()] == pytest.approx([error, by_class, brier, likelihood])


def test_no_row_tells_nothing_of_probabilities() -> None:
    figures = probability_figures(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64))
    assert all(value.isnan() for value in figures.values())
