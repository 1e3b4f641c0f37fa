"""The images of a run, as they are found in its set again."""

from collections.abc import Callable, Mapping

import numpy as np

from longtail.data.record import Recall, SplitFiles
from longtail.files.listing import IntArray, Listing


def listings_of_run(
    listings: Mapping[str, Listing], recall: Recall, files: Callable[[str, Listing, IntArray], SplitFiles]
) -> dict[str, Listing]:
    """The listings of a run: its files that are as they were, each in its split.

    Args:
        listings: the set as it is now.
        recall: the splits of the run.
        files: those of a split, its listing and their labels, for the record.
    """
    classes = recall.record.trained.classes
    places = {name: c for c, name in enumerate(classes)}
    labels = {
        name: np.array([places.get(c, -1) for c in listing.classes], dtype=np.int64)[listing.targets]
        for name, listing in listings.items()
    }
    rows = recall.rows({name: files(name, listing, labels[name]) for name, listing in listings.items()})
    kept = {}
    for name, of_split in rows.items():
        now = name if name in listings else "train"
        its = listings[now]
        paths = [its.paths[row] for row in of_split.tolist()]
        kept[name] = Listing(paths, labels[now][of_split], classes, home=its.home)
    return kept
