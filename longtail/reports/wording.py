"""How numbers, names and metrics are put into words, on the page and in the terminal alike."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite
from unicodedata import category

from longtail.reports.grains import CLASSIFICATION, Grain
from longtail.reports.results import GROUPS, Evaluation, Group, Thresholds

NOTHING = "\N{EN DASH}"


@dataclass(frozen=True)
class Metric:
    """How a metric is shown: ``better`` is 1 where more is better, -1 where less is, 0 where nobody can say.

    ``{figure}`` in the meaning stands for what the figure of a class is called.
    """

    label: str
    meaning: str = ""
    better: int = 1
    fraction: bool = True


def _average_precision(shape: str, noun: str) -> dict[str, Metric]:
    """Return the metrics of boxes or of masks."""
    key, label, head = f"{shape}_ap", f"{shape} AP", f"{shape.capitalize()} AP"
    return {
        key: Metric(head, f"average precision of the {noun}, mean over classes and over IoU 0.5 to 0.95"),
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
    "top1": Metric("Accuracy", "share of all images whose class was found"),
    "top5": Metric("Top-5 accuracy", "the class is among the five most likely ones"),
    "balanced_accuracy": Metric("Balanced accuracy", "mean over classes: every class counts the same"),
    "mean_precision": Metric("Mean precision", "share of right answers among those of a class, mean over classes"),
    "many": Metric("Many-shot accuracy", "mean over the classes with many training images"),
    "medium": Metric("Medium-shot accuracy", "mean over the classes between many and few"),
    "few": Metric("Few-shot accuracy", "mean over the classes with few training images"),
    **_average_precision("mask", "masks"),
    **_average_precision("box", "boxes"),
    "box_accuracy": Metric(
        "Box classifier accuracy", "share of matched proposals whose class was found, mean over classes"
    ),
    "miou": Metric("Mean IoU", "intersection over union of predicted and true pixels, mean over classes"),
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


def metric(key: str) -> Metric:
    """Return how the metric ``key`` is shown; an unknown one goes by its own name and its plain number."""
    return METRICS.get(key) or Metric(clean(key), "as recorded", better=0, fraction=False)


def metric_keys(evaluations: Iterable[Evaluation]) -> list[str]:
    """Return the metrics that occur, the known ones first and in their usual order."""
    keys = list(dict.fromkeys(key for evaluation in evaluations for key in evaluation["metrics"]))
    return [key for key in METRICS if key in keys] + [key for key in keys if key not in METRICS]


def number(key: str, value: float | None, deviation: float | None = None) -> str:
    """Show a value of the metric ``key``, with its standard deviation where there is one."""
    if value is None or not isfinite(value):
        return NOTHING
    if not metric(key).fraction:
        return f"{value:.4g}" + ("" if deviation is None else f" ± {deviation:.2g}")
    return percent(value) if deviation is None else f"{100 * value:.1f} ± {100 * deviation:.1f}%"


def change(key: str, value: float | None) -> str:
    """Show the difference between two values of the metric ``key``; that of fractions in percentage points."""
    if value is None:
        return NOTHING
    scaled, places = (100 * value, ".1f") if metric(key).fraction else (value, ".4g")
    text = f"{scaled:+{places}}"
    return text.lstrip("+-") if float(text) == 0 else text.replace("-", "\N{MINUS SIGN}")


def signed(value: float | None) -> str:
    """Show a correlation with its sign."""
    return NOTHING if value is None else f"{value:+.2f}".replace("-", "\N{MINUS SIGN}")


def percent(fraction: float | None) -> str:
    """Show a fraction as a percentage with one decimal."""
    return NOTHING if fraction is None else f"{100 * fraction:.1f}%"


def inside(label: str) -> str:
    """Return a label as it stands inside a sentence; one that begins with an abbreviation stays as it is."""
    start = label.split(" ")[0][1:]
    return label[:1].lower() + label[1:] if start == start.lower() else label


def plural(count: int, noun: str, nouns: str | None = None) -> str:
    """Show a count with its noun."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def with_prefix(value: float) -> str:
    """Show a large number briefly: 1M for a million."""
    size, prefix = next((unit for unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")) if value >= unit[0]), (1, ""))
    return f"{value / size:g}{prefix}"


def duration(seconds: float | None) -> str:
    """Show a time span with the two units that matter."""
    if seconds is None:
        return NOTHING
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def group_range(group: Group, thresholds: Thresholds) -> str:
    """Say how many training images, or what else is counted, the classes of a group have."""
    if group == "many":
        return f"more than {thresholds['many']:,}"
    return f"fewer than {thresholds['few']:,}" if group == "few" else f"{thresholds['few']:,} to {thresholds['many']:,}"


def group_ranges(thresholds: Thresholds, grain: Grain = CLASSIFICATION) -> str:
    """Say of every group how much its classes have for training."""
    names = {group: f"{group} (LVIS: {grain.lvis[group]})" if grain.lvis else group for group in GROUPS}
    ranges = ", ".join(f"{name}: {group_range(group, thresholds)}" for group, name in names.items())
    return f"{ranges} training {grain.nouns}"


def evaluation_title(evaluation: Evaluation) -> str:
    """Name the split and the checkpoint of an evaluation."""
    return f"{evaluation['split']}, {evaluation['checkpoint']} (epoch {evaluation['epoch']})"


def split_name(evaluation: Evaluation) -> str:
    """Name the images an evaluation was made on."""
    return "validation" if evaluation["split"] == "val" else evaluation["split"]


def printable(text: str) -> str:
    """Return ``text`` with a mark in place of every control character and lone surrogate."""
    return "".join("\N{REPLACEMENT CHARACTER}" if category(letter) in ("Cc", "Cs") else letter for letter in text)


def clean(text: str) -> str:
    """Return ``text`` on one line, without control characters and lone surrogates."""
    return printable(" ".join(text.split()))


def shorten(text: str, length: int) -> str:
    """Return ``text`` on one line of at most ``length`` characters."""
    text = clean(text)
    return text if len(text) <= length else text[: length - 1] + "…"
