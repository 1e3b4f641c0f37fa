"""What the page about a run says class by class."""

from dataclasses import dataclass

from longtail.messages import plural
from longtail.reports import html
from longtail.reports.grains import Grain
from longtail.reports.groups import group_of
from longtail.reports.html import Head, Table
from longtail.reports.results import Evaluation, Example, Mistake, Results, class_figures, weakest_classes
from longtail.reports.wording import NOTHING, clean, fill, percent, split_name

CONFUSIONS_SHOWN = 20
MISTAKES_SHOWN = 6
EXAMPLES_SHOWN = 2


def training_count(results: Results, index: int, grain: Grain) -> str:
    """The training count of a class, with its unit."""
    return plural(results["train_counts"][index], f"training {grain.noun}")


def confusions_table(results: Results, evaluation: Evaluation, grain: Grain) -> Table | None:
    """Return which classes are taken for which, or None where that was not measured."""
    if "confusions" not in evaluation:
        return None
    heads = [Head("Class", False), Head("Taken for", False)]
    heads += [Head(grain.nouns.capitalize()), Head("Share of the class")]
    names, counts = results["classes"], class_figures(evaluation, grain.evaluated)
    rows = [
        [
            names[pair["true"]],
            names[pair["predicted"]],
            f"{pair['images']:,}",
            _share(pair["images"], counts[pair["true"]]),
        ]
        for pair in evaluation["confusions"][:CONFUSIONS_SHOWN]
    ]
    return Table(heads, rows)


def _share(part: int, whole: float | None) -> str:
    return percent(part / whole) if whole else NOTHING


@dataclass(frozen=True)
class WeakClass:
    """A class of a low figure: small pictures of images taken for another with a caption, or examples beside what was
    predicted."""

    name: str
    figures: str
    taken_for: str
    mistakes: list[tuple[str, str]]
    examples: list[Example]


def weak_classes(results: Results, evaluation: Evaluation, grain: Grain) -> list[WeakClass]:
    """Return the classes of the lowest figure, with pictures of what went wrong."""
    weakest = weakest_classes(class_figures(evaluation, grain.key), results["train_counts"])
    return [_weak_class(results, evaluation, index, grain) for index in weakest]


def _weak_class(results: Results, evaluation: Evaluation, index: int, grain: Grain) -> WeakClass:
    names, group = results["classes"], group_of(results["train_counts"][index], results["thresholds"])
    figure, images = class_figures(evaluation, grain.key)[index], evaluation["per_class"]["images"][index]
    words = fill(grain.card, {"figure": percent(figure), "images": plural(images or 0, grain.sample)})
    pairs = [pair for pair in evaluation.get("confusions", []) if pair["true"] == index][:3]
    mistakes = [mistake for mistake in evaluation.get("mistakes", []) if mistake["true"] == index][:MISTAKES_SHOWN]
    examples = [example for example in evaluation.get("examples", []) if example["class"] == index][:EXAMPLES_SHOWN]
    return WeakClass(
        names[index],
        f"{words}; {training_count(results, index, grain)} ({group}).",
        ", ".join(f"{names[pair['predicted']]} ({pair['images']:,})" for pair in pairs),
        [
            (
                mistake["image"],
                f"{_named(mistake)}{names[mistake['predicted']]}, {percent(mistake['confidence'])} sure",
            )
            for mistake in mistakes
        ],
        examples,
    )


def _named(mistake: Mistake) -> str:
    """How the caption of a mistake begins: with the image, where the results name it."""
    return f"{clean(mistake['name'])}: " if "name" in mistake else ""


def classes_table(results: Results, evaluation: Evaluation, grain: Grain) -> Table:
    """Return every list per class that there is, class by class."""
    groups = [group_of(count, results["thresholds"]) for count in results["train_counts"]]
    columns = [
        (Head("Class", numeric=False), map(html.name, results["classes"])),
        (Head("Group", numeric=False), map(html.group, groups)),
        (Head(f"Training {grain.nouns}"), map(html.count, results["train_counts"])),
    ]
    if "label_counts" in results:
        columns.append((Head(f"Training {grain.label_noun}s"), map(html.count, results["label_counts"])))
    split = split_name(evaluation).capitalize()
    heads = {key: (f"{split} {key}", html.count) for key in ("images", "instances", "pixels")}
    heads |= {key: (head, html.fraction) for key, head in grain.columns.items()}
    columns += [
        (Head(head), map(entry, class_figures(evaluation, key)))
        for key, (head, entry) in heads.items()
        if key in evaluation["per_class"]
    ]
    names, entries = zip(*columns, strict=True)
    return Table(names, list(zip(*entries, strict=True)), sortable=True)
