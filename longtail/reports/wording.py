"""How numbers, names and metrics are put into words, on the page and in the terminal alike."""

import re
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from unicodedata import category

from longtail.errors import InputError
from longtail.figures import METRICS, Metric
from longtail.reports.grains import IMAGES, Grain
from longtail.reports.groups import GROUPS, Group, group_sizes
from longtail.reports.results import Evaluation, Results, Thresholds
from longtail.reports.schema import misfit

NOTHING = "\N{EN DASH}"


def words_of(*runs: Results) -> dict[str, Metric]:
    """Return what the metrics of runs are called: those of the package, and what a run says of its own.

    Raises:
        InputError: if a run says it in a way that cannot be read.
    """
    words = dict(METRICS)
    for run in runs:
        if fault := misfit(run.get("words", {}), dict[str, Metric], "words"):
            raise InputError(f"the results of {run['name']} do not say what its metrics are called: {fault}")
        try:
            words |= {key: Metric(**entry) for key, entry in run.get("words", {}).items()}
        except (TypeError, ValueError, AttributeError) as error:
            raise InputError(f"the results of {run['name']} do not say what its metrics are called: {error}") from error
    return words


def metric(key: str, words: Mapping[str, Metric] = METRICS) -> Metric:
    """Return how the metric ``key`` is shown; an unknown one goes by its own name and its plain number."""
    return words.get(key) or Metric(clean(key), "as recorded", better=0, fraction=False)


def metric_keys(evaluations: Iterable[Evaluation], words: Mapping[str, Metric] = METRICS) -> list[str]:
    """Return the metrics that occur, the known ones first and in their usual order."""
    keys = list(dict.fromkeys(key for evaluation in evaluations for key in evaluation["metrics"]))
    return [key for key in words if key in keys] + [key for key in keys if key not in words]


def number(key: str, value: float | None, deviation: float | None = None, words: Mapping[str, Metric] = METRICS) -> str:
    """Show a value of the metric ``key``, with its standard deviation where there is one."""
    if value is None or not isfinite(value):
        return NOTHING
    if not metric(key, words).fraction:
        return f"{value:.4g}" + ("" if deviation is None else f" ± {deviation:.2g}")
    return percent(value) if deviation is None else f"{100 * value:.1f} ± {100 * deviation:.1f}%"


def change(key: str, value: float | None, words: Mapping[str, Metric] = METRICS) -> str:
    """Show the difference between two values of the metric ``key``; that of fractions in percentage points."""
    if value is None:
        return NOTHING
    scaled, places = (100 * value, ".1f") if metric(key, words).fraction else (value, ".4g")
    text = f"{scaled:+{places}}"
    return text.lstrip("+-") if float(text) == 0 else text.replace("-", "\N{MINUS SIGN}")


def fill(text: str, values: Mapping[str, str]) -> str:
    """Put values in the place of their names in braces; a name that is not among them stays."""
    return re.sub(r"\{(\w+)\}", lambda name: values.get(name[1], name[0]), text)


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


def with_prefix(value: float) -> str:
    """Show a large number briefly: 1M for a million."""
    size, prefix = next((unit for unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")) if value >= unit[0]), (1, ""))
    return f"{value / size:g}{prefix}"


def group_range(group: Group, thresholds: Thresholds) -> str:
    """Say how many training images, or what else is counted, the classes of a group have."""
    if group == "many":
        return f"more than {thresholds['many']:,}"
    return f"fewer than {thresholds['few']:,}" if group == "few" else f"{thresholds['few']:,} to {thresholds['many']:,}"


def group_ranges(thresholds: Thresholds, grain: Grain = IMAGES) -> str:
    """Say of every group how much its classes have for training."""
    names = {group: f"{group} (LVIS: {grain.lvis[group]})" if grain.lvis else group for group in GROUPS}
    ranges = ", ".join(f"{name}: {group_range(group, thresholds)}" for group, name in names.items())
    return f"{ranges} training {grain.nouns}"


def group_summary(train_counts: Sequence[int], thresholds: Thresholds, grain: Grain, noun: str) -> str:
    """Say how many classes each group has, and where one is empty, how other limits are set; ``noun`` is counted."""
    sizes = group_sizes(train_counts, thresholds)
    names = {group: grain.lvis.get(group, f"{group}-shot") for group in GROUPS}
    many, medium, few = (f"{sizes[group]:,} {names[group]}" for group in GROUPS)
    most, least = group_range("many", thresholds), group_range("few", thresholds)
    parts = f"{many} ({most} training {noun}s), {medium}, {few} ({least})"
    return parts if all(sizes.values()) else f"{parts}; other limits by {grain.limits}"


def empty_groups(train_counts: Sequence[int], thresholds: Thresholds, grain: Grain) -> str | None:
    """Say which groups have no class and so no figure, and how other limits are set; None where all have some."""
    empty = [group for group, size in group_sizes(train_counts, thresholds).items() if not size]
    if not empty:
        return None
    ranges = " or ".join(f"{group_range(group, thresholds)} training {grain.nouns} ({group})" for group in empty)
    return f"{NOTHING} in the groups: no class has {ranges}. Train with other limits by {grain.limits}."


def unfinished(runs: Iterable[Results]) -> str | None:
    """Say which runs are not finished; None where all are."""
    names = [results["name"] for results in runs if results["status"] != "finished"]
    return f"Not finished, and measured as they are: {'; '.join(names)}." if names else None


def evaluation_title(evaluation: Evaluation) -> str:
    """Name the split and the checkpoint of an evaluation."""
    return f"{evaluation['split']}, {evaluation['checkpoint']} (epoch {evaluation['epoch']})"


def split_name(evaluation: Evaluation) -> str:
    """Name the images an evaluation was made on."""
    return "validation" if evaluation["split"] == "val" else evaluation["split"]


def printable(text: str) -> str:
    """Return ``text`` with a mark in place of every control character and lone surrogate."""
    if text.isprintable():
        return text
    return "".join("\N{REPLACEMENT CHARACTER}" if category(letter) in ("Cc", "Cs") else letter for letter in text)


def clean(text: str) -> str:
    """Return ``text`` on one line, without control characters and lone surrogates."""
    return printable(" ".join(text.split()))


def shorten(text: str, length: int) -> str:
    """Return ``text`` on one line of at most ``length`` characters."""
    text = clean(text)
    return text if len(text) <= length else text[: length - 1] + "…"
