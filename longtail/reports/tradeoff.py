"""What runs would do with their logits adjusted: from the frequent classes to the rare ones, point by point."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich import table as terminal

from longtail.errors import InputError
from longtail.messages import plural
from longtail.plain import JSON, AnyPath
from longtail.reports import html
from longtail.reports.config import differing_setting
from longtail.reports.grains import Grain, grain_of
from longtail.reports.groups import GROUPS, Group, ends
from longtail.reports.html import Cell, Head, Table
from longtail.reports.plots.curves import Dial, by_strength, head_to_tail
from longtail.reports.results import FILE_NAME, Metrics, Results
from longtail.reports.terminal import metrics_table
from longtail.reports.wording import empty_groups, group_ranges, inside, metric, number, unfinished
from longtail.writing import write_atomically

CHOSEN_BY = "balanced_accuracy"
KEYS = (*GROUPS, CHOSEN_BY, "top1")


@dataclass(frozen=True)
class Point:
    """The accuracies of a run with its logits adjusted by a strength."""

    strength: float
    metrics: Metrics


@dataclass(frozen=True)
class Curve:
    """A run measured on its validation images at every strength, 0 among them.

    ``epoch`` is that of the checkpoint where it is known; ``images`` counts the validation images of each group.
    """

    folder: Path
    results: Results
    checkpoint: str
    epoch: int | None
    images: Mapping[Group, int]
    points: tuple[Point, ...]

    @property
    def start(self) -> Point:
        """The run as it was trained."""
        return next(point for point in self.points if point.strength == 0)

    @property
    def best(self) -> Point:
        """The point of the best balanced accuracy, the one nearest to 0 among equals."""
        return max(self.points, key=lambda point: (point.metrics[CHOSEN_BY] or 0, -abs(point.strength)))

    @property
    def measurement(self) -> str:
        """What was measured."""
        return f"validation, {self.checkpoint}" + (f" (epoch {self.epoch})" if self.epoch is not None else "")

    @property
    def export(self) -> str:
        """The command that exports the best point."""
        folder = str(self.folder)
        words = ["longtail", "export", f"./{folder}" if folder.startswith("-") else folder]
        words += ["--strength", strength_text(self.best.strength)] if self.best.strength else []
        return shlex.join([*words, *(["--checkpoint", "last"] if self.checkpoint == "last" else [])])


def strength_text(strength: float) -> str:
    """Show a strength as it can be typed."""
    return f"{strength:g}"


def labels(curves: Sequence[Curve]) -> list[str]:
    """Name runs by the one setting they differ in where that tells them apart, else by their names, equals numbered."""
    setting = differing_setting([curve.results for curve in curves]) if len(curves) > 1 else None
    if setting and len(set(setting[1])) == len(curves):
        return [f"{setting[0]} {value}" for value in setting[1]]
    names: list[str] = []
    for curve in curves:
        name, copy = curve.results["name"], 1
        while (label := name if copy == 1 else f"{name} #{copy}") in names:
            copy += 1
        names.append(label)
    return names


def check_runs(runs: Sequence[Results]) -> None:
    """Refuse runs of different classes, which do not belong in one picture."""
    for results in runs[1:]:
        if results["classes"] != runs[0]["classes"]:
            raise InputError(
                f"{runs[0]['name']} and {results['name']} have different class lists; give runs on the same classes"
            )


def check_output(output: AnyPath) -> Path:
    """Return the place of the JSON beside the page, or refuse a place where the two cannot be written."""
    output = Path(output)
    beside = output.with_suffix(".json")
    if output.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{output}: the page needs a name that ends in .html")
    if beside.name == FILE_NAME:
        raise InputError(f"{output}: the JSON beside it would be {FILE_NAME}, the record of a run; choose another name")
    if not output.parent.is_dir():
        raise InputError(f"{output.parent}: no such folder; make it, or choose another --output")
    return beside


def write_tradeoff(curves: Sequence[Curve], output: AnyPath) -> list[Path]:
    """Write the page and the JSON beside it, and return where they are."""
    beside = check_output(output)
    text = tradeoff_page(curves)
    write_atomically(beside, json.dumps(tradeoff_record(curves), allow_nan=False, indent=1) + "\n")
    write_atomically(output, text)
    return [Path(output), beside]


def tradeoff_record(curves: Sequence[Curve]) -> dict[str, JSON]:
    """Return the figures as they stand in the JSON; None where nothing was measured."""
    runs = [
        {
            "name": curve.results["name"],
            "label": label,
            "folder": str(curve.folder),
            "checkpoint": curve.checkpoint,
            "epoch": curve.epoch,
            "images": dict(curve.images),
            "best_strength": curve.best.strength,
            "points": [{"strength": point.strength, **point.metrics} for point in curve.points],
        }
        for label, curve in zip(labels(curves), curves, strict=True)
    ]
    return {"format": 1, "split": "val", "runs": runs}


def tradeoff_text(curves: Sequence[Curve]) -> terminal.Table:
    """Return every point of a single run; of several, each as it was trained and at its best."""
    grain, rows = _grain(curves), []
    for label, curve in zip(labels(curves), curves, strict=True):
        ends_only = [curve.start] if curve.best is curve.start else [curve.start, curve.best]
        for point in curve.points if len(curves) == 1 else ends_only:
            marks = _marks(curve, point)
            text = strength_text(point.strength) + (f" ({marks})" if marks else "")
            values = [number(key, point.metrics[key]) for key in KEYS]
            rows.append((text if len(curves) == 1 else f"{label}: {text}", values))
    title = (
        f"{curves[0].results['name']}: {curves[0].measurement}" if len(curves) == 1 else f"Validation {grain.samples}"
    )
    table = metrics_table(title, [grain.curves.get(key, key) for key in KEYS], rows)
    table.columns[0].header = "strength"
    table.caption = f"Accuracy on validation {grain.samples}. Larger strengths are for the rare classes."
    return table


def tradeoff_notes(curves: Sequence[Curve]) -> list[str]:
    """Return what the reader of the table must know before believing the numbers."""
    return _notes(curves, undrawn=False)[1:]


def tradeoff_page(curves: Sequence[Curve]) -> str:
    """Return the page with the curves of the runs."""
    named = list(zip(labels(curves), curves, strict=True))
    thresholds = curves[0].results["thresholds"]
    groups = ends([group for group in GROUPS if all(curve.start.metrics[group] is not None for curve in curves)])
    drawing = None
    if groups is not None:
        drawing = head_to_tail([_dial(label, curve, *groups) for label, curve in named], *groups)
    return html.page(
        "tradeoff.html",
        title="From head to tail",
        headlines=[_headline(label, curve) for label, curve in named],
        remarks=_notes(curves, drawing is None),
        head_to_tail=drawing,
        ranges=group_ranges(thresholds).capitalize(),
        by_strength=_by_strength(curves[0]) if len(curves) == 1 else None,
        commands=[curve.export for curve in curves],
        curves=[(label, _table(curve)) for label, curve in named],
        runs=_runs(named),
        grain=_grain(curves),
    )


def _grain(curves: Sequence[Curve]) -> Grain:
    return grain_of(*(curve.results for curve in curves))


def _headline(label: str, curve: Curve) -> str:
    """Say in plain words what the best strength does to a run."""
    images = plural(sum(curve.images.values()), f"validation {grain_of(curve.results).sample}")
    start, best = curve.start, curve.best
    if best is start:
        value = number(CHOSEN_BY, start.metrics[CHOSEN_BY])
        return f"{label}: on {images} no strength makes the balanced accuracy better than it is, {value}."
    parts = [
        f"{inside(metric(key).label)} {number(key, best.metrics[key])} against {number(key, start.metrics[key])}"
        for key in (CHOSEN_BY, *reversed(GROUPS))
        if start.metrics[key] is not None
    ]
    what = f"strength {strength_text(best.strength)} is best, against the run as trained"
    return f"{label}: on {images} {what}: {'; '.join(parts)}."


def _notes(curves: Sequence[Curve], undrawn: bool) -> list[str]:
    """Say what the strength is, and what the reader must know before believing the numbers."""
    first = curves[0]
    grain = _grain(curves)
    notes = [
        "A strength s predicts by the logits less s times the logarithm of each class's share of the training "
        f"{grain.samples} "
        "(Menon et al., ICLR 2021): more than 0 gives to the rare classes what it takes from the frequent ones. "
        "Nothing is trained. It comes on top of what the training did: a run whose loss adjusted the logits is at its "
        "own balance at strength 0.",
        f"Everything here was measured on validation {grain.samples}, and the best strength chosen on them, as a best "
        f"checkpoint is: the figures flatter it. Measure the model that you take on {grain.samples} of its own.",
        f"Validation {grain.samples} of {first.results['name']}: "
        + ", ".join(f"{group} {first.images[group]:,}" for group in GROUPS)
        + f". Figures of few {grain.samples} move in large steps.",
    ]
    if undrawn:
        notes.append(
            f"There is no picture: it takes classes of two groups with validation {grain.samples}, in every run."
        )
    if note := empty_groups(first.results["train_counts"], first.results["thresholds"], grain):
        notes.append(note)
    edge = [
        curve.results["name"]
        for curve in curves
        if curve.best.strength in (curve.points[0].strength, curve.points[-1].strength)
    ]
    if edge:
        notes.append(f"At the end of the strengths that were tried, a stronger one may be better: {'; '.join(edge)}.")
    if note := unfinished(curve.results for curve in curves):
        notes.append(note)
    if any(
        (curve.images, curve.results["train_counts"], curve.results["thresholds"], curve.results["data"]["source"])
        != (first.images, first.results["train_counts"], first.results["thresholds"], first.results["data"]["source"])
        for curve in curves[1:]
    ):
        notes.append(
            f"The runs were not trained or not measured on the same {grain.samples}, or group their classes "
            "differently: do not rank them."
        )
    return notes


def _dial(label: str, curve: Curve, head: Group, tail: Group) -> Dial:
    return Dial(
        label,
        [point.strength for point in curve.points],
        [point.metrics[head] for point in curve.points],
        [point.metrics[tail] for point in curve.points],
        curve.points.index(curve.start),
        curve.points.index(curve.best),
    )


def _by_strength(curve: Curve) -> str | None:
    strengths = [point.strength for point in curve.points]
    values = {key: [point.metrics[key] for point in curve.points] for key in KEYS}
    return by_strength(strengths, values, curve.best.strength, grain_of(curve.results))


def _marks(curve: Curve, point: Point) -> str:
    return ", ".join(text for other, text in ((curve.start, "as trained"), (curve.best, "best")) if other is point)


def _table(curve: Curve) -> Table:
    heads = [Head("Strength"), *(Head(metric(key).label) for key in KEYS), Head("", numeric=False)]
    rows = []
    for point in curve.points:
        cells = {key: Cell(number(key, point.metrics[key])) for key in KEYS}
        if point is curve.best:
            cells[CHOSEN_BY] = replace(cells[CHOSEN_BY], tone="good")
        rows.append([Cell(strength_text(point.strength)), *cells.values(), Cell(_marks(curve, point))])
    return Table(heads, rows)


def _runs(named: Sequence[tuple[str, Curve]]) -> Table:
    heads = [Head(text, numeric=False) for text in ("Curve", "Run", "Recipe", "Seed", "Measured", "Folder")]
    rows = [
        [
            label,
            curve.results["name"],
            curve.results["recipe"] or "",
            str(curve.results["seed"]),
            curve.measurement,
            str(curve.folder),
        ]
        for label, curve in named
    ]
    return Table(heads, rows)
