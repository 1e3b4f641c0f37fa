"""The figures of a long-tailed classifier, together."""

from torch import Tensor, nn

from longtail.checks import Numbers, as_tensor
from longtail.counts import Counts
from longtail.metrics.calibration import CalibrationError
from longtail.metrics.per_class import PerClassAccuracy, geometric_mean, harmonic_mean, mean_precision
from longtail.metrics.shots import shot_accuracy

SCALARS = (
    "top1",
    "top5",
    "balanced_accuracy",
    "macro_f1",
    "mean_precision",
    "cohen_kappa",
    "many",
    "medium",
    "few",
    "worst_class",
    "geometric_mean",
    "harmonic_mean",
    "calibration_error",
)


class LongTailMetrics(nn.Module):
    """Every scalar of an evaluation, and the figures per class behind them.

    Args:
        class_counts: training images of each class (C,).
        many: classes with more training images are many-shot.
        few: classes with fewer training images are few-shot.
    """

    def __init__(self, class_counts: Counts, many: int = 100, few: int = 20) -> None:
        super().__init__()
        self.class_counts = as_tensor("class_counts", class_counts, "C")
        self.many, self.few = many, few
        self.per_class = PerClassAccuracy(len(self.class_counts))
        self.calibration = CalibrationError()

    def update(self, logits: Numbers, targets: Numbers) -> None:
        """Add a batch: logits (M, C), targets (M,)."""
        self.per_class.update(logits, targets)
        self.calibration.update(logits, targets)

    def compute(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the scalars by name, fractions in [0, 1] or NaN where undefined, and the figures per class (C,).

        Raises:
            InputError: see ``PerClassAccuracy``.
        """
        totals = self.per_class.compute()  # kept by torchmetrics for the next call, so nothing is taken out of it
        per_class = {name: totals[name].reshape(-1) for name in ("images", "accuracy", "precision")}
        accuracy = per_class["accuracy"]
        scalars = {
            "top1": totals["top1"],
            "top5": totals["top5"],
            "balanced_accuracy": accuracy.nanmean(),
            "macro_f1": totals["f1"].nanmean(),
            "mean_precision": mean_precision(per_class["precision"], per_class["images"]),
            "cohen_kappa": totals["cohen_kappa"],
            **shot_accuracy(accuracy, self.class_counts, self.many, self.few),
            "worst_class": accuracy.nanquantile(0.0),
            "geometric_mean": geometric_mean(accuracy),
            "harmonic_mean": harmonic_mean(accuracy),
            "calibration_error": self.calibration.compute(),
        }
        return scalars, per_class

    def reset(self) -> None:
        """Forget every batch."""
        self.per_class.reset()
        self.calibration.reset()
