"""What a file says of images, as a listing: each image once, where it lies, with its class."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from longtail.errors import InputError
from longtail.files.images.folder import IMAGES, Kind
from longtail.files.images.passed_over import PassedOver, Why
from longtail.files.listing import Listing
from longtail.files.tables.columns import SEVERAL, Columns
from longtail.files.tables.label_sets import label_sets
from longtail.files.tables.labels import Rows, indices_among, own_indices
from longtail.files.tables.places import find_files
from longtail.files.texts import Block, all_but, repeated
from longtail.messages import escape, some

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reading:
    """How files about images are read.

    Attributes:
        kind: what they are about.
        columns: what is known of those of a table.
        skip: leave out rows without an image, without a class or with several, and count them; otherwise they are an
            error, but for rows without a class in the files of tools. None where that cannot be chosen.
        passed_over: counts what is left out.
        configuration: which one of a set that has several, by its name; None for the default.
    """

    kind: Kind = IMAGES
    columns: Columns = field(default_factory=Columns)
    skip: bool | None = False
    passed_over: PassedOver = field(default_factory=PassedOver)
    configuration: str | None = None

    @property
    def way_out(self) -> str:
        """How a message about a row goes on."""
        return "" if self.skip is None else f", or leave such rows out by --skip-bad-{self.kind.noun}s"


def listing_of(
    rows: Rows,
    folders: Sequence[str],
    classes: Sequence[str] | None = None,
    reading: Reading | None = None,
    split: str | None = None,
) -> Listing:
    """The rows as a listing; one of ``LabelSets`` where an image may have several classes.

    Args:
        rows: the images and their classes.
        folders: those that the paths may start from, see ``find_files``.
        classes: the class names in order, such as those of the training images; by default those of the rows.
        reading: how to read.
        split: the split of the rows, where it is known.

    Raises:
        InputError: something cannot be used; the message names the row.
    """
    reading = reading or Reading()
    if not rows.paths:
        raise InputError(f"{escape(rows.file)}: the table is empty; add a row for every {reading.kind.noun}")
    rows, several = _with_path(rows, reading), reading.columns.several
    if not several:
        _tell_bars(rows)
        rows = _labelled(rows, reading)
    rows, paths = _placed(rows, folders if rows.home is None else [str(rows.home), *folders], reading, split)
    if several:
        return label_sets(rows, paths, classes)
    rows, paths = _single(rows, paths, reading)
    targets, names = own_indices(rows) if classes is None else indices_among(rows, classes)
    return Listing(paths, targets, names, rows.groups or None, rows.home)


def _tell_bars(rows: Rows) -> None:
    """Say that labels look like several in one."""
    barred = [label for label in dict.fromkeys(rows.labels) if "|" in label]
    if barred:
        logger.info(f"{escape(rows.file)}: labels such as {escape(barred[0])} are taken for one class each; {SEVERAL}")


def listings_of(
    parts: Mapping[str, Rows],
    folders: Sequence[str],
    reading: Reading,
    classes: Sequence[str] | None = None,
) -> dict[str, Listing]:
    """The rows of the files of a set as a listing for each split, with the classes of the training images.

    Args:
        parts: the rows of each file by its split, which is "all" where the rows say it themselves or nothing does.
        folders: as in ``listing_of``; the folder of each file goes before them.
        reading: how to read.
        classes: as in ``listing_of``.

    Raises:
        InputError: as ``listing_of``, there is nothing to train on, or an image of several rows is of two splits.
    """
    divided: dict[str, Rows] = {}
    for split, rows in parts.items():
        if not rows.splits:
            divided[split] = rows
            continue
        for name in ("train", "val", "test"):
            if own := [i for i, its in enumerate(rows.splits) if its == name]:
                divided[name] = rows.subset(own)
    if classes is None and not divided.keys() & {"train", "all"}:
        names = some([rows.file for rows in parts.values()])
        raise InputError(f"{names}: there are {some(list(divided))} {reading.kind.noun}s, and none to train on")
    listings: dict[str, Listing] = {}
    for split in ("train", "all", "val", "test"):
        if split in divided:
            rows = divided[split]
            places = list(dict.fromkeys([str(rows.file.parent), *folders]))
            listings[split] = listing_of(rows, places, classes, reading, None if split == "all" else split)
            classes = listings[split].classes
    if reading.columns.several:
        for rows in parts.values():
            if rows.splits:
                _check_splits(rows, listings)
    return listings


def _check_splits(rows: Rows, listings: Mapping[str, Listing]) -> None:
    """Make sure that no image has rows of two splits; it would be trained on and measured."""
    splits: dict[str, str] = {}
    for name, listing in listings.items():
        for path in listing.paths:
            if (before := splits.setdefault(path, name)) != name:
                problem = f"rows of {escape(path)} are of {before} and of {name}"
                raise InputError(f"{escape(rows.file)}: {problem}; give all the same split")


def _with_path(rows: Rows, reading: Reading) -> Rows:
    """Rows that name an image, or had one in them."""
    bare = Block.of(rows.paths).blank()
    if not len(bare):
        return rows
    noun = reading.kind.noun
    if not reading.skip:
        problem = "the path is empty" if rows.home is None else f"there is no {noun}"
        raise rows.error(int(bare[0]), f"{problem}; fill it in or remove the row{reading.way_out}")
    if len(bare) == len(rows.paths):
        raise InputError(f"{escape(rows.file)}: no row has {noun}s")
    words = f"of {escape(rows.file.name)} without {noun}"
    reading.passed_over.leave_out(len(bare), "row", words, Why.GONE)
    return rows.subset(all_but(bare, len(rows.paths)).tolist())


def _labelled(rows: Rows, reading: Reading) -> Rows:
    """Rows that have a class."""
    if all(rows.labels):
        return rows
    bare = {i for i, label in enumerate(rows.labels) if not label}
    if not (rows.several or reading.skip):
        raise rows.error(min(bare), f"the label is empty; fill it in or remove the row{reading.way_out}")
    if len(bare) == len(rows.labels):
        raise InputError(f"{escape(rows.file)}: no {reading.kind.noun} has a class")
    why = Why.OTHER if rows.several else Why.FAULTY
    reading.passed_over.leave_out(len(bare), reading.kind.noun, f"without a class in {escape(rows.file.name)}", why)
    return rows.subset([i for i in range(len(rows.labels)) if i not in bare])


def _placed(rows: Rows, folders: Sequence[str], reading: Reading, split: str | None) -> tuple[Rows, Block]:
    """Rows whose image is there, and the path of each."""
    paths = find_files(rows, folders, reading.kind, split)
    missing = paths.blank().tolist()
    if missing and (not reading.skip or len(missing) == len(paths)):
        first = folders[0] if len(folders) == 1 else folders[-1]
        names = some([f"{first}/{rows.paths[i]}" for i in missing])
        way_out = f"correct the paths, which start from {escape(first)}, or give another root"
        raise rows.error(missing[0], f"no such file: {names}; {way_out}{reading.way_out}")
    if missing:
        words = f"of {escape(rows.file.name)} without {reading.kind.noun}"
        reading.passed_over.leave_out(len(missing), "row", words, Why.GONE)
        there = all_but(missing, len(paths))
        rows, paths = rows.subset(there.tolist()), paths.take(there)
    return rows, paths


def _single(rows: Rows, paths: Block, reading: Reading) -> tuple[Rows, Block]:
    """Rows of which each is another image."""
    again = repeated(paths)
    if not again:
        return rows, paths
    of_path: dict[str, list[int]] = defaultdict(list)
    for i in again:
        of_path[paths[i]].append(i)
    several = 0
    rest = all_but(again, len(paths)).tolist()
    for same in of_path.values():
        labels = list(dict.fromkeys(rows.labels[i] for i in same))
        if not (rows.several or reading.skip):
            first, second = same[:2]
            other = f"{rows.unit} {rows.numbers[first]}"
            raise rows.error(second, f"path {escape(rows.paths[second])} is also in {other}; remove one of the two")
        if len(labels) == 1:
            rest.append(same[0])
        elif reading.skip:
            several += 1
        else:
            words = f"{escape(rows.paths[same[0]])} has several classes, {some(labels)}; each needs one"
            raise rows.error(same[0], f"{words}: {SEVERAL}, or correct it{reading.way_out}")
    if not rest:
        raise InputError(f"{escape(rows.file)}: each {reading.kind.noun} has several classes; {SEVERAL}")
    if several:
        words = f"of several classes in {escape(rows.file.name)}"
        reading.passed_over.leave_out(several, reading.kind.noun, words, Why.FAULTY)
    rest.sort()
    return rows.subset(rest), paths.take(np.array(rest, dtype=np.int64))
