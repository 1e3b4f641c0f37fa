"""The images of a run, as they are found in its set again."""

from collections.abc import Callable, Mapping

from longtail.data.record import Recall, SplitFiles
from longtail.files.listing import Listing


def listings_of_run(
    listings: Mapping[str, Listing], recall: Recall, files: Callable[[str, Listing, list[str]], SplitFiles]
) -> dict[str, Listing]:
    """The listings of a run: its files that are as they were, each in its split.

    Args:
        listings: the set as it is now.
        recall: the splits of the run.
        files: those of a split, its listing and the classes of the run, for the record.
    """
    classes = recall.record.trained.classes
    rows = recall.rows({name: files(name, listing, classes) for name, listing in listings.items()})
    return {
        name: listings[name if name in listings else "train"].subset(of_split).among(classes)
        for name, of_split in rows.items()
    }
