"""Figures of a segmentation against plain loops."""

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from processes import two_processes
from torch import Tensor

from longtail.metrics.segmentation import PixelConfusion

from .naive import NAN, mean

COUNTS = [900, 300, 40, 7]
CLASSES = len(COUNTS)
THRESHOLDS = (100, 20)

labels = st.sampled_from([0, 0, 1, 2, 3, 255, -1])
images = st.lists(st.lists(st.tuples(st.integers(0, CLASSES - 1), labels), max_size=12), min_size=1, max_size=4)


def naive(pairs: list[list[tuple[int, int]]]) -> tuple[dict[str, float], dict[str, list[float]]]:
    """The figures of images, each a list of predicted and true classes."""
    points = [(p, t) for image in pairs for p, t in image if 0 <= t < CLASSES]
    iou, accuracy, pixels, counts = [], [], [], []
    for c in range(CLASSES):
        overlap = sum(p == c and t == c for p, t in points)
        either = sum(p == c or t == c for p, t in points)
        size = sum(t == c for _, t in points)
        iou.append(overlap / either if either else NAN)
        accuracy.append(overlap / size if size else NAN)
        pixels.append(size)
        counts.append(sum(any(t == c for _, t in image) for image in pairs))

    def group(belongs) -> float:
        return mean([iou[c] for c in range(CLASSES) if belongs(COUNTS[c]) and not math.isnan(iou[c])])

    scalars = {
        "miou": group(lambda n: True),
        "mean_accuracy": mean([value for value in accuracy if not math.isnan(value)]),
        "frequency_weighted_iou": sum(iou[t] for _, t in points) / len(points) if points else NAN,
        "pixel_accuracy": mean([float(p == t) for p, t in points]),
        "iou_many": group(lambda n: n > 100),
        "iou_medium": group(lambda n: 20 <= n <= 100),
        "iou_few": group(lambda n: n < 20),
        "worst_class": min((value for value in iou if not math.isnan(value)), default=NAN),
    }
    return scalars, {"images": counts, "pixels": pixels, "iou": iou, "accuracy": accuracy}


@given(images)
def test_figures_are_the_formulas(pairs: list[list[tuple[int, int]]]) -> None:
    metric = PixelConfusion(COUNTS, *THRESHOLDS)
    for image in pairs:
        predictions, targets = torch.tensor(image, dtype=torch.int64).view(-1, 1, 2).unbind(2)
        metric.update(predictions, targets)
    scalars, per_class = metric.compute()
    expected, expected_per_class = naive(pairs)
    assert {name: float(value) for name, value in scalars.items()} == pytest.approx(expected, nan_ok=True)
    assert list(per_class) == list(expected_per_class)
    for name, values in expected_per_class.items():
        assert per_class[name].tolist() == pytest.approx(values, nan_ok=True), name


def test_a_class_that_is_missed_and_one_that_is_made_up() -> None:
    metric = PixelConfusion(COUNTS, *THRESHOLDS)
    metric.update(torch.tensor([[0, 0, 3]]), torch.tensor([[0, 1, 0]]))
    scalars, per_class = metric.compute()
    assert per_class["iou"].tolist() == pytest.approx([1 / 3, 0, NAN, 0], nan_ok=True)
    assert per_class["accuracy"].tolist() == pytest.approx([1 / 2, 0, NAN, NAN], nan_ok=True)
    assert float(scalars["iou_few"]) == 0
    assert float(scalars["iou_medium"]) != float(scalars["iou_medium"])  # its only class is not there


def test_totals_are_whole_numbers_of_any_size() -> None:
    metric = PixelConfusion(COUNTS, *THRESHOLDS)
    metric.confusion += torch.diag(torch.tensor([2**53, 2**24, 2**24, 0]))
    for _ in range(3):
        metric.update(torch.tensor([[0, 1]]), torch.tensor([[0, 2]]))
    _, per_class = metric.compute()
    assert per_class["pixels"].tolist() == [2**53 + 3, 2**24, 2**24 + 3, 0]
    assert float(per_class["accuracy"][2]) == 2**24 / (2**24 + 3)
    assert float(per_class["iou"][1]) == 2**24 / (2**24 + 3)


def test_a_reset_forgets_everything() -> None:
    metric = PixelConfusion(COUNTS, *THRESHOLDS)
    metric.update(torch.tensor([[0, 1]]), torch.tensor([[0, 2]]))
    metric.reset()
    metric.update(torch.tensor([[0, 1]]), torch.tensor([[255, 255]]))
    scalars, per_class = metric.compute()
    assert all(math.isnan(value) for value in scalars.values())
    assert per_class["images"].tolist() == per_class["pixels"].tolist() == [0] * CLASSES


SHARES = (slice(0, 5), slice(5, 6))


def figures(share: slice) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    metric = PixelConfusion(COUNTS, *THRESHOLDS)
    predictions = torch.randint(CLASSES, (6, 4, 5), generator=generator)
    targets = torch.randint(CLASSES - 1, (6, 4, 5), generator=generator)  # the last class is absent
    for image, target in zip(predictions[share], targets[share], strict=True):
        metric.update(image, target)
    return metric.compute()


def process(rank: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    return figures(SHARES[rank])


def test_two_processes_equal_one(tmp_path: Path) -> None:
    alone = figures(slice(None))
    for result in two_processes(process, tmp_path):
        torch.testing.assert_close(result, alone, rtol=0, atol=0, equal_nan=True)
