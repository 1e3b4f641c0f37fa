"""What the metrics are called: said once, for the command line, the record, the pages and the choice of an epoch."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Metric:
    """What a metric is called and how it is read.

    Args:
        label: its name in tables.
        meaning: what it says, in a few words. ``{figure}`` in it stands for what the figure of a class is called.
        better: 1 where more is better, -1 where less is, 0 where nobody can say; such a metric chooses no epoch.
        fraction: whether it is one, and shown as a percentage.
        short: its name in the line of an epoch; without one it is not in that line.

    Raises:
        ValueError: if ``better`` is another number, or a name is no text.
    """

    label: str
    meaning: str = ""
    better: int = 1
    fraction: bool = True
    short: str = ""

    def __post_init__(self) -> None:
        if self.better not in (-1, 0, 1):
            raise ValueError(f"better must be -1, 0 or 1, got {self.better!r}")
        if not all(isinstance(text, str) for text in (self.label, self.meaning, self.short)):
            raise ValueError("label, meaning and short must be text")


def _average_precision(shape: str, noun: str) -> dict[str, Metric]:
    """The metrics of boxes or of masks."""
    key, label, head = f"{shape}_ap", f"{shape} AP", f"{shape.capitalize()} AP"
    return {
        key: Metric(head, f"average precision of the {noun}, mean over classes and over IoU 0.5 to 0.95", short=label),
        f"{key}50": Metric(f"{head}50", f"the same for {noun} that count as right from an IoU of 0.5 on"),
        f"{key}75": Metric(f"{head}75", f"the same for {noun} that count as right from an IoU of 0.75 on"),
        f"{key}_many": Metric(f"Many-shot {label}", "mean over the classes with many training images (LVIS: frequent)"),
        f"{key}_medium": Metric(f"Medium-shot {label}", "mean over the classes between many and few (LVIS: common)"),
        f"{key}_few": Metric(f"Few-shot {label}", "mean over the classes with few training images (LVIS: rare)"),
        f"{key}_small": Metric(f"{head} of small objects", "those of at most 32 by 32 pixels"),
        f"{key}_mid_sized": Metric(f"{head} of mid-sized objects", "those between small and large"),
        f"{key}_large": Metric(f"{head} of large objects", "those of at least 96 by 96 pixels"),
    }


METRICS = {
    "top1": Metric("Accuracy", "share of all images whose class was found", short="top-1"),
    "top5": Metric("Top-5 accuracy", "the class is among the five most likely ones"),
    "balanced_accuracy": Metric(
        "Balanced accuracy", "mean over classes: every class counts the same", short="balanced"
    ),
    "macro_f1": Metric(
        "Macro F1", "harmonic mean of recall and precision of a class, mean over classes that are there or predicted"
    ),
    "mean_precision": Metric("Mean precision", "share of right answers among those of a class, mean over classes"),
    "cohen_kappa": Metric(
        "Cohen's kappa", "agreement beyond that of chance: 1 is perfect, 0 is what chance gives", fraction=False
    ),
    "many": Metric("Many-shot accuracy", "mean over the classes with many training images", short="many"),
    "medium": Metric("Medium-shot accuracy", "mean over the classes between many and few", short="medium"),
    "few": Metric("Few-shot accuracy", "mean over the classes with few training images", short="few"),
    "mean_ap": Metric(
        "Mean AP", "average precision of a class over all images, mean over classes that are there", short="mAP"
    ),
    "mean_ap_many": Metric("Many-shot mean AP", "mean over the classes with many training images", short="many"),
    "mean_ap_medium": Metric("Medium-shot mean AP", "mean over the classes between many and few", short="medium"),
    "mean_ap_few": Metric("Few-shot mean AP", "mean over the classes with few training images", short="few"),
    **_average_precision("mask", "masks"),
    **_average_precision("box", "boxes"),
    "box_accuracy": Metric(
        "Box classifier accuracy", "share of matched proposals whose class was found, mean over classes"
    ),
    "miou": Metric("Mean IoU", "intersection over union of predicted and true pixels, mean over classes", short="mIoU"),
    "mean_accuracy": Metric("Mean accuracy", "share of the pixels of a class that were found, mean over classes"),
    "frequency_weighted_iou": Metric("Frequency-weighted IoU", "every class counts as much as it has pixels"),
    "pixel_accuracy": Metric("Pixel accuracy", "share of all pixels whose class was found"),
    "iou_many": Metric("Many-shot IoU", "mean over the classes with many training pixels"),
    "iou_medium": Metric("Medium-shot IoU", "mean over the classes between many and few"),
    "iou_few": Metric("Few-shot IoU", "mean over the classes with few training pixels"),
    "worst_class": Metric("Worst class", "the lowest {figure} of any class"),
    "geometric_mean": Metric("Geometric mean", "over classes, each counted as at least 0.1%"),
    "harmonic_mean": Metric("Harmonic mean", "over classes, each counted as at least 0.1%; ruled by the weakest"),
    "calibration_error": Metric("Calibration error", "how far confidence is from accuracy; lower is better", better=-1),
}

# What the probabilities of a calibrated run are worth, as plain numbers.
PROBABILITIES = {
    "calibration_error": replace(
        METRICS["calibration_error"],
        meaning="of the largest probability, in bins of equally many images",
        fraction=False,
    ),
    "class_calibration_error": Metric(
        "Calibration error, class by class", "the same for the probability of every class", better=-1, fraction=False
    ),
    "brier_score": Metric(
        "Brier score", "mean squared error of the probabilities, summed over the classes", better=-1, fraction=False
    ),
    "negative_log_likelihood": Metric(
        "Negative log likelihood",
        "minus the mean logarithm of the true class' probability",
        better=-1,
        fraction=False,
    ),
}
