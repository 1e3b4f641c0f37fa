"""What is known of a data set before anything is trained on it, and how it is put into words."""

from dataclasses import asdict, dataclass, field

from longtail.messages import SPLITS, escape, plural
from longtail.plain import JSON
from longtail.reports.grains import Grain
from longtail.reports.results import Thresholds
from longtail.reports.wording import group_summary

ENOUGH = 5  # validation images of a class: with fewer, one image moves its figure by more than 20 points
NAMED = 3


@dataclass(frozen=True)
class Copy:
    """A sample of one split that is in another one too, or looks like one of it.

    Attributes:
        split, name: of the sample.
        other_split, other_name: of the one that it is a copy of.
        exact: whether both are equal to the byte.
        classes: those of the two, where a sample has a single one and they differ.
        pictures: of the two, for the page.
    """

    split: str
    name: str
    other_split: str
    other_name: str
    exact: bool
    classes: tuple[str, str] | None = None
    pictures: tuple[str, str] | None = None


@dataclass(frozen=True)
class Overlap:
    """How many samples of a split are in another one too: exactly, or as far as can be seen; and some of them."""

    split: str
    other_split: str
    size: int
    exact: int
    near: int
    copies: list[Copy]


@dataclass(frozen=True)
class Dataset:
    """A data set that was looked at, of C classes.

    Attributes:
        name: as it was given.
        recognised: what it is; empty for a set that was given by its name.
        grain: how its classes are counted.
        classes: (C,) names.
        group_counts: (C,) what the groups of many, medium and few go by.
        group_noun: the noun of that.
        thresholds: of the groups.
        sizes: samples of each split.
        samples: of each split the samples that have each class, (C,).
        way_out: how each class gets a validation sample; empty where all have one, or nothing is known.
        notes: what was said when it was read.
        lines: what is said of it before a training, such as its splits and what was left out.
        overlaps: of the splits; None where copies were not looked for.
        repeats: of each split the samples that are in it before.
        disputed: contents that come with more than one class.
        blank: samples that are too small to be compared by their looks, or black.
        recipe: the one that fits, and why.
        next: the command to type next.
    """

    name: str
    recognised: str
    grain: Grain
    classes: list[str]
    group_counts: list[int]
    group_noun: str
    thresholds: Thresholds
    sizes: dict[str, int]
    samples: dict[str, list[int]]
    way_out: str = ""
    notes: list[str] = field(default_factory=list)
    lines: list[tuple[str, str]] = field(default_factory=list)
    overlaps: list[Overlap] | None = None
    repeats: dict[str, int] = field(default_factory=dict)
    disputed: int = 0
    blank: int = 0
    recipe: str = ""
    next: str = ""

    @property
    def groups(self) -> str:
        """How many classes each group has."""
        return group_summary(self.group_counts, self.thresholds, self.grain, self.group_noun)

    def plain(self) -> dict[str, JSON]:
        """What is known as plain values, without pictures."""
        content = asdict(self) | {"grain": self.grain.samples}
        for overlap in content["overlaps"] or []:
            for copy in overlap["copies"]:
                del copy["pictures"]
        return content


def validation_words(dataset: Dataset) -> str:
    """Say how few validation samples the classes have, and how each gets one."""
    noun = dataset.grain.sample
    if "val" not in dataset.samples:
        return f"no validation {noun}s: no class can be measured, and no epoch chosen"
    counts = dataset.samples["val"]
    few = sorted(
        (c for c, count in enumerate(counts) if count < ENOUGH), key=lambda c: (counts[c], dataset.group_counts[c])
    )
    if not few:
        return f"every class has {ENOUGH} {noun}s or more"
    named = ", ".join(f"{escape(dataset.classes[c])} ({counts[c]})" for c in few[:NAMED])
    more = f" and {len(few) - NAMED} more" if len(few) > NAMED else ""
    text = f"{len(few)} of {len(counts)} classes have fewer than {ENOUGH} {noun}s: {named}{more}"
    return f"{text}; {dataset.way_out}" if dataset.way_out else text


def duplicate_words(dataset: Dataset) -> str:
    """Say how many samples come more than once, across the splits and within them."""
    noun = dataset.grain.sample
    if dataset.overlaps is None:
        return "not looked for"
    parts = [_overlap_words(overlap, noun) for overlap in dataset.overlaps if overlap.copies]
    parts += [
        f"{plural(count, 'exact copy', 'exact copies')} within the {SPLITS[split]} {noun}s"
        for split, count in dataset.repeats.items()
        if count
    ]
    if dataset.disputed:
        parts.append(f"{plural(dataset.disputed, 'content')} under several classes")
    alike = "" if dataset.blank else ", and none looks like one of another split"
    parts = parts or [f"no {noun} comes twice{alike}"]
    if dataset.blank:
        parts.append(f"{plural(dataset.blank, noun)} too small or black, and not compared by their looks")
    return "; ".join(parts)


def _overlap_words(overlap: Overlap, noun: str) -> str:
    counts = " and ".join(
        f"{count:,} {kind}" for count, kind in ((overlap.exact, "exact"), (overlap.near, "near")) if count
    )
    copies = "copy" if overlap.exact + overlap.near == 1 else "copies"
    where = f"of {SPLITS[overlap.other_split]} {noun}s among the {overlap.size:,} {SPLITS[overlap.split]} {noun}s"
    first = overlap.copies[0]
    return f"{counts} {copies} {where}, such as {escape(first.name)} of {escape(first.other_name)}"
