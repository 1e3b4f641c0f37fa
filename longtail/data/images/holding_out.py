"""Holding out validation and test images of a set that has none of its own."""

from collections.abc import Mapping

import numpy as np

from longtail.data.iterative_split import iterative_split
from longtail.data.split import (
    fraction_for_one,
    grouped_fraction_for_one,
    grouped_split,
    groups_of_classes,
    stratified_split,
)
from longtail.data.splits import tell_groups, way_out
from longtail.files.listing import Listing


def hold_out(
    listings: Mapping[str, Listing], fractions: Mapping[str, float], seed: int
) -> tuple[dict[str, Listing], dict[str, str]]:
    """Hold out splits that are not there, as parts of the classes as they are in the whole set, in whole groups where
    the images have any.

    Args:
        listings: "train", and "val" and "test" where they are there.
        fractions: of every class that each split is to have, in the order in which they are drawn; 0 for none.
        seed: see ``stratified_split``.

    Returns:
        The listings, and of each split that leaves a class without images how it would have one, for people.
    """
    train, others, ways_out = listings["train"], {**listings}, {}
    sizes = train.class_counts()
    for name, fraction in fractions.items():
        if name in listings or not fraction:
            continue
        if train.groups is None:
            rest, held_out = stratified_split(train.targets, fraction, seed, sizes)
        else:
            rest, held_out = grouped_split(train.targets, train.groups, fraction, seed, sizes)
            tell_groups(train, rest, held_out, name)
        before, can_give = train, train.class_counts() > 1
        others[name], train = train.subset(held_out), train.subset(rest)
        without = others[name].class_counts() == 0
        if before.groups is not None:
            can_give = groups_of_classes(before.targets, before.groups, len(before.classes)) > 1
        if (without & can_give).any() and before.groups is not None:
            classes = np.flatnonzero(can_give)
            least_of_all = grouped_fraction_for_one(before.targets, before.groups, classes, seed, sizes)
            ways_out[name] = way_out(least_of_all, "groups", name)
        elif (without & can_give).any():
            least = f"--data.{name}_fraction {fraction_for_one(sizes[without & can_give]):g}"
            which = "" if can_give.all() else " that has two or more to give"
            ways_out[name] = f"{least} is the smallest that gives one to every class{which}"
        elif without.any():
            what = "is one of each" if before.groups is None else "is one group of each"
            ways_out[name] = f"no fraction gives them one, as there {what} in all"
    return {**others, "train": train}, ways_out


def hold_out_sets(
    listings: Mapping[str, Listing], fractions: Mapping[str, float], seed: int
) -> tuple[dict[str, Listing], dict[str, str]]:
    """The same of listings of ``LabelSets``, whose images may have several classes; see ``iterative_split``."""
    train, others, ways_out = listings["train"], {**listings}, {}
    sizes = train.class_counts()
    for name, fraction in fractions.items():
        if name in listings or not fraction:
            continue
        rest, held_out = iterative_split(train.targets, fraction, seed, train.groups, sizes)  # type: ignore[arg-type]
        if train.groups is not None:
            tell_groups(train, rest, held_out, name)
        without = train.subset(held_out).class_counts() == 0
        if without.any():
            ways_out[name] = f"an image or group of each is all there is: give {name} images of your own choice"
        others[name], train = train.subset(held_out), train.subset(rest)
    return {**others, "train": train}, ways_out
