"""A data set as rows of (path, class), and what its two readers, folders and tables, share."""

# ruff: noqa: PTH112, PTH118, PTH119 - paths are plain strings: objects are slow in their thousands

from __future__ import annotations

import os
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longtail.errors import InputError
from longtail.files.texts import Block, at_rows
from longtail.messages import escape, some

IntArray = np.ndarray[Any, np.dtype[np.int64]]
IntegerArray = NDArray[np.integer[Any]]  # of any width


@dataclass(frozen=True, eq=False)
class Listing:
    """The images of a data set, one row each.

    Attributes:
        paths: M paths of image files.
        targets: (M,) int64, the class index of every row, in 0..C-1.
        classes: the C class names; a class may be without rows.
        groups: what each row belongs to that must not lie on both sides of a split, such as a patient; None where
            rows are on their own, as one with an empty group is.
        home: the folder that the images were unpacked into, or of the shards that have them, where they are no files of
            the set itself.

    Raises:
        ValueError: the lengths differ, or a target is not an index of ``classes``.
    """

    paths: Sequence[str]
    targets: NDArray[np.int64]
    classes: list[str]
    groups: Sequence[str] | None = None
    home: Path | None = None

    def __post_init__(self) -> None:
        if self.groups is not None and len(self.groups) != len(self.paths):
            raise ValueError(f"there must be a group for each of {len(self.paths)} paths")
        self._check_targets()

    def _check_targets(self) -> None:
        if self.targets.shape != (len(self.paths),) or self.targets.dtype != np.int64:
            raise ValueError(f"targets must be int64 of shape ({len(self.paths)},), one for every path")
        if len(self) and not 0 <= self.targets.min() <= self.targets.max() < len(self.classes):
            raise ValueError(f"targets must lie in 0..{len(self.classes) - 1}")

    def __len__(self) -> int:
        return len(self.paths)

    def subset(self, indices: NDArray[np.int64]) -> Listing:
        """The rows at ``indices`` (any number of int64, in that order), with the same classes."""
        groups = None if self.groups is None else at_rows(self.groups, indices)
        return replace(self, paths=at_rows(self.paths, indices), targets=self.targets[indices], groups=groups)

    def class_counts(self) -> NDArray[np.int64]:
        """(C,) int64, the number of rows of every class."""
        return np.bincount(self.targets, minlength=len(self.classes)).astype(np.int64)

    def codes(self, classes: Sequence[str]) -> NDArray[np.int64]:
        """(M,) int64, a number of what each row is labelled with, by other classes: here the index of its class among
        them; -1 where it has one that is not."""
        places = {name: i for i, name in enumerate(classes)}
        return np.array([places.get(name, -1) for name in self.classes], dtype=np.int64)[self.targets]

    def among(self, classes: list[str]) -> Listing:
        """The rows with other classes, among which theirs are."""
        return replace(self, targets=self.codes(classes), classes=classes)


def in_class_order(names: Sequence[str]) -> list[str]:
    """Class names sorted: by value where all are whole numbers (2 before 10), as text otherwise."""
    if all(name.isascii() and name.isdigit() for name in names):
        return sorted(names, key=lambda name: (len(name.lstrip("0")), name.lstrip("0"), name))
    return sorted(names)


def class_rows(source: object, names: Sequence[str], classes: Sequence[str]) -> NDArray[np.int64]:
    """The index in ``classes`` of every one of ``names``, which may come in another order and lack some.

    Raises:
        InputError: ``source`` has names that are not among the classes.
    """
    places = {name: i for i, name in enumerate(classes)}
    if unknown := in_class_order(list(dict.fromkeys(name for name in names if name not in places))):
        raise InputError(
            f"{escape(source)} has classes that training lacks: {some(unknown, 10)}; its {len(classes)} classes are "
            f"{some(classes, 10)}"
        )
    return np.array([places[name] for name in names], dtype=np.int64)


def named_in(line: str, names: Container[str]) -> str:
    """The name in a line of a list: its first word where that alone is one, as lists of Pascal VOC may have a number
    behind it; else all of it."""
    whole = line.strip()
    first = whole.split()[0]
    return first if first in names and whole not in names else whole


@contextmanager
def reading(folder: str) -> Iterator[None]:
    """Turns the system's refusal to read ``folder`` into an ``InputError``."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{escape(folder)}: cannot read the folder ({error.strerror}); check that it exists and its permissions"
        ) from error


def entries(folder: str) -> list[os.DirEntry[str]]:
    """What ``folder`` holds, sorted by name."""
    with reading(folder), os.scandir(folder) as scan:
        return sorted(scan, key=lambda entry: entry.name)


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder or a link to one."""
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def is_file(entry: os.DirEntry[str]) -> bool:
    """Whether it is a file or a link to one."""
    try:
        return entry.is_file()
    except OSError:
        return False


def by_folder(paths: Block) -> Iterator[tuple[str, IntArray]]:
    """The folders of some paths, in the order in which they come, each with the rows in it."""
    folders, owner = paths.folders
    order = np.argsort(owner, kind="stable")
    ends = np.cumsum(np.bincount(owner, minlength=len(folders)))
    return zip(folders, np.split(order, ends[:-1]), strict=False)  # of no paths there is one piece, and no folder


def names_in(folder: str, paths: Block) -> list[str]:
    """What the files at some paths are called in the folder in which all are."""
    names = paths.without(os.path.join(folder, ""))
    return [os.path.basename(path) for path in paths] if names is None else list(names)


def missing_files(paths: Sequence[str], folders: bool = False) -> list[int]:
    """Indices of the paths that lead to no file, or with ``folders`` to nothing at all.

    Every folder is read once, which is faster than asking for each path.
    """
    exists = os.path.exists if folders else os.path.isfile
    paths = Block.of(paths)
    missing: list[int] = []
    for folder, rows in by_folder(paths):
        is_there = os.path.isdir(folder)
        there, names = _files_in(folder) if is_there else set(), names_in(folder, paths.take(rows))
        if not there.issuperset(names):
            lost = [row for row, name in zip(rows.tolist(), names, strict=True) if name not in there]
            # Asked for again, as some file systems do not tell upper from lower case.
            missing += [row for row in lost if not (is_there and exists(paths[row]))]
    return sorted(missing)


def _files_in(folder: str) -> set[str]:
    """The names of the files in a folder, and of links to some."""
    with reading(folder), os.scandir(folder) as scan:
        known = list(scan)
    with suppress(OSError):  # there is a link that leads to itself
        return {entry.name for entry in known if entry.is_file()}
    return {entry.name for entry in known if is_file(entry)}
