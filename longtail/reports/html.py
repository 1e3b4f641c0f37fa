"""The page about one run."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from longtail.reports import page, plots
from longtail.reports.difficulty import Snapshot, exceptions, in_words, rarity_correlation, snapshots
from longtail.reports.files import write_atomically
from longtail.reports.page import Cell, Head, Html
from longtail.reports.results import (
    Evaluation,
    Results,
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
    metric_keys,
    number,
    percent,
    plural,
    shorten,
    signed,
    split_name,
)

FILE_NAME = "report.html"

CONFUSIONS_SHOWN = 20
MISTAKES_SHOWN = 6


def write_report(run: Path, output: Path | None = None) -> Path:
    """Write the page about the run in the folder ``run`` and return where it is (by default within the run)."""
    results = load_results(run)
    output = output or run / FILE_NAME
    write_atomically(output, report_page(results))
    return output


def report_page(results: Results) -> str:
    """Return the page about a run."""
    evaluation = final_evaluation(results)
    return page.page(
        f"Run {results['name']}",
        page.paragraph(headline(results), "headline"),
        page.notes(_notes(results)),
        *(_measured(results, evaluation) if evaluation else _not_measured(results)),
        page.section("About the run", _facts(results), page.folded("Configuration", results["config"])),
    )


def headline(results: Results) -> str:
    """Say in plain words how good the run is."""
    evaluation = final_evaluation(results)
    if evaluation is None:
        return f"This run has not been evaluated yet: it is {results['status']}, {_progress(results)}."
    values = evaluation["metrics"]
    few = group_sizes(results["train_counts"], results["thresholds"])["few"]
    limit = group_range("few", results["thresholds"])
    rare = plural(few, "rare class", "rare classes")
    images = plural(evaluation["images"], f"{split_name(evaluation)} image")
    return (
        f"Of {images}, {percent(values.get('top1'))} are "
        f"recognised; with every class counting the same it is {percent(values.get('balanced_accuracy'))}, and "
        + (
            f"on the {rare} ({limit} training images) it is {percent(values.get('few'))}."
            if few
            else f"no class has {limit} training images."
        )
    )


def _measured(results: Results, evaluation: Evaluation) -> list[Html]:
    """Return the sections of a run that has been evaluated."""
    accuracy = evaluation["per_class"]["accuracy"]
    bars = plots.Bars(results["name"], evaluation["metrics"], {})
    ranges = group_ranges(results["thresholds"])
    of = f"Measured on: {evaluation_title(evaluation)}."
    groups = page.figure(
        plots.group_bars([bars], results["train_counts"], results["thresholds"]),
        f"Mean accuracy of the classes in each group ({ranges}), and of all classes. {of}",
    )
    return [
        page.section(
            "Metrics", page.pair(_metrics_table(results), page.join([groups, page.notes(_metrics_notes(results))]))
        ),
        _counts_section(
            results, accuracy, f"Training images of each class on a logarithmic scale, and its accuracy below. {of}"
        ),
        _training_section(results),
        _difficulty_section(results),
        page.section("Most confused pairs", _confusions_table(results, evaluation)),
        page.section("Classes that need help most", _weak_classes(results, evaluation)),
        page.section("Every class", _classes_table(results, evaluation)),
    ]


def _not_measured(results: Results) -> list[Html]:
    """Return the sections of a run without an evaluation."""
    counts = _counts_section(results, None, "Training images of each class on a logarithmic scale.")
    return [_training_section(results), _difficulty_section(results), counts]


def _counts_section(results: Results, accuracy: Sequence[float | None] | None, caption: str) -> Html:
    drawing = plots.class_counts(results["classes"], results["train_counts"], results["thresholds"], accuracy)
    return page.section("Training images and accuracy", page.figure(drawing, caption))


def _training_section(results: Results) -> Html:
    best = results["best_epoch"]
    chosen = f" The best checkpoint is that of epoch {best}." if best is not None else ""
    figures = [
        page.figure(plots.loss_curves(results["history"]), "The training loss and its parts."),
        page.figure(plots.validation_curves(results["history"]), f"Accuracies over the validation images.{chosen}"),
    ]
    return page.section("Training", page.pair(*figures))


def _difficulty_section(results: Results) -> Html:
    """Show whether the rare classes are the hard ones, where the run was validated."""
    found, counts, thresholds = snapshots(results["history"]), results["train_counts"], results["thresholds"]
    if not found:
        return Html()
    last = found[-1]
    correlations = {each.epoch: rarity_correlation(each, counts) for each in found}
    titles = {
        f"epoch {each.epoch:,}, rank correlation {signed(correlations[each.epoch])}": each.difficulty for each in found
    }
    return page.section(
        "Difficulty and frequency",
        page.paragraph(difficulty_sentence(correlations)),
        page.paragraph(_exceptions(results, last)),
        page.figure(
            plots.difficulty_by_count(counts, titles, thresholds),
            "Difficulty of each class, 1 \N{MINUS SIGN} its validation accuracy, against its number of training "
            "images, on a logarithmic scale; the strokes are the mean of each group. The rank correlation is "
            "Spearman's, of difficulty with rarity: 1 where every rarer class is a harder one. A class with few "
            "validation images moves in large steps. Class-wise difficulty after Sinha et al., ACCV 2020.",
        ),
    )


def difficulty_sentence(correlations: Mapping[int, float | None]) -> str:
    """Say in one sentence how far the rare classes are the hard ones, from the correlation at each epoch."""
    *before, (last, now) = correlations.items()
    shown = f" (rank correlation of difficulty with rarity {signed(now)})" if now is not None else ""
    earlier = " and ".join(f"{signed(value)} at epoch {epoch:,}" for epoch, value in before)
    return f"At epoch {last:,} {in_words(now)}{shown}{f'; it was {earlier}' if earlier else ''}."


def _exceptions(results: Results, snapshot: Snapshot) -> str:
    """Name the easy rare classes and the hard frequent ones."""
    found = exceptions(snapshot, results["train_counts"], results["thresholds"])
    if found is None:
        return ""

    def names(chosen: Sequence[int]) -> str:
        return ", ".join(
            f"{shorten(results['classes'][index], 40)} ({plural(results['train_counts'][index], 'training image')}, "
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


def _metrics_table(results: Results) -> Html:
    evaluations = ordered_evaluations(results)
    heads = [Head("", numeric=False), *(Head(evaluation_title(each)) for each in evaluations)]
    images = [Cell("Images"), *(page.count(each["images"]) for each in evaluations)]
    rows = [
        [page.metric_name(key), *(Cell(number(key, each["metrics"].get(key))) for each in evaluations)]
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


def _confusions_table(results: Results, evaluation: Evaluation) -> Html:
    pairs = evaluation["confusions"][:CONFUSIONS_SHOWN]
    if not pairs:
        return page.paragraph("No class was taken for another.")
    heads = [Head("Class", False), Head("Taken for", False), Head("Images"), Head("Share of the class")]
    names, images = results["classes"], evaluation["per_class"]["images"]
    return page.table(
        heads,
        [
            [
                names[each["true"]],
                names[each["predicted"]],
                f"{each['images']:,}",
                _share(each["images"], images[each["true"]]),
            ]
            for each in pairs
        ],
    )


def _share(part: int, whole: int) -> str:
    return percent(part / whole) if whole else NOTHING


def _weak_classes(results: Results, evaluation: Evaluation) -> Html:
    """Show the classes of the lowest accuracy with pictures of their mistakes."""
    weakest = weakest_classes(evaluation["per_class"]["accuracy"], results["train_counts"])
    if not weakest:
        return page.paragraph("Every image that was measured was recognised.")
    cards = [page.element("article", _weak_class(results, evaluation, index), "card") for index in weakest]
    return page.element("div", page.join(cards), "cards")


def _weak_class(results: Results, evaluation: Evaluation, index: int) -> Html:
    names, count = results["classes"], results["train_counts"][index]
    per_class = evaluation["per_class"]
    wrong = [each for each in evaluation["confusions"] if each["true"] == index][:3]
    taken_for = ", ".join(f"{names[each['predicted']]} ({each['images']:,})" for each in wrong)
    mistakes = [each for each in evaluation["mistakes"] if each["true"] == index][:MISTAKES_SHOWN]
    pictures = [
        page.image(each["image"], f"{names[each['predicted']]}, {percent(each['confidence'])} sure")
        for each in mistakes
    ]
    return page.join(
        [
            page.element("h3", names[index]),
            page.paragraph(
                f"{percent(per_class['accuracy'][index])} of {plural(per_class['images'][index], 'image')} recognised; "
                f"{plural(count, 'training image')} ({group_of(count, results['thresholds'])})."
            ),
            page.paragraph(f"Most often taken for {taken_for}.", "soft") if wrong else Html(),
            page.element("div", page.join(pictures), "thumbnails") if pictures else Html(),
        ]
    )


def _classes_table(results: Results, evaluation: Evaluation) -> Html:
    per_class, thresholds = evaluation["per_class"], results["thresholds"]
    heads = [Head("Class", numeric=False), Head("Group", numeric=False), Head("Training images")]
    heads += [Head(f"{split_name(evaluation).capitalize()} images"), Head("Accuracy"), Head("Precision")]
    columns = zip(
        results["classes"],
        results["train_counts"],
        per_class["images"],
        per_class["accuracy"],
        per_class["precision"],
        strict=True,
    )
    rows = (
        [
            page.name(name),
            page.group(group_of(count, thresholds)),
            page.count(count),
            page.count(images),
            page.fraction(accuracy),
            page.fraction(precision),
        ]
        for name, count, images, accuracy, precision in columns
    )
    return page.table(heads, rows, sortable=True)


def _facts(results: Results) -> Html:
    data, hardware, counts = results["data"], results["hardware"], results["train_counts"]
    rate = results["images_per_second"]
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
            (
                "Classes",
                f"{len(counts):,}, with {min(counts, default=0):,} to {max(counts, default=0):,} training images",
            ),
            ("Started", results["started"]),
            ("Time", duration(results["seconds"])),
            ("Epochs", _progress(results)),
            ("Throughput", NOTHING if rate is None else f"{rate:,.1f} images per second"),
            ("Parameters", f"{results['parameters']:,}"),
            ("Hardware", ", ".join(each for each in machine if each) or NOTHING),
            ("Versions", ", ".join(f"{name} {version}" for name, version in results["versions"].items())),
        ]
    )
