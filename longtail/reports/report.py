"""The page about one run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from longtail.messages import duration, plural
from longtail.plain import JSON, AnyPath
from longtail.reports import html
from longtail.reports.calibration import read_calibration
from longtail.reports.difficulty import Snapshot, exceptions, in_words, no_correlation, rarity_correlation, snapshots
from longtail.reports.grains import Grain, grain_of
from longtail.reports.groups import group_sizes
from longtail.reports.html import Cell, Head, Table
from longtail.reports.plots.classes import Bars, class_counts, difficulty_by_count, group_bars
from longtail.reports.plots.curves import loss_curves, validation_curves
from longtail.reports.report_classes import classes_table, confusions_table, training_count, weak_classes
from longtail.reports.report_probabilities import probabilities
from longtail.reports.results import (
    Evaluation,
    Results,
    class_figures,
    final_evaluation,
    load_results,
    ordered_evaluations,
)
from longtail.reports.wording import (
    NOTHING,
    empty_groups,
    evaluation_title,
    fill,
    group_range,
    group_ranges,
    inside,
    metric_keys,
    number,
    percent,
    shorten,
    signed,
    split_name,
    words_of,
)
from longtail.writing import write_atomically

FILE_NAME = "report.html"


def write_report(run: AnyPath, output: AnyPath | None = None) -> Path:
    """Write the page about the run in the folder ``run`` and return where it is (by default within the run)."""
    results = load_results(run)
    output = Path(run, FILE_NAME) if output is None else Path(output)
    write_atomically(output, report_page(results, read_calibration(run)))
    return output


def report_page(results: Results, calibration: Mapping[str, JSON] | None = None) -> str:
    """Return the page about a run.

    Args:
        results: of the run.
        calibration: its calibration, as ``read_calibration`` gives it.
    """
    evaluation, grain, words = final_evaluation(results), grain_of(results), words_of(results)
    counts, thresholds = results["train_counts"], results["thresholds"]
    figures = class_figures(evaluation, grain.key) if evaluation else None
    return html.page(
        "report.html",
        title=f"Run {results['name']}",
        grain=grain,
        figure_name=inside(grain.label),
        headline=headline(results),
        remarks=_notes(results),
        counts=class_counts(results["classes"], counts, thresholds, figures, grain),
        losses=loss_curves(results["history"], words),
        validation=validation_curves(results["history"], grain, words),
        best_epoch=results["best_epoch"],
        difficulty=_difficulty(results, grain),
        calibration=None if calibration is None else probabilities(calibration),
        about=_facts(results, grain),
        config=results["config"],
        measured=f"Measured on: {evaluation_title(evaluation)}." if evaluation else "",
        **(_figures(results, evaluation, grain) if evaluation else {}),
    )


def headline(results: Results) -> str:
    """Say in plain words how good the run is."""
    evaluation = final_evaluation(results)
    if evaluation is None:
        return f"This run has not been evaluated yet: it is {results['status']}, {_progress(results)}."
    grain = grain_of(results)
    words, metrics = words_of(results), evaluation["metrics"]
    values = {key: number(key, metrics.get(key), words=words) for key in {**words, **metrics}}
    few = group_sizes(results["train_counts"], results["thresholds"])["few"]
    limit = group_range("few", results["thresholds"])
    rare = plural(few, "rare class", "rare classes")
    images = plural(evaluation["images"], f"{split_name(evaluation)} {grain.sample}")
    return f"{fill(grain.headline, {**values, 'images': images})}, and " + (
        f"on the {rare} ({limit} training {grain.nouns}) it is {values.get(grain.groups['few'], NOTHING)}."
        if few
        else f"no class has {limit} training {grain.nouns}."
    )


def _figures(results: Results, evaluation: Evaluation, grain: Grain) -> dict[str, Any]:
    """Return what stands in the page of a run that has been evaluated."""
    bars = Bars(results["name"], evaluation["metrics"], {})
    return {
        "group_bars": group_bars([bars], results["train_counts"], results["thresholds"], grain),
        "ranges": group_ranges(results["thresholds"], grain),
        "metrics": _metrics_table(results, grain),
        "metrics_remarks": _metrics_notes(results, grain),
        "confusions": confusions_table(results, evaluation, grain),
        "weak_classes": weak_classes(results, evaluation, grain),
        "large_pictures": "examples" in evaluation,
        "classes_table": classes_table(results, evaluation, grain),
    }


@dataclass(frozen=True)
class Difficulty:
    """Whether the rare classes are the hard ones; ``accuracy`` is what the difficulty is 1 less than."""

    sentence: str
    exceptions: str
    accuracy: str
    drawing: str | None


def _difficulty(results: Results, grain: Grain) -> Difficulty | None:
    """Return whether the rare classes are the hard ones, where the run was validated."""
    epochs, counts = snapshots(results["history"]), results["train_counts"]
    if not epochs:
        return None
    correlations = [Correlation.of_snapshot(snapshot, counts) for snapshot in epochs]
    titles = {
        f"epoch {snapshot.epoch:,}, {correlation.words}": snapshot.difficulty
        for snapshot, correlation in zip(epochs, correlations, strict=True)
    }
    return Difficulty(
        difficulty_sentence(correlations),
        _exceptions(results, epochs[-1], grain),
        f"the {results['accuracy_of']}" if "accuracy_of" in results else "its validation accuracy",
        difficulty_by_count(counts, titles, results["thresholds"], grain),
    )


@dataclass(frozen=True)
class Correlation:
    """The rank correlation of difficulty with rarity after an epoch, or why there is none."""

    epoch: int
    value: float | None
    reason: str

    @classmethod
    def of_snapshot(cls, snapshot: Snapshot, image_counts: Sequence[int]) -> "Correlation":
        """That of the classes that were measured."""
        value = rarity_correlation(snapshot, image_counts)
        return cls(snapshot.epoch, value, no_correlation(snapshot, image_counts) if value is None else "")

    @property
    def words(self) -> str:
        """It, or why there is none."""
        return f"no correlation: {self.reason}" if self.value is None else f"rank correlation {signed(self.value)}"


def difficulty_sentence(correlations: Sequence[Correlation]) -> str:
    """Say in one sentence how far the rare classes are the hard ones, from the correlation at each epoch."""
    *before, last = correlations
    correlation = f"rank correlation of difficulty with rarity {signed(last.value)}"
    now = f"{in_words(last.value)} ({last.reason if last.value is None else correlation})"
    values = " and ".join(
        f"{signed(other.value)} at epoch {other.epoch:,}" for other in before if other.value is not None
    )
    return f"At epoch {last.epoch:,} {now}{f'; it was {values}' if values else ''}."


def _exceptions(results: Results, snapshot: Snapshot, grain: Grain) -> str:
    """Name the easy rare classes and the hard frequent ones."""
    outliers = exceptions(snapshot, results["train_counts"], results["thresholds"])
    if outliers is None:
        return ""

    def names(chosen: Sequence[int]) -> str:
        return ", ".join(
            f"{shorten(results['classes'][index], 40)} ({training_count(results, index, grain)}, "
            f"difficulty {percent(snapshot.difficulty[index])})"
            for index in chosen
        )

    texts = []
    for chosen, group, other, word in (
        (outliers.easy, outliers.tail, outliers.head, "easier"),
        (outliers.hard, outliers.head, outliers.tail, "harder"),
    ):
        than = f"{word} than the average {other}-shot class"
        named = f"{group.capitalize()}-shot, but {than}: {names(chosen)}."
        texts.append(named if chosen else f"No {group}-shot class is {than}.")
    return " ".join(texts)


def _notes(results: Results) -> list[str]:
    """Say what keeps the numbers from being final."""
    notes = []
    evaluation = final_evaluation(results)
    if evaluation and results["status"] != "finished":
        notes.append(f"The run is {results['status']}: {_progress(results)}.")
    if evaluation and evaluation["split"] != "test":
        notes.append(f"Nothing was measured on test images; the numbers come from the {split_name(evaluation)} images.")
    return notes


def _progress(results: Results) -> str:
    return f"{len(results['history']):,} of {plural(results['epochs'], 'epoch')} done"


def _metrics_table(results: Results, grain: Grain) -> Table:
    evaluations = ordered_evaluations(results)
    heads = [Head("", numeric=False), *(Head(evaluation_title(evaluation)) for evaluation in evaluations)]
    images = [Cell(grain.samples.capitalize()), *(html.count(evaluation["images"]) for evaluation in evaluations)]
    words = words_of(results)
    rows = [
        [
            html.metric_name(key, grain.label, words),
            *(Cell(number(key, evaluation["metrics"].get(key), words=words)) for evaluation in evaluations),
        ]
        for key in metric_keys(evaluations, words)
    ]
    return Table(heads, [*rows, images])


def _metrics_notes(results: Results, grain: Grain) -> list[str]:
    evaluations = results["evaluations"]
    keys = metric_keys(evaluations)
    notes = []
    if any(evaluation["metrics"].get(key) is None for evaluation in evaluations for key in keys):
        notes.append(f"{NOTHING}: not defined, as for a group without classes.")
    if note := empty_groups(results["train_counts"], results["thresholds"], grain):
        notes.append(note)
    if any((evaluation["checkpoint"], evaluation["split"]) == ("best", "val") for evaluation in evaluations):
        notes.append("The best checkpoint was chosen by the validation images, so its validation numbers flatter it.")
    if any(key not in words_of(results) for key in keys):
        notes.append("As recorded: shown under its own name and as a plain number.")
    return notes


def _facts(results: Results, grain: Grain) -> list[tuple[str, object]]:
    data, hardware, counts = results["data"], results["hardware"], results["train_counts"]
    labels = results.get("label_counts")
    rate, least, most = results["images_per_second"], min(counts, default=0), max(counts, default=0)
    parts = [("process", "processes", hardware.get("processes")), ("thread", "threads", hardware.get("threads"))]
    machine = [hardware.get("device"), hardware.get("name"), hardware.get("precision")]
    machine += [plural(many, noun, nouns) for noun, nouns, many in parts if many is not None]
    return [
        ("Recipe", results["recipe"] or NOTHING),
        ("Seed", results["seed"]),
        ("Status", results["status"]),
        ("Data", f"{data['name']}, {data['source']}"),
        (grain.samples.capitalize(), ", ".join(f"{count:,} {split}" for split, count in data["images"].items())),
        ("Classes", f"{len(counts):,}, with {least:,} to {most:,} training {grain.nouns}"),
        *([(f"Training {grain.label_noun}s", f"{sum(labels):,}")] if labels is not None else []),
        ("Started", results["started"]),
        ("Time", NOTHING if results["seconds"] is None else duration(results["seconds"])),
        ("Epochs", _progress(results)),
        ("Throughput", NOTHING if rate is None else f"{rate:,.1f} {grain.samples} per second"),
        ("Parameters", f"{results['parameters']:,}"),
        ("Hardware", ", ".join(part for part in machine if part) or NOTHING),
        ("Versions", ", ".join(f"{name} {version}" for name, version in results["versions"].items())),
    ]
