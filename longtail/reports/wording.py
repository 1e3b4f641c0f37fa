"""How numbers, names and metrics are put into words, on the page and in the terminal alike."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite
from unicodedata import category

from longtail.reports.results import GROUPS, Evaluation, Group, Thresholds

NOTHING = "\N{EN DASH}"


@dataclass(frozen=True)
class Metric:
    """How a metric is shown: ``better`` is 1 where more is better, -1 where less is, 0 where nobody can say."""

    label: str
    meaning: str = ""
    better: int = 1
    fraction: bool = True


METRICS = {
    "top1": Metric("Accuracy", "share of all images whose class was found"),
    "top5": Metric("Top-5 accuracy", "the class is among the five most likely ones"),
    "balanced_accuracy": Metric("Balanced accuracy", "mean over classes: every class counts the same"),
    "many": Metric("Many-shot accuracy", "mean over the classes with many training images"),
    "medium": Metric("Medium-shot accuracy", "mean over the classes between many and few"),
    "few": Metric("Few-shot accuracy", "mean over the classes with few training images"),
    "worst_class": Metric("Worst class", "the lowest accuracy of any class"),
    "geometric_mean": Metric("Geometric mean", "over classes, each counted as at least 0.1%"),
    "harmonic_mean": Metric("Harmonic mean", "over classes, each counted as at least 0.1%; ruled by the weakest"),
    "calibration_error": Metric("Calibration error", "how far confidence is from accuracy; lower is better", better=-1),
}


def metric(key: str) -> Metric:
    """Return how the metric ``key`` is shown; an unknown one goes by its own name and its plain number."""
    return METRICS.get(key) or Metric(clean(key), "as recorded", better=0, fraction=False)


def metric_keys(evaluations: Iterable[Evaluation]) -> list[str]:
    """Return the metrics that occur, the known ones first and in their usual order."""
    found = list(dict.fromkeys(key for evaluation in evaluations for key in evaluation["metrics"]))
    return [key for key in METRICS if key in found] + [key for key in found if key not in METRICS]


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


def plural(count: int, noun: str, nouns: str | None = None) -> str:
    """Show a count with its noun."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


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
    """Say how many training images the classes of a group have."""
    if group == "many":
        return f"more than {thresholds['many']:,}"
    return f"fewer than {thresholds['few']:,}" if group == "few" else f"{thresholds['few']:,} to {thresholds['many']:,}"


def group_ranges(thresholds: Thresholds) -> str:
    """Say of every group how many training images its classes have."""
    return ", ".join(f"{each}: {group_range(each, thresholds)}" for each in GROUPS) + " training images"


def evaluation_title(evaluation: Evaluation) -> str:
    """Name the split and the checkpoint of an evaluation."""
    return f"{evaluation['split']}, {evaluation['checkpoint']} (epoch {evaluation['epoch']})"


def split_name(evaluation: Evaluation) -> str:
    """Name the images an evaluation was made on."""
    return "validation" if evaluation["split"] == "val" else evaluation["split"]


def printable(text: str) -> str:
    """Return ``text`` with a mark in place of every control character and lone surrogate."""
    return "".join("\N{REPLACEMENT CHARACTER}" if category(each) in ("Cc", "Cs") else each for each in text)


def clean(text: str) -> str:
    """Return ``text`` on one line, without control characters and lone surrogates."""
    return printable(" ".join(text.split()))


def shorten(text: str, length: int) -> str:
    """Return ``text`` on one line of at most ``length`` characters."""
    text = clean(text)
    return text if len(text) <= length else text[: length - 1] + "…"
