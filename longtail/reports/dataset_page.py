"""The page about a data set."""

from collections.abc import Sequence
from dataclasses import dataclass

from longtail.messages import SPLITS, plural
from longtail.reports import html
from longtail.reports.dataset import Copy, Dataset, duplicate_words, validation_words
from longtail.reports.groups import group_of
from longtail.reports.html import Head, Table
from longtail.reports.plots.classes import class_counts
from longtail.reports.wording import group_ranges


@dataclass(frozen=True)
class Examples:
    """A class: its name, how much there is of it, and pictures."""

    name: str
    about: str
    pictures: Sequence[str]


def dataset_page(dataset: Dataset, examples: Sequence[Sequence[str]]) -> str:
    """Return the page about a set.

    Args:
        dataset: the set.
        examples: of each class pictures, as data URIs.
    """
    about = [*dataset.lines, ("groups", dataset.groups), ("validation", validation_words(dataset))]
    about += [("duplicates", duplicate_words(dataset)), ("recipe", dataset.recipe)]
    return html.page(
        "data.html",
        title=f"Data {dataset.name}",
        recognised=dataset.recognised,
        remarks=dataset.notes,
        about=[(name.capitalize(), text) for name, text in about],
        next=dataset.next,
        counts=class_counts(dataset.classes, dataset.group_counts, dataset.thresholds, grain=dataset.grain),
        counted=f"{dataset.group_noun}s",
        ranges=group_ranges(dataset.thresholds, dataset.grain),
        copies=[_copy(copy) for overlap in dataset.overlaps or [] for copy in overlap.copies],
        classes_table=_classes_table(dataset),
        examples=_examples(dataset, examples),
    )


def _copy(copy: Copy) -> tuple[str, tuple[str, str]]:
    """What is said of a copy, and the two pictures."""
    words = "equal to the byte" if copy.exact else "alike"
    names = f"{copy.name} ({SPLITS[copy.split]}) and {copy.other_name} ({SPLITS[copy.other_split]}): {words}"
    classes = "" if copy.classes is None else f", but {copy.classes[0]} and {copy.classes[1]}"
    return f"{names}{classes}", copy.pictures or ("", "")


def _classes_table(dataset: Dataset) -> Table:
    """Return the classes with what each split has of them."""
    noun = dataset.grain.samples
    heads = [Head("Class", False), Head("Group", False)]
    groups = [group_of(count, dataset.thresholds) for count in dataset.group_counts]
    columns = [map(html.name, dataset.classes), map(html.group, groups)]
    if dataset.group_counts != dataset.samples["train"]:
        heads.append(Head(f"Training {dataset.group_noun}s"))
        columns.append(map(html.count, dataset.group_counts))
    for split, counts in dataset.samples.items():
        heads.append(Head(f"{SPLITS[split].capitalize()} {noun}"))
        columns.append(map(html.count, counts))
    return Table(heads, list(zip(*columns, strict=True)), sortable=True)


def _examples(dataset: Dataset, examples: Sequence[Sequence[str]]) -> list[Examples]:
    """Return the classes with pictures, the most frequent first."""
    order = sorted(range(len(examples)), key=lambda index: -dataset.group_counts[index])
    counts = [plural(count, f"training {dataset.group_noun}") for count in dataset.group_counts]
    return [Examples(dataset.classes[c], f"{counts[c]}.", examples[c]) for c in order]
