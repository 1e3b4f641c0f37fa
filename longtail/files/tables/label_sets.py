"""A set whose images have several classes or none, as a listing."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longtail.errors import InputError
from longtail.files.listing import Listing
from longtail.files.tables.labels import Rows, indices_among, own_indices
from longtail.files.texts import Block
from longtail.messages import escape, plural, some

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class LabelSets(Listing):
    """The images of a data set, one row each, with the classes of each.

    Attributes:
        paths: M paths of image files.
        targets: (M, C) bool, whether an image has a class.
        classes: the C class names; a class may be without rows.
        groups: see ``Listing``.
        home: see ``Listing``.

    Raises:
        ValueError: the lengths differ.
    """

    targets: NDArray[np.bool_]  # type: ignore[assignment]  # what a row has is read by the methods below

    def _check_targets(self) -> None:
        shape = (len(self.paths), len(self.classes))
        if self.targets.shape != shape or self.targets.dtype != np.bool_:
            raise ValueError(f"targets must be bool of shape {shape}, a row for every path")

    def class_counts(self) -> NDArray[np.int64]:
        """(C,) int64, the number of rows that have each class."""
        counts: NDArray[np.int64] = self.targets.sum(0, dtype=np.int64)
        return counts

    def codes(self, classes: Sequence[str]) -> NDArray[np.int64]:
        """(M,) int64, a checksum of the classes of each row by their places among others; -1 where it has one that is
        not among these."""
        known, its = self._by(classes)
        unknown = self.targets[:, ~known].any(1)
        sums = np.array([zlib.crc32(row.tobytes()) for row in np.packbits(its, axis=1)], dtype=np.int64)
        return np.where(unknown, -1, sums)

    def among(self, classes: list[str]) -> LabelSets:
        """The rows with other classes; what is not among these is left out."""
        return LabelSets(self.paths, self._by(classes)[1], classes, self.groups, self.home)

    def _by(self, classes: Sequence[str]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which of the classes (C,) are among others, and what the rows have of those (M, number of the others)."""
        places = {name: i for i, name in enumerate(classes)}
        at = np.array([places.get(name, -1) for name in self.classes], dtype=np.int64)
        its = np.zeros((len(self), len(classes)), dtype=np.bool_)
        its[:, at[at >= 0]] = self.targets[:, at >= 0]
        return at >= 0, its


def label_sets(rows: Rows, paths: Sequence[str], classes: Sequence[str] | None) -> LabelSets:
    """Rows of an image and one of its classes as a listing; a row without a class says that the image is there.

    Args:
        rows: as they were read; an image may have any number of them.
        paths: where the image of each row lies.
        classes: the class names in order, such as those of the training images; by default those of the rows.

    Raises:
        InputError: no image has a class, all have the same one, rows of an image are of different groups, or there is
            a class that is not among those given. Where the file itself lists all classes, as that of a tool, those
            are left out and counted.
    """
    labelled = [i for i, label in enumerate(rows.labels) if label]
    if rows.classes is not None and classes is not None:
        labelled = _known(rows, labelled, set(classes))
    if not labelled and classes is None:
        raise InputError(f"{escape(rows.file)}: no image has a class; fill in the labels")
    named = rows.subset(labelled)
    if labelled:
        targets, names = own_indices(named) if classes is None else indices_among(named, classes)
    else:
        targets, names = np.zeros(0, dtype=np.int64), list(classes or ())
    places: dict[str, int] = {}
    images = np.array([places.setdefault(path, len(places)) for path in paths], dtype=np.int64)
    table = np.zeros((len(places), len(names)), dtype=np.bool_)
    table[images[labelled], targets] = True
    return LabelSets(Block.of(places), table, names, _groups(rows, paths), rows.home)


def _groups(rows: Rows, paths: Sequence[str]) -> list[str] | None:
    """The group of each image, which is that of all its rows."""
    first: dict[str, int] = {}
    for i, group in enumerate(rows.groups):
        if (before := rows.groups[first.setdefault(paths[i], i)]) != group:
            line = f"{rows.unit} {rows.numbers[first[paths[i]]]}"
            problem = f"the group of {escape(rows.paths[i])} is {escape(group)}, and {escape(before)} in {line}"
            raise rows.error(i, f"{problem}; give all rows of it the same one")
    return [rows.groups[i] for i in first.values()] or None


def _known(rows: Rows, labelled: list[int], classes: set[str]) -> list[int]:
    """The labels that are among some classes; how many are not is told."""
    known = [i for i in labelled if rows.labels[i] in classes]
    if lost := sorted({rows.labels[i] for i in labelled} - classes):
        labels, names = plural(len(labelled) - len(known), "label"), plural(len(lost), "class", "classes")
        logger.info(f"{escape(rows.file)}: left out {labels} of {names} that training lacks: {some(lost)}")
    return known
