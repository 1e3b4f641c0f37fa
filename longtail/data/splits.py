"""A data set as it was read: its splits, and what is said of them."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from longtail.data.sampling import Labels
from longtail.data.split import classes_without, random_fraction_for_one, random_split
from longtail.files.listing import IntArray, Listing
from longtail.messages import plural, some
from longtail.plain import Input

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Split:
    """One split of a data set: what fetches its images, and their labels (M,).

    ``owners`` (M,) is the image row of each label where an image carries several or none, as in detection, and
    ``size`` then the number of images; otherwise label i is of image i.
    """

    images: Dataset[Any]  # the samples differ from grain to grain
    targets: IntArray
    owners: IntArray | None = None
    size: int | None = None

    def __len__(self) -> int:
        return len(self.targets) if self.size is None else self.size

    def class_sizes(self, classes: int) -> list[int]:
        """Images that have each of so many classes."""
        labels = self.targets
        if self.owners is not None:
            labels = np.unique(self.owners * classes + self.targets) % classes
        sizes: list[int] = np.bincount(labels, minlength=classes).tolist()
        return sizes

    def table(self, classes: int) -> NDArray[np.bool_]:
        """Whether each image has each of so many classes: bool (len, classes)."""
        table = np.zeros((len(self), classes), dtype=np.bool_)
        table[np.arange(len(self)) if self.owners is None else self.owners, self.targets] = True
        return table

    @property
    def labels(self) -> Labels:
        """The labels as a sampler takes them."""
        owners = None if self.owners is None else torch.from_numpy(self.owners)
        return Labels(torch.from_numpy(self.targets), owners, len(self))


@dataclass(frozen=True)
class Splits:
    """A data set as it was read. ``val`` and ``test`` are None where the set has none."""

    classes: list[str]
    train: Split
    val: Split | None
    test: Split | None

    @classmethod
    def of(cls, classes: list[str], parts: Mapping[str, Split]) -> "Splits":
        """A set of "train" and, as far as they are there, "val" and "test"."""
        return cls(classes, parts["train"], parts.get("val"), parts.get("test"))


def tell_untrained(splits: Splits, noun: str) -> None:
    """Say which classes have no training label, where a set may have such, and where else they have any; ``noun`` is
    what carries the labels."""
    if without := classes_without(splits.train.targets, len(splits.classes)):
        others = {name: split.targets for name, split in (("val", splits.val), ("test", splits.test)) if split}
        places = {c: " and ".join(name for name, labels in others.items() if c in labels) for c in without}
        names = some([f"{splits.classes[c]}{f' (in {places[c]} alone)' if places[c] else ''}" for c in without])
        logger.info(
            f"{len(without)} of {len(splits.classes)} classes have no training {noun} and will not be found: {names}"
        )


def hold_out_images(
    count: int, labels: tuple[IntArray, IntArray], fraction: float, seed: int, groups: Sequence[str] | None
) -> tuple[IntArray, IntArray, str]:
    """Hold out images for validation that carry several labels or none, whatever these are.

    Args:
        count: of the images.
        labels: (M,) each, and the row of the image that has it.
        fraction: of the images, see ``random_split``.
        seed: as there.
        groups: of each image, those of one are kept together; None for none.

    Returns:
        Rows for training and for validation, and how every class has one of the latter, for people.
    """
    least = random_fraction_for_one(*labels, count, seed, groups)
    rest, held_out = random_split(count, fraction, seed, groups)
    if groups is not None:
        _tell_sides(groups, rest, held_out, "val")
    return rest, held_out, way_out(least, "images" if groups is None else "groups")


def tell_groups(listing: Listing, rest: IntArray, held_out: IntArray, name: str) -> None:
    """Say how many groups were held out for a split, and of which classes another part than of the whole."""
    assert listing.groups is not None
    counts = listing.class_counts()
    shares = listing.subset(held_out).class_counts() / np.maximum(counts, 1)
    part = len(held_out) / max(len(listing), 1)
    odd = [c for c in np.flatnonzero(counts) if abs(shares[c] - part) > max(0.1, 1 / counts[c])]
    words = f": other parts are held out of {some([f'{listing.classes[c]} ({shares[c]:.0%})' for c in odd])}"
    _tell_sides(listing.groups, rest, held_out, name, words if odd else "")


def _tell_sides(groups: Sequence[str], rest: IntArray, held_out: IntArray, name: str, more: str = "") -> None:
    sides = [len({groups[row] for row in rows.tolist()}) for rows in (rest, held_out)]
    part = len(held_out) / max(len(groups), 1)
    logger.info(
        f"{name}: {plural(len(held_out), 'image')} of {plural(sides[1], 'group')}, {part:.0%}; "
        f"{plural(sides[0], 'group')} kept{more}"
    )


def depth_input(bit_depth: int | None) -> Input:
    """What the record says of the bits that count in an image of 16: nothing where each file has the word."""
    return {} if bit_depth is None else {"bit_depth": bit_depth}


def way_out(fraction: float | None, owners: str, split: str = "val") -> str:
    """How every class that several ``owners`` have gets an image of a split."""
    if fraction is None:
        return f"no fraction up to a half gives them one: give {split} images of your own choice"
    return (
        f"--data.{split}_fraction {fraction:g} is the smallest that gives one to every class that several {owners} have"
    )


def tell_unmeasured(splits: Splits, noun: str, ways_out: Mapping[str, str] | None = None) -> None:
    """Say which classes cannot be measured; ``noun`` is what carries the labels, and ``ways_out`` says of a split that
    was held out how they could be."""
    for name, split in (("val", splits.val), ("test", splits.test)):
        if split is not None and (without := classes_without(split.targets, len(splits.classes))):
            names = some([splits.classes[c] for c in without])
            way_out = f"; {ways_out[name]}" if ways_out and name in ways_out else ""
            logger.info(f"{len(without)} of {len(splits.classes)} classes have no {name} {noun}: {names}{way_out}")
