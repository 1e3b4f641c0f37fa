"""Several runs side by side, against the first of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich import table as terminal

from longtail.figures import Metric
from longtail.messages import plural
from longtail.plain import AnyPath
from longtail.reports import html
from longtail.reports.grains import Grain, grain_of
from longtail.reports.groups import group_of
from longtail.reports.html import Cell, Head, Table
from longtail.reports.plots.classes import Bars, change_by_count, group_bars
from longtail.reports.seeds import Column, Value, difference, load_columns
from longtail.reports.terminal import metrics_table
from longtail.reports.wording import (
    NOTHING,
    change,
    empty_groups,
    evaluation_title,
    group_ranges,
    inside,
    metric,
    metric_keys,
    number,
    unfinished,
    words_of,
)
from longtail.writing import write_atomically

CLASSES_SHOWN = 10


def write_columns(columns: Sequence[Column], output: AnyPath) -> Path:
    """Write the page that compares columns with the first of them, and return where it is."""
    write_atomically(output, comparison_page(columns))
    return Path(output)


def comparison_text(runs: Sequence[AnyPath], checkpoint: str = "last") -> terminal.Table:
    """Return the metrics of the runs, with the change against the first of them; ``checkpoint`` as ``load_columns``."""
    return columns_text(load_columns(runs, checkpoint))


def columns_text(columns: Sequence[Column]) -> terminal.Table:
    """Return the metrics of the columns, with the change against the first of them."""
    rows, words = [], _words(columns)
    for key in _keys(columns, words):
        values = [column.metric(key) for column in columns]
        texts = [_figure_text(key, values[0], words)]
        for value in values[1:]:
            step = difference(value, values[0])
            texts.append(
                _figure_text(key, value, words) + (f" ({change(key, step, words)})" if step is not None else "")
            )
        rows.append((metric(key, words).label, texts))
    table = metrics_table("Comparison", [column.title for column in columns], rows)
    table.caption = "In brackets: change against the first column; that of percentages in percentage points."
    if all(run.evaluation["checkpoint"] == "best" for column in columns for run in column.runs):
        table.caption += " Both of the epoch that is best on validation."
    return table


def comparison_page(columns: Sequence[Column]) -> str:
    """Return the page that compares the columns with the first of them."""
    base, *others = columns
    results = base.first.results
    grain = grain_of(*(run.results for column in columns for run in column.runs))
    words = _words(columns)
    bars = [_bars(column, grain) for column in columns]
    return html.page(
        "compare.html",
        title="Comparison of runs",
        grain=grain,
        figure_name=inside(grain.label),
        base=base.label,
        headlines=[_headline(base, other, grain, words) for other in others],
        remarks=comparison_notes(columns),
        group_bars=group_bars(bars, results["train_counts"], results["thresholds"], grain),
        ranges=group_ranges(results["thresholds"], grain),
        several_seeds=any(len(column.runs) > 1 for column in columns),
        metrics=_metrics_table(columns, grain, words),
        changes=[_changes(base, other, grain, words) for other in others],
        classes_table=_classes_table(columns, grain, words),
        runs=_runs_table(columns),
    )


def _headline(base: Column, other: Column, grain: Grain, words: Mapping[str, Metric]) -> str:
    """Say in plain words how a column does against the first."""
    parts = []
    for key in (grain.overall, grain.groups["few"], grain.groups["many"]):
        value, start = other.metric(key), base.metric(key)
        if value is not None and start is not None:
            label, points = inside(metric(key, words).label), change(key, difference(value, start), words)
            figures = f"{_figure_text(key, value, words)} against {_figure_text(key, start, words)}"
            parts.append(f"{label} {figures} ({points} points{_doubt(value, start)})")
    return f"{other.label} compared with {base.label}: {'; '.join(parts) or 'no common metric'}."


def _doubt(value: Value, base: Value) -> str:
    """Say where a change is no larger than what the seeds alone make."""
    spread = [figure.deviation for figure in (value, base) if figure.deviation is not None]
    return ", within the spread of the seeds" if spread and abs(value.mean - base.mean) <= sum(spread) else ""


def comparison_notes(columns: Sequence[Column]) -> list[str]:
    """Say what the reader must know before believing the numbers."""
    notes = []
    runs = [run for column in columns for run in column.runs]
    single = [column.label for column in columns if len(column.runs) == 1]
    if single:
        notes.append(
            f"One seed only: {'; '.join(single)}. Another seed would give other numbers; how much of a change is "
            "chance cannot be told from this page. Train each run with several seeds to find out."
        )
    if len(single) < len(columns):
        notes.append(
            "Several seeds: mean ± sample standard deviation over the seeds. A change that is not clearly larger than "
            "the deviations is no evidence of a difference."
        )
    if note := unfinished(run.results for run in runs):
        notes.append(note)
    if len({(run.evaluation["split"], run.evaluation["images"]) for run in runs}) > 1:
        notes.append("The runs were not measured on the same images (see the end of the page): do not rank them.")
    elif any(run.evaluation["split"] != "test" for run in runs):
        notes.append("Nothing was measured on test images; choices made on the validation images flatter them.")
    if len({run.evaluation["checkpoint"] for run in runs}) > 1:
        notes.append("Some runs were measured with their last checkpoint, others with their best.")
    if any(
        run.results[key] != runs[0].results[key] for run in runs[1:] for key in ("train_counts", "thresholds", "data")
    ):
        notes.append(
            "The runs were not trained on the same data or group their classes differently; groups and counts on this "
            f"page are those of {columns[0].label}, the group metrics are each run's own."
        )
    first = columns[0].first.results
    if note := empty_groups(first["train_counts"], first["thresholds"], grain_of(*(run.results for run in runs))):
        notes.append(note)
    return notes


def _metrics_table(columns: Sequence[Column], grain: Grain, words: Mapping[str, Metric]) -> Table:
    base, *others = columns
    heads = [Head("", numeric=False), Head(base.title)]
    for other in others:
        heads += [Head(other.title), Head("Change")]
    return Table(heads, [_metric_row(key, columns, grain, words) for key in _keys(columns, words)])


def _metric_row(key: str, columns: Sequence[Column], grain: Grain, words: Mapping[str, Metric]) -> list[Cell]:
    start = columns[0].metric(key)
    row = [html.metric_name(key, grain.label, words), Cell(_figure_text(key, start, words))]
    for other in columns[1:]:
        value = other.metric(key)
        row += [Cell(_figure_text(key, value, words)), _change_cell(key, difference(value, start), words)]
    return row


@dataclass(frozen=True)
class Changes:
    """Where among the classes a column wins and loses against the first."""

    label: str
    score: str
    drawing: str | None
    gains: Table
    losses: Table


def _changes(base: Column, other: Column, grain: Grain, words: Mapping[str, Metric]) -> Changes:
    results = base.first.results
    starts, values = base.figures(grain.key), other.figures(grain.key)
    steps = [difference(value, start) for value, start in zip(values, starts, strict=True)]
    known = [(step, index) for index, step in enumerate(steps) if step is not None]
    known.sort(key=lambda change: change[0])
    losers = [index for step, index in known[:CLASSES_SHOWN] if step < 0]
    winners = [index for step, index in known[::-1][:CLASSES_SHOWN] if step > 0]
    better, worse = (sum(sign * step > 0 for step, _ in known) for sign in (1, -1))

    def listing(indices: Sequence[int]) -> Table:
        heads = [Head("Class", numeric=False), Head("Change"), Head(other.label), Head(base.label)]
        heads += [Head(f"Training {grain.nouns}"), Head(grain.samples.capitalize())]
        images = base.first.evaluation["per_class"]["images"]
        rows = [
            [
                Cell(results["classes"][i]),
                _change_cell(grain.overall, steps[i], words),
                _value_cell(grain.overall, values[i], words),
                _value_cell(grain.overall, starts[i], words),
                html.count(results["train_counts"][i]),
                html.count(images[i]),
            ]
            for i in indices
        ]
        return Table(heads, rows)

    same = len(known) - better - worse
    return Changes(
        other.label,
        f"{plural(better, 'class', 'classes')} better, {worse:,} worse, {same:,} the same.",
        change_by_count(results["train_counts"], steps, results["thresholds"], grain),
        listing(winners),
        listing(losers),
    )


def _classes_table(columns: Sequence[Column], grain: Grain, words: Mapping[str, Metric]) -> Table:
    base, *others = columns
    results = base.first.results
    heads = [Head("Class", numeric=False), Head("Group", numeric=False), Head(f"Training {grain.nouns}")]
    heads += [Head(grain.samples.capitalize()), Head(base.title)]
    for other in others:
        heads += [Head(other.title), Head("Change")]
    figures = [column.figures(grain.key) for column in columns]
    images = base.first.evaluation["per_class"]["images"]
    rows = []
    for i, (name, count) in enumerate(zip(results["classes"], results["train_counts"], strict=True)):
        start = figures[0][i]
        row = [html.name(name), html.group(group_of(count, results["thresholds"])), html.count(count)]
        row += [html.count(images[i]), _value_cell(grain.overall, start, words)]
        for values in figures[1:]:
            row += [
                _value_cell(grain.overall, values[i], words),
                _change_cell(grain.overall, difference(values[i], start), words),
            ]
        rows.append(row)
    return Table(heads, rows, sortable=True)


def _runs_table(columns: Sequence[Column]) -> Table:
    heads = ["Column", "Recipe", "Seed", "Status", "Measured with", "Images", "Data", "Folder"]
    rows = [
        [
            column.label,
            run.results["recipe"] or NOTHING,
            str(run.results["seed"]),
            run.results["status"],
            evaluation_title(run.evaluation),
            f"{run.evaluation['images']:,}",
            f"{run.results['data']['name']}, {run.results['data']['source']}",
            str(run.folder),
        ]
        for column in columns
        for run in column.runs
    ]
    return Table([Head(head, numeric=False) for head in heads], rows)


def _words(columns: Sequence[Column]) -> dict[str, Metric]:
    return words_of(*(run.results for column in columns for run in column.runs))


def _keys(columns: Sequence[Column], words: Mapping[str, Metric]) -> list[str]:
    return metric_keys((run.evaluation for column in columns for run in column.runs), words)


def _bars(column: Column, grain: Grain) -> Bars:
    values = {key: column.metric(key) for key in grain.bars}
    return Bars(
        column.title,
        {key: value.mean if value else None for key, value in values.items()},
        {key: value.deviation if value else None for key, value in values.items()},
    )


def _figure_text(key: str, value: Value | None, words: Mapping[str, Metric]) -> str:
    return number(key, *value, words) if value else number(key, None)


def _value_cell(key: str, value: Value | None, words: Mapping[str, Metric]) -> Cell:
    return Cell(_figure_text(key, value, words), value.mean if value else None)


def _change_cell(key: str, step: float | None, words: Mapping[str, Metric]) -> Cell:
    """Return a change, coloured where it is known which way is better."""
    gain = (step or 0) * metric(key, words).better
    return Cell(change(key, step, words), step, "good" if gain > 0 else "bad" if gain < 0 else "")
