"""Two processes with uneven shares count as one."""

from pathlib import Path

import torch
from processes import two_processes

from longtail.metrics.calibration import CalibrationError
from longtail.metrics.multi_label import LabelScores, label_figures
from longtail.metrics.per_class import PerClassAccuracy

CLASSES = 6
SHARES = (slice(0, 17), slice(17, 20))


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    targets = torch.randint(CLASSES - 1, (20,), generator=generator)  # the last class is absent
    return torch.randn(20, CLASSES, generator=generator), targets


def figures(rows: slice) -> dict[str, torch.Tensor]:
    logits, targets = batch()
    per_class, calibration, scores = PerClassAccuracy(CLASSES), CalibrationError(), LabelScores(CLASSES)
    for metric in (per_class, calibration):
        metric.update(logits[rows], targets[rows])
    scores.update(logits[rows], logits[rows].roll(1, 1) > 1)  # labels of some kind
    of_labels = label_figures(*scores.compute(), torch.zeros(CLASSES))
    extra = {f"labels_{name}": value for name, value in of_labels.items()}
    return {**per_class.compute(), **extra, "calibration_error": calibration.compute()}


def process(rank: int) -> dict[str, torch.Tensor]:
    return figures(SHARES[rank])


def test_two_processes_equal_one(tmp_path: Path) -> None:
    alone = figures(slice(None))
    for result in two_processes(process, tmp_path):
        torch.testing.assert_close(result, alone, equal_nan=True)
