"""The rows of a table, and the class indices that their labels stand for."""

from __future__ import annotations

import logging
import re
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from longtail.errors import InputError
from longtail.files.texts import Block, at_rows
from longtail.messages import escape, plural, some

T = TypeVar("T")

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rows:
    """The columns as text, and where in the file each row stands.

    Attributes:
        file: where they stand.
        paths: of the images, as they are written there.
        labels: the classes; empty where a row has none.
        numbers: the line, or other ``unit``, of each row.
        unit: what the numbers count.
        groups: the value of the group of each row; none where no groups are wanted.
        splits: the split of each row, "train", "val" or "test"; none where the file does not say it.
        classes: all classes in their order, where the file says it.
        several: whether an image may stand in several rows or have no class, as in the files of tools.
        home: the folder that the paths start from, where their images were unpacked into one.
        files: the file of each row, where the rows are those of several.
        columns: which columns of a table were taken, for people.
    """

    file: Path
    paths: Sequence[str]
    labels: Sequence[str]
    numbers: Sequence[int]
    unit: str = "line"
    groups: Sequence[str] = ()
    splits: Sequence[str] = ()
    classes: list[str] | None = None
    several: bool = False
    home: Path | None = None
    files: list[Path] = field(default_factory=list)
    columns: str = ""

    def subset(self, rows: Sequence[int]) -> Rows:
        """Some of the rows, in the order given."""

        def some_of(values: Sequence[T]) -> list[T]:
            return [values[row] for row in rows] if values else []

        return replace(
            self,
            paths=at_rows(self.paths, np.asarray(rows, dtype=np.int64)),
            labels=some_of(self.labels),
            numbers=some_of(self.numbers),
            groups=some_of(self.groups),
            splits=some_of(self.splits),
            files=some_of(self.files),
        )

    def error(self, index: int, message: str) -> InputError:
        return row_error(self.files[index] if self.files else self.file, self.numbers[index], message, self.unit)


def row_error(file: Path, number: int, message: str, unit: str = "line") -> InputError:
    """What is wrong with a row of a file."""
    return InputError(f"{escape(file)}, {unit} {number}: {message}")


class Draft:
    """Rows as they are read. A label, group or split is kept once however many rows have it, and the paths as
    ``Texts``."""

    def __init__(self) -> None:
        self._packed: list[Block] = []
        self._paths: list[str] = []  # not packed yet
        self._labels, self._groups, self.splits = list[str](), list[str](), list[str]()
        self._numbers = array("q")
        self._known: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, number: int, path: str, label: str, group: str | None = None, split: str | None = None) -> None:
        """Add a row; one with a group, or with a split, wants all to have one."""
        self._numbers.append(number)
        self._paths.append(path)
        for own, value in ((self._labels, label), (self._groups, group), (self.splits, split)):
            if value is not None:
                own.append(self._known.setdefault(value, value))
        self._pack()

    def extend(
        self,
        numbers: Iterable[int],
        paths: Iterable[str],
        labels: Sequence[str],
        groups: Sequence[str] = (),
        splits: Sequence[str] = (),
    ) -> None:
        """Add many rows; of equal labels, groups or splits the caller keeps one."""
        self._numbers.extend(numbers)
        self._paths.extend(paths)
        for own, values in ((self._labels, labels), (self._groups, groups), (self.splits, splits)):
            own.extend(values)
        self._pack()

    def _pack(self) -> None:
        if len(self._paths) >= 2**16:
            self._packed.append(Block.of(self._paths))
            self._paths = []

    def rows(self, file: Path, unit: str = "line", **about: Any) -> Rows:  # see ``Rows``, each of its own type
        """All that was added."""
        paths = Block.joined([*self._packed, Block.of(self._paths)])
        return Rows(file, paths, self._labels, self._numbers, unit, self._groups, self.splits, **about)


def joined(parts: Sequence[Rows], file: Path) -> Rows:
    """The rows of several files, which say the same of all else, as those of one."""

    def chained(values: Iterable[Sequence[T]]) -> list[T]:
        return list(chain.from_iterable(values))

    return replace(
        parts[0],
        file=file,
        paths=Block.joined([Block.of(part.paths) for part in parts]),
        labels=chained(part.labels for part in parts),
        numbers=chained(part.numbers for part in parts),
        groups=chained(part.groups for part in parts),
        splits=chained(part.splits for part in parts),
        files=chained([part.file] * len(part.paths) for part in parts),
    )


def text(value: object) -> str:
    """A value as the text of a class, an id or a group; whole numbers without a point, nothing for none."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None else str(value).strip()


def own_indices(rows: Rows) -> tuple[NDArray[np.int64], list[str]]:
    """Class indices (M,) of labels that bring their own classes, and the class names.

    The classes are the distinct labels, numbers sorted by value and other text as such. A line says so of numbers that
    are not 0, 1, 2, ... already. Classes that the file lists in an order of its own stay in it, but for those of
    which it has no row.
    """
    distinct = set(rows.labels)
    _refuse_empty(rows, distinct)
    if len(distinct) < 2:
        raise InputError(
            f"{escape(rows.file)}: all rows have the label {escape(rows.labels[0])}; at least two classes are needed"
        )
    if rows.classes is not None:
        names = [name for name in rows.classes if name in distinct]
        if unused := [name for name in rows.classes if name not in distinct]:
            words = plural(len(unused), "class", "classes")
            logger.info(f"{escape(rows.file)}: left out {words} without an image: {some(unused)}")
        return _targets(rows, {name: i for i, name in enumerate(names)}), names
    if not all(_NUMBER.fullmatch(label) for label in distinct):
        names = sorted(distinct)
        return _targets(rows, {name: i for i, name in enumerate(names)}), names
    names = sorted({_plain(label) for label in distinct}, key=float)
    if names != [str(i) for i in range(len(names))]:
        logger.info(
            f"{escape(rows.file)}: labels are {len(names)} numbers from {names[0]} to {names[-1]}, which are the names "
            "of the classes in this order"
        )
    places = {name: i for i, name in enumerate(names)}
    return _targets(rows, {label: places[_plain(label)] for label in distinct}), names


def indices_among(rows: Rows, classes: Sequence[str]) -> tuple[NDArray[np.int64], list[str]]:
    """Class indices (M,) of labels that name or number given classes, and these classes."""
    names = {name: i for i, name in enumerate(classes)}
    if len(names) < len(classes):
        raise ValueError("a name is twice in classes")
    distinct = set(rows.labels)
    _refuse_empty(rows, distinct)
    plain = {label: label if label in names else _plain(label) for label in distinct}
    if names.keys() >= set(plain.values()):
        return _targets(rows, {label: names[plain[label]] for label in distinct}), list(classes)
    if not all(_INTEGER.fullmatch(label) for label in plain.values()) or all(map(_INTEGER.fullmatch, names)):
        unknown = {label for label in distinct if plain[label] not in names}
        odd = _first(rows, unknown)
        others = sorted(unknown - {rows.labels[odd]})
        raise rows.error(
            odd,
            f"label {escape(rows.labels[odd])} is not one of the {len(names)} known classes ({some(names)})"
            f"{f', nor is {some(others, 10)}' if others else ''}; correct it or remove the row",
        )
    index = {label: int(plain[label]) for label in distinct}
    _check_range(rows, index, len(names))
    return _targets(rows, index), list(classes)


def _plain(label: str) -> str:
    """A number without what does not change its value, such as leading zeros; other text as it is."""
    if re.fullmatch(r"[+-]?[0-9]{1,18}(\.0*)?", label):
        return str(int(label.partition(".")[0]))
    return label


def _refuse_empty(rows: Rows, distinct: set[str]) -> None:
    if "" in distinct:
        raise rows.error(rows.labels.index(""), "the label is empty; fill it in or remove the row")


def _check_range(rows: Rows, index: dict[str, int], classes: int) -> None:
    """Refuse class indices that are negative or too large, and counting from 1."""
    most = max(index.values())
    if min(index.values()) == 1 < most == classes:
        at = _first(rows, {label for label, i in index.items() if i == most})
        way_out = "subtract 1, as class indices begin with 0, or write names"
        raise rows.error(at, f"labels run from 1 to {most}; {way_out}")
    if bad := {label for label, i in index.items() if not 0 <= i < classes}:
        at = _first(rows, bad)
        problem = "is negative" if index[rows.labels[at]] < 0 else f"is not below {classes}"
        raise rows.error(
            at, f"label {rows.labels[at]} {problem}; class indices are 0, 1, ... up to the number of classes"
        )


def _first(rows: Rows, labels: set[str]) -> int:
    """The first row with one of ``labels``."""
    return next(i for i, label in enumerate(rows.labels) if label in labels)


def _targets(rows: Rows, index: dict[str, int]) -> NDArray[np.int64]:
    return np.fromiter(map(index.__getitem__, rows.labels), dtype=np.int64, count=len(rows.labels))
