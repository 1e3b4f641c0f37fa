"""What sets of classes are worth on the validation images of a run: how large they are, and how often they hold the
true class."""

from collections.abc import Mapping
from typing import TypedDict

from longtail.messages import plural
from longtail.plain import JSON
from longtail.reports.groups import GROUPS
from longtail.reports.lines import Lines
from longtail.reports.wording import NOTHING, percent

MEANINGS = {
    "marginal": "promised over all images",
    "class": "promised for every class",
    "cluster": "promised for clusters of classes",
    "prevalence": "promised over all images, fair to rare classes",
}


class Worth(TypedDict):
    """Of the images of some classes: how many, the mean number of classes in a set, how often the true one is there."""

    images: int
    size: float | None
    covered: float | None


class SetFigures(TypedDict):
    """Sets of a coverage by kind and group ("all", "many", "medium", "few"), and by kind how many classes have too few
    images for it beside a fold, so that they are in every set."""

    coverage: float
    kinds: dict[str, dict[str, Worth]]
    unsure: dict[str, int]


def are_sets(content: JSON) -> bool:
    """Whether that is what is shown of sets; raises KeyError, TypeError or AttributeError where parts are missing."""
    worths = [worth for groups in content["kinds"].values() for worth in groups.values()]
    numbers = [worth[name] for worth in worths for name in ("size", "covered") if worth[name] is not None]
    numbers += [content["coverage"], *(content["unsure"][kind] for kind in content["kinds"])]
    numbers += [groups["all"]["images"] for groups in content["kinds"].values()] + [worth["images"] for worth in worths]
    return bool(content["kinds"]) and all(isinstance(number, int | float) for number in numbers)


def set_lines(figures: SetFigures) -> Lines:
    """Size and coverage of the sets of each kind, of all classes and of the groups that have images."""
    first: Mapping[str, Worth] = next(iter(figures["kinds"].values()))
    groups = [group for group in ("all", *GROUPS) if group in first and first[group]["images"]]
    rows = [
        (
            kind.capitalize(),
            MEANINGS.get(kind, ""),
            [text for group in groups for text in (_size(worth[group]["size"]), percent(worth[group]["covered"]))],
        )
        for kind, worth in figures["kinds"].items()
    ]
    images = [text for group in groups for text in ("", f"{first[group]['images']:,}")]
    heads = [f"{group}, {what}" for group in groups for what in ("size", "covered")]
    return Lines(heads, [*rows, ("Validation images", "", images)])


def set_notes(figures: SetFigures) -> list[str]:
    """Say where the images are too few for the promise."""
    return [
        f"{kind.capitalize()}: {plural(classes, 'class has', 'classes have')} too few validation images for "
        f"{percent(figures['coverage'])} where a fold is left out, and {'is' if classes == 1 else 'are'} in every set."
        for kind, classes in figures["unsure"].items()
        if classes
    ]


def _size(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.1f}"
