"""What refusing images that fit no class is worth: how many known ones it costs, and how many others it finds."""

from typing import TypedDict

from longtail.plain import JSON
from longtail.reports.groups import GROUPS
from longtail.reports.lines import Lines
from longtail.reports.wording import NOTHING, percent

OUTSIDERS = "outsiders"


class Refused(TypedDict):
    """Of some images: how many, the share that is refused, and how well the score tells outsiders from them."""

    images: int
    refused: float | None
    auroc: float | None
    fpr95: float | None


class RejectionFigures(TypedDict):
    """By score and group ("all", "many", "medium", "few", "outsiders"), where this share of known images may be
    refused."""

    rate: float
    scores: dict[str, dict[str, Refused]]


def are_refused(content: JSON) -> bool:
    """Whether that is what is shown of them; raises KeyError, TypeError or AttributeError where parts are missing."""
    groups = [group for groups in content["scores"].values() for group in groups.values()]
    values = [group[name] for group in groups for name in ("refused", "auroc", "fpr95")]
    numbers = [content["rate"], *(group["images"] for group in groups), *(v for v in values if v is not None)]
    numbers += [groups["all"]["images"] for groups in content["scores"].values()]
    return bool(content["scores"]) and all(isinstance(number, int | float) for number in numbers)


def rejection_notes(figures: RejectionFigures) -> list[str]:
    """What is to be noted below the figures."""
    if all(groups["all"]["refused"] is not None for groups in figures["scores"].values()):
        return []
    rate = percent(figures["rate"])
    return [f"There are too few validation images to refuse {rate} of them where a fold is left out."]


def rejection_lines(figures: RejectionFigures) -> Lines:
    """The figures of each score, of all classes, of the groups that have images, and of the outsiders."""
    first = next(iter(figures["scores"].values()))
    groups = [group for group in ("all", *GROUPS, OUTSIDERS) if group in first and first[group]["images"]]
    rows = []
    for score, by_group in figures["scores"].items():
        columns = [by_group[group] for group in groups]
        rows.append((f"Refused by {score}", "", [percent(group["refused"]) for group in columns]))
        if OUTSIDERS in groups:
            auroc = [NOTHING if group["auroc"] is None else f"{group['auroc']:.3f}" for group in columns]
            rates = [percent(group["fpr95"]) for group in columns]
            rows.append((f"AUROC of {score}", "of outsiders against known images; 0.5 is chance", auroc))
            rows.append((f"FPR of {score}", "outsiders kept where 95 % of the known images are", rates))
    return Lines(groups, [*rows, ("Images", "", [f"{first[group]['images']:,}" for group in groups])])
