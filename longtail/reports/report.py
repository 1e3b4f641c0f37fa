"""The page about one run."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from longtail.reports import html
from longtail.reports.difficulty import Snapshot, exceptions, in_words, rarity_correlation, snapshots
from longtail.reports.grains import Grain, grain_of
from longtail.reports.html import Cell, Head, Html
from longtail.reports.plots.classes import Bars, class_counts, difficulty_by_count, group_bars
from longtail.reports.plots.curves import loss_curves, validation_curves
from longtail.reports.report_classes import classes_table, confusions_table, training_count, weak_classes
from longtail.reports.results import (
    Evaluation,
    Results,
    class_figures,
    final_evaluation,
    group_sizes,
    load_results,
    ordered_evaluations,
)
from longtail.reports.wording import (
    NOTHING,
    duration,
    evaluation_title,
    fill,
    group_range,
    group_ranges,
    inside,
    metric_keys,
    number,
    percent,
    plural,
    shorten,
    signed,
    split_name,
    words_of,
)
from longtail.writing import write_atomically

FILE_NAME = "report.html"


def write_report(run: Path, output: Path | None = None) -> Path:
    """Write the page about the run in the folder ``run`` and return where it is (by default within the run)."""
    results = load_results(run)
    output = output or run / FILE_NAME
    write_atomically(output, report_page(results))
    return output


def report_page(results: Results) -> str:
    """Return the page about a run."""
    evaluation, grain = final_evaluation(results), grain_of(results)
    return html.page(
        f"Run {results['name']}",
        html.paragraph(headline(results), "headline"),
        html.notes(_notes(results)),
        *(_measured(results, evaluation, grain) if evaluation else _not_measured(results, grain)),
        html.section("About the run", _facts(results, grain), html.folded("Configuration", results["config"])),
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
    images = plural(evaluation["images"], f"{split_name(evaluation)} image")
    return f"{fill(grain.headline, {**values, 'images': images})}, and " + (
        f"on the {rare} ({limit} training {grain.nouns}) it is {values.get(grain.groups['few'], NOTHING)}."
        if few
        else f"no class has {limit} training {grain.nouns}."
    )


def _measured(results: Results, evaluation: Evaluation, grain: Grain) -> list[Html]:
    """Return the sections of a run that has been evaluated."""
    bars = Bars(results["name"], evaluation["metrics"], {})
    ranges = group_ranges(results["thresholds"], grain)
    of = f"Measured on: {evaluation_title(evaluation)}."
    groups = html.figure(
        group_bars([bars], results["train_counts"], results["thresholds"], grain),
        f"Mean {inside(grain.label)} of the classes in each group ({ranges}), and of all classes. {of}",
    )
    metrics = _metrics_table(results, grain)
    return [
        html.section("Metrics", html.pair(metrics, html.join([groups, html.notes(_metrics_notes(results))]))),
        _counts_section(results, class_figures(evaluation, grain.key), grain, of),
        _training_section(results, grain),
        _difficulty_section(results, grain),
        html.section("Most confused pairs", confusions_table(results, evaluation, grain)),
        html.section("Classes that need help most", weak_classes(results, evaluation, grain)),
        html.section("Every class", classes_table(results, evaluation, grain)),
    ]


def _not_measured(results: Results, grain: Grain) -> list[Html]:
    """Return the sections of a run without an evaluation."""
    return [
        _training_section(results, grain),
        _difficulty_section(results, grain),
        _counts_section(results, None, grain),
    ]


def _counts_section(results: Results, figures: Sequence[float | None] | None, grain: Grain, of: str = "") -> Html:
    drawing = class_counts(results["classes"], results["train_counts"], results["thresholds"], figures, grain)
    below = f", and its {inside(grain.label)} below" if figures else ""
    caption = f"Training {grain.nouns} of each class on a logarithmic scale{below}. {of}"
    return html.section(f"Training {grain.nouns} and {inside(grain.label)}", html.figure(drawing, caption))


def _training_section(results: Results, grain: Grain) -> Html:
    best = results["best_epoch"]
    chosen = f" The best checkpoint is that of epoch {best}." if best is not None else ""
    figures = [
        html.figure(loss_curves(results["history"]), "The training loss and its parts."),
        html.figure(
            validation_curves(results["history"], grain), f"{grain.scales} over the validation images.{chosen}"
        ),
    ]
    return html.section("Training", html.pair(*figures))


def _difficulty_section(results: Results, grain: Grain) -> Html:
    """Show whether the rare classes are the hard ones, where the run was validated."""
    found, counts, thresholds = snapshots(results["history"]), results["train_counts"], results["thresholds"]
    if not found:
        return Html()
    last = found[-1]
    accuracy = f"the {results['accuracy_of']}" if "accuracy_of" in results else "its validation accuracy"
    correlations = {each.epoch: rarity_correlation(each, counts) for each in found}
    titles = {
        f"epoch {each.epoch:,}, rank correlation {signed(correlations[each.epoch])}": each.difficulty for each in found
    }
    return html.section(
        "Difficulty and frequency",
        html.paragraph(difficulty_sentence(correlations)),
        html.paragraph(_exceptions(results, last, grain)),
        html.figure(
            difficulty_by_count(counts, titles, thresholds, grain),
            f"Difficulty of each class, 1 \N{MINUS SIGN} {accuracy}, against its number of training {grain.nouns}, on "
            "a logarithmic scale; the strokes are the mean of each group. The rank correlation is Spearman's, of "
            "difficulty with rarity: 1 where every rarer class is a harder one. A class with few validation images "
            "moves in large steps. Class-wise difficulty after Sinha et al., ACCV 2020.",
        ),
    )


def difficulty_sentence(correlations: Mapping[int, float | None]) -> str:
    """Say in one sentence how far the rare classes are the hard ones, from the correlation at each epoch."""
    *before, (last, now) = correlations.items()
    shown = f" (rank correlation of difficulty with rarity {signed(now)})" if now is not None else ""
    earlier = " and ".join(f"{signed(value)} at epoch {epoch:,}" for epoch, value in before)
    return f"At epoch {last:,} {in_words(now)}{shown}{f'; it was {earlier}' if earlier else ''}."


def _exceptions(results: Results, snapshot: Snapshot, grain: Grain) -> str:
    """Name the easy rare classes and the hard frequent ones."""
    found = exceptions(snapshot, results["train_counts"], results["thresholds"])
    if found is None:
        return ""

    def names(chosen: Sequence[int]) -> str:
        return ", ".join(
            f"{shorten(results['classes'][index], 40)} ({training_count(results, index, grain)}, "
            f"difficulty {percent(snapshot.difficulty[index])})"
            for index in chosen
        )

    texts = []
    for chosen, group, other, word in (
        (found.easy, found.tail, found.head, "easier"),
        (found.hard, found.head, found.tail, "harder"),
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


def _metrics_table(results: Results, grain: Grain) -> Html:
    evaluations = ordered_evaluations(results)
    heads = [Head("", numeric=False), *(Head(evaluation_title(each)) for each in evaluations)]
    images = [Cell("Images"), *(html.count(each["images"]) for each in evaluations)]
    words = words_of(results)
    rows = [
        [
            html.metric_name(key, grain.label, words),
            *(Cell(number(key, each["metrics"].get(key), words=words)) for each in evaluations),
        ]
        for key in metric_keys(evaluations, words)
    ]
    return html.table(heads, [*rows, images])


def _metrics_notes(results: Results) -> list[str]:
    evaluations = results["evaluations"]
    keys = metric_keys(evaluations)
    notes = []
    if any(each["metrics"].get(key) is None for each in evaluations for key in keys):
        notes.append(f"{NOTHING}: not defined, as for a group without classes.")
    if any((each["checkpoint"], each["split"]) == ("best", "val") for each in evaluations):
        notes.append("The best checkpoint was chosen by the validation images, so its validation numbers flatter it.")
    if any(key not in words_of(results) for key in keys):
        notes.append("As recorded: shown under its own name and as a plain number.")
    return notes


def _facts(results: Results, grain: Grain) -> Html:
    data, hardware, counts = results["data"], results["hardware"], results["train_counts"]
    rate, least, most = results["images_per_second"], min(counts, default=0), max(counts, default=0)
    parts = [("process", "processes", hardware.get("processes")), ("thread", "threads", hardware.get("threads"))]
    machine = [hardware.get("device"), hardware.get("name"), hardware.get("precision")]
    machine += [plural(many, noun, nouns) for noun, nouns, many in parts if many is not None]
    return html.facts(
        [
            ("Recipe", results["recipe"] or NOTHING),
            ("Seed", results["seed"]),
            ("Status", results["status"]),
            ("Data", f"{data['name']}, {data['source']}"),
            ("Images", ", ".join(f"{count:,} {split}" for split, count in data["images"].items())),
            ("Classes", f"{len(counts):,}, with {least:,} to {most:,} training {grain.nouns}"),
            *([("Training instances", f"{sum(results['instance_counts']):,}")] if "instance_counts" in results else []),
            ("Started", results["started"]),
            ("Time", duration(results["seconds"])),
            ("Epochs", _progress(results)),
            ("Throughput", NOTHING if rate is None else f"{rate:,.1f} images per second"),
            ("Parameters", f"{results['parameters']:,}"),
            ("Hardware", ", ".join(each for each in machine if each) or NOTHING),
            ("Versions", ", ".join(f"{name} {version}" for name, version in results["versions"].items())),
        ]
    )
