"""What the page about a run says class by class."""

from longtail.reports import html
from longtail.reports.grains import Grain
from longtail.reports.html import Head, Html
from longtail.reports.results import (
    Evaluation,
    Results,
    class_figures,
    group_of,
    weakest_classes,
)
from longtail.reports.wording import (
    NOTHING,
    fill,
    percent,
    plural,
    split_name,
)

CONFUSIONS_SHOWN = 20
MISTAKES_SHOWN = 6
EXAMPLES_SHOWN = 2


def training_count(results: Results, index: int, grain: Grain) -> str:
    """The training count of a class, with its unit."""
    return plural(results["train_counts"][index], f"training {grain.noun}")


def confusions_table(results: Results, evaluation: Evaluation, grain: Grain) -> Html:
    """Show which classes are taken for which, or nothing where that was not measured."""
    if "confusions" not in evaluation:
        return Html()
    pairs = evaluation["confusions"][:CONFUSIONS_SHOWN]
    if not pairs:
        return html.paragraph("No class was taken for another.")
    heads = [Head("Class", False), Head("Taken for", False)]
    heads += [Head(grain.nouns.capitalize()), Head("Share of the class")]
    names, counts = results["classes"], class_figures(evaluation, grain.nouns)
    return html.table(
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


def weak_classes(results: Results, evaluation: Evaluation, grain: Grain) -> Html:
    """Show the classes of the lowest figure with pictures of what went wrong."""
    weakest = weakest_classes(class_figures(evaluation, grain.key), results["train_counts"])
    if not weakest:
        return html.paragraph(grain.no_card)
    cards = [html.element("article", _weak_class(results, evaluation, index, grain), "card") for index in weakest]
    return html.element("div", html.join(cards), "cards wide" if "examples" in evaluation else "cards")


def _weak_class(results: Results, evaluation: Evaluation, index: int, grain: Grain) -> Html:
    names, group = results["classes"], group_of(results["train_counts"][index], results["thresholds"])
    figure, images = class_figures(evaluation, grain.key)[index], evaluation["per_class"]["images"][index]
    said = fill(grain.card, {"figure": percent(figure), "images": plural(images or 0, "image")})
    wrong = [each for each in evaluation.get("confusions", []) if each["true"] == index][:3]
    taken_for = ", ".join(f"{names[each['predicted']]} ({each['images']:,})" for each in wrong)
    return html.join(
        [
            html.element("h3", names[index]),
            html.paragraph(f"{said}; {training_count(results, index, grain)} ({group})."),
            html.paragraph(f"Most often taken for {taken_for}.", "soft") if wrong else Html(),
            *_pictures(results, evaluation, index),
        ]
    )


def _pictures(results: Results, evaluation: Evaluation, index: int) -> list[Html]:
    """Return pictures of a class: small ones of images taken for another, or examples beside what was predicted."""
    mistakes = [each for each in evaluation.get("mistakes", []) if each["true"] == index][:MISTAKES_SHOWN]
    names = results["classes"]
    small = [
        html.image(each["image"], f"{names[each['predicted']]}, {percent(each['confidence'])} sure")
        for each in mistakes
    ]
    found = [html.element("div", html.join(small), "thumbnails")] if small else []
    examples = [each for each in evaluation.get("examples", []) if each["class"] == index][:EXAMPLES_SHOWN]
    for each in examples:
        large = [html.image(each["truth"], f"Truth: {each['name']}"), html.image(each["predicted"], "Predicted")]
        found.append(html.element("div", html.join(large), "examples"))
    return found


def classes_table(results: Results, evaluation: Evaluation, grain: Grain) -> Html:
    """Show every list per class that there is, class by class."""
    groups = [group_of(count, results["thresholds"]) for count in results["train_counts"]]
    columns = [
        (Head("Class", numeric=False), map(html.name, results["classes"])),
        (Head("Group", numeric=False), map(html.group, groups)),
        (Head(f"Training {grain.nouns}"), map(html.count, results["train_counts"])),
    ]
    if "instance_counts" in results:
        columns.append((Head("Training instances"), map(html.count, results["instance_counts"])))
    split = split_name(evaluation).capitalize()
    heads = {key: (f"{split} {key}", html.count) for key in ("images", "instances", "pixels")}
    heads |= {key: (head, html.fraction) for key, head in grain.columns.items()}
    columns += [
        (Head(head), map(entry, class_figures(evaluation, key)))
        for key, (head, entry) in heads.items()
        if key in evaluation["per_class"]
    ]
    names, entries = zip(*columns, strict=True)
    return html.table(names, zip(*entries, strict=True), sortable=True)
