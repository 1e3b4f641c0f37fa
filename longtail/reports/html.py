"""The page about one run."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from longtail.reports import page, plots
from longtail.reports.difficulty import Snapshot, exceptions, in_words, rarity_correlation, snapshots
from longtail.reports.grains import Grain, grain_of
from longtail.reports.page import Cell, Head, Html
from longtail.reports.results import (
    Evaluation,
    Results,
    class_figures,
    final_evaluation,
    group_of,
    group_sizes,
    load_results,
    ordered_evaluations,
    weakest_classes,
)
from longtail.reports.wording import (
    METRICS,
    NOTHING,
    duration,
    evaluation_title,
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
)
from longtail.writing import write_atomically

FILE_NAME = "report.html"

CONFUSIONS_SHOWN = 20
MISTAKES_SHOWN = 6
EXAMPLES_SHOWN = 2


def write_report(run: Path, output: Path | None = None) -> Path:
    """Write the page about the run in the folder ``run`` and return where it is (by default within the run)."""
    results = load_results(run)
    output = output or run / FILE_NAME
    write_atomically(output, report_page(results))
    return output


def report_page(results: Results) -> str:
    """Return the page about a run."""
    evaluation, grain = final_evaluation(results), grain_of(results)
    return page.page(
        f"Run {results['name']}",
        page.paragraph(headline(results), "headline"),
        page.notes(_notes(results)),
        *(_measured(results, evaluation, grain) if evaluation else _not_measured(results, grain)),
        page.section("About the run", _facts(results, grain), page.folded("Configuration", results["config"])),
    )


def headline(results: Results) -> str:
    """Say in plain words how good the run is."""
    evaluation = final_evaluation(results)
    if evaluation is None:
        return f"This run has not been evaluated yet: it is {results['status']}, {_progress(results)}."
    grain = grain_of(results)
    values = {key: percent(evaluation["metrics"].get(key)) for key in METRICS}
    few = group_sizes(results["train_counts"], results["thresholds"])["few"]
    limit = group_range("few", results["thresholds"])
    rare = plural(few, "rare class", "rare classes")
    images = plural(evaluation["images"], f"{split_name(evaluation)} image")
    return f"{grain.headline.format(images=images, **values)}, and " + (
        f"on the {rare} ({limit} training {grain.nouns}) it is {values[grain.groups['few']]}."
        if few
        else f"no class has {limit} training {grain.nouns}."
    )


def _measured(results: Results, evaluation: Evaluation, grain: Grain) -> list[Html]:
    """Return the sections of a run that has been evaluated."""
    bars = plots.Bars(results["name"], evaluation["metrics"], {})
    ranges = group_ranges(results["thresholds"], grain)
    of = f"Measured on: {evaluation_title(evaluation)}."
    groups = page.figure(
        plots.group_bars([bars], results["train_counts"], results["thresholds"], grain),
        f"Mean {inside(grain.label)} of the classes in each group ({ranges}), and of all classes. {of}",
    )
    metrics = _metrics_table(results, grain)
    return [
        page.section("Metrics", page.pair(metrics, page.join([groups, page.notes(_metrics_notes(results))]))),
        _counts_section(results, class_figures(evaluation, grain.key), grain, of),
        _training_section(results, grain),
        _difficulty_section(results, grain),
        page.section("Most confused pairs", _confusions_table(results, evaluation, grain)),
        page.section("Classes that need help most", _weak_classes(results, evaluation, grain)),
        page.section("Every class", _classes_table(results, evaluation, grain)),
    ]


def _not_measured(results: Results, grain: Grain) -> list[Html]:
    """Return the sections of a run without an evaluation."""
    return [
        _training_section(results, grain),
        _difficulty_section(results, grain),
        _counts_section(results, None, grain),
    ]


def _counts_section(results: Results, figures: Sequence[float | None] | None, grain: Grain, of: str = "") -> Html:
    drawing = plots.class_counts(results["classes"], results["train_counts"], results["thresholds"], figures, grain)
    below = f", and its {inside(grain.label)} below" if figures else ""
    caption = f"Training {grain.nouns} of each class on a logarithmic scale{below}. {of}"
    return page.section(f"Training {grain.nouns} and {inside(grain.label)}", page.figure(drawing, caption))


def _training_section(results: Results, grain: Grain) -> Html:
    best = results["best_epoch"]
    chosen = f" The best checkpoint is that of epoch {best}." if best is not None else ""
    figures = [
        page.figure(plots.loss_curves(results["history"]), "The training loss and its parts."),
        page.figure(
            plots.validation_curves(results["history"], grain), f"{grain.scales} over the validation images.{chosen}"
        ),
    ]
    return page.section("Training", page.pair(*figures))


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
    return page.section(
        "Difficulty and frequency",
        page.paragraph(difficulty_sentence(correlations)),
        page.paragraph(_exceptions(results, last, grain)),
        page.figure(
            plots.difficulty_by_count(counts, titles, thresholds, grain),
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
            f"{shorten(results['classes'][index], 40)} ({_training_count(results, index, grain)}, "
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


def _training_count(results: Results, index: int, grain: Grain) -> str:
    return plural(results["train_counts"][index], f"training {grain.noun}")


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
    images = [Cell("Images"), *(page.count(each["images"]) for each in evaluations)]
    rows = [
        [page.metric_name(key, grain.label), *(Cell(number(key, each["metrics"].get(key))) for each in evaluations)]
        for key in metric_keys(evaluations)
    ]
    return page.table(heads, [*rows, images])


def _metrics_notes(results: Results) -> list[str]:
    evaluations = results["evaluations"]
    keys = metric_keys(evaluations)
    notes = []
    if any(each["metrics"].get(key) is None for each in evaluations for key in keys):
        notes.append(f"{NOTHING}: not defined, as for a group without classes.")
    if any((each["checkpoint"], each["split"]) == ("best", "val") for each in evaluations):
        notes.append("The best checkpoint was chosen by the validation images, so its validation numbers flatter it.")
    if any(key not in METRICS for key in keys):
        notes.append("As recorded: shown under its own name and as a plain number.")
    return notes


def _confusions_table(results: Results, evaluation: Evaluation, grain: Grain) -> Html:
    """Show which classes are taken for which, or nothing where that was not measured."""
    if "confusions" not in evaluation:
        return Html()
    pairs = evaluation["confusions"][:CONFUSIONS_SHOWN]
    if not pairs:
        return page.paragraph("No class was taken for another.")
    heads = [Head("Class", False), Head("Taken for", False)]
    heads += [Head(grain.nouns.capitalize()), Head("Share of the class")]
    names, counts = results["classes"], class_figures(evaluation, grain.nouns)
    return page.table(
        heads,
        [
            [
                names[each["true"]],
                names[each["predicted"]],
                f"{each['images']:,}",
                _share(each["images"], counts[each["true"]]),
            ]
            for each in pairs
        ],
    )


def _share(part: int, whole: float | None) -> str:
    return percent(part / whole) if whole else NOTHING


def _weak_classes(results: Results, evaluation: Evaluation, grain: Grain) -> Html:
    """Show the classes of the lowest figure with pictures of what went wrong."""
    weakest = weakest_classes(class_figures(evaluation, grain.key), results["train_counts"])
    if not weakest:
        return page.paragraph(grain.no_card)
    cards = [page.element("article", _weak_class(results, evaluation, index, grain), "card") for index in weakest]
    return page.element("div", page.join(cards), "cards wide" if "examples" in evaluation else "cards")


def _weak_class(results: Results, evaluation: Evaluation, index: int, grain: Grain) -> Html:
    names, group = results["classes"], group_of(results["train_counts"][index], results["thresholds"])
    figure, images = class_figures(evaluation, grain.key)[index], evaluation["per_class"]["images"][index]
    said = grain.card.format(figure=percent(figure), images=plural(images or 0, "image"))
    wrong = [each for each in evaluation.get("confusions", []) if each["true"] == index][:3]
    taken_for = ", ".join(f"{names[each['predicted']]} ({each['images']:,})" for each in wrong)
    return page.join(
        [
            page.element("h3", names[index]),
            page.paragraph(f"{said}; {_training_count(results, index, grain)} ({group})."),
            page.paragraph(f"Most often taken for {taken_for}.", "soft") if wrong else Html(),
            *_pictures(results, evaluation, index),
        ]
    )


def _pictures(results: Results, evaluation: Evaluation, index: int) -> list[Html]:
    """Return pictures of a class: small ones of images taken for another, or examples beside what was predicted."""
    mistakes = [each for each in evaluation.get("mistakes", []) if each["true"] == index][:MISTAKES_SHOWN]
    names = results["classes"]
    small = [
        page.image(each["image"], f"{names[each['predicted']]}, {percent(each['confidence'])} sure")
        for each in mistakes
    ]
    found = [page.element("div", page.join(small), "thumbnails")] if small else []
    examples = [each for each in evaluation.get("examples", []) if each["class"] == index][:EXAMPLES_SHOWN]
    for each in examples:
        large = [page.image(each["truth"], f"Truth: {each['name']}"), page.image(each["predicted"], "Predicted")]
        found.append(page.element("div", page.join(large), "examples"))
    return found


def _classes_table(results: Results, evaluation: Evaluation, grain: Grain) -> Html:
    """Show every list per class that there is, class by class."""
    groups = [group_of(count, results["thresholds"]) for count in results["train_counts"]]
    columns = [
        (Head("Class", numeric=False), map(page.name, results["classes"])),
        (Head("Group", numeric=False), map(page.group, groups)),
        (Head(f"Training {grain.nouns}"), map(page.count, results["train_counts"])),
    ]
    if "instance_counts" in results:
        columns.append((Head("Training instances"), map(page.count, results["instance_counts"])))
    split = split_name(evaluation).capitalize()
    heads = {key: (f"{split} {key}", page.count) for key in ("images", "instances", "pixels")}
    heads |= {key: (head, page.fraction) for key, head in grain.columns.items()}
    columns += [
        (Head(head), map(entry, class_figures(evaluation, key)))
        for key, (head, entry) in heads.items()
        if key in evaluation["per_class"]
    ]
    names, entries = zip(*columns, strict=True)
    return page.table(names, zip(*entries, strict=True), sortable=True)


def _facts(results: Results, grain: Grain) -> Html:
    data, hardware, counts = results["data"], results["hardware"], results["train_counts"]
    rate, least, most = results["images_per_second"], min(counts, default=0), max(counts, default=0)
    parts = [("process", "processes", hardware.get("processes")), ("thread", "threads", hardware.get("threads"))]
    machine = [hardware.get("device"), hardware.get("name"), hardware.get("precision")]
    machine += [plural(many, noun, nouns) for noun, nouns, many in parts if many is not None]
    return page.facts(
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
