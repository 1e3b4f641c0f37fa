"""Holding out validation and test images of a set that has none of its own."""

from collections.abc import Mapping

from longtail.data.split import fraction_for_one, grouped_split, stratified_split
from longtail.data.splits import tell_groups
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
            kept, held_out = stratified_split(train.targets, fraction, seed, sizes)
        else:
            kept, held_out = grouped_split(train.targets, train.groups, fraction, seed, sizes)
            tell_groups(train, kept, held_out, name)
        can_give = train.class_counts() > 1
        others[name], train = train.subset(held_out), train.subset(kept)
        if train.groups is not None:
            continue  # what a class can give depends on its groups
        without = others[name].class_counts() == 0
        if (without & can_give).any():
            least = f"--data.{name}_fraction {fraction_for_one(sizes[without & can_give]):g}"
            which = "" if can_give.all() else " that has two or more to give"
            ways_out[name] = f"{least} is the smallest that gives one to every class{which}"
        elif without.any():
            ways_out[name] = "no fraction gives them one, as there is one of each in all"
    return {**others, "train": train}, ways_out
