"""The rows of a table, and the class indices that their labels stand for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from longtail.errors import InputError
from longtail.messages import shown, some

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_MOST_CLASSES = 1_000_000  # a larger class index is some other number


@dataclass(frozen=True)
class Rows:
    """The two columns as text, and where in the file each row stands."""

    file: Path
    paths: list[str]
    labels: list[str]
    numbers: list[int]
    unit: str = "line"

    def error(self, index: int, message: str) -> InputError:
        return InputError(f"{shown(self.file)}, {self.unit} {self.numbers[index]}: {message}")


def own_indices(rows: Rows) -> tuple[NDArray[np.int64], list[str]]:
    """Class indices (M,) of labels that bring their own classes, and the class names."""
    distinct = set(rows.labels)
    _refuse_empty(rows, distinct)
    integers = {label for label in distinct if _INTEGER.fullmatch(label)}
    numbers = {label for label in distinct if _NUMBER.fullmatch(label)}
    if numbers and len(numbers) < len(distinct):
        odd = _first(rows, distinct - numbers)
        number = rows.labels[_first(rows, numbers)]
        raise rows.error(
            odd,
            f"label {shown(rows.labels[odd])} is text while others are numbers, such as {number}; "
            "use one kind, or give the class names",
        )
    if len(integers) < len(numbers):
        odd = _first(rows, numbers - integers)
        raise rows.error(odd, f"label {rows.labels[odd]} is not a whole number; write class indices as 0, 1, 2, ...")
    if integers:
        index = {label: int(label) for label in distinct}
        names = [str(i) for i in range(_check_range(rows, index))]
    else:
        names = sorted(distinct)
        index = {name: i for i, name in enumerate(names)}
    if len(set(index.values())) < 2:
        raise InputError(
            f"{shown(rows.file)}: all rows have the label {shown(rows.labels[0])}; at least two classes are needed"
        )
    return _targets(rows, index), names


def indices_among(rows: Rows, classes: Sequence[str]) -> tuple[NDArray[np.int64], list[str]]:
    """Class indices (M,) of labels that name or number given classes, and these classes."""
    names = {name: i for i, name in enumerate(classes)}
    if len(names) < len(classes):
        raise ValueError("a name is twice in classes")
    distinct = set(rows.labels)
    _refuse_empty(rows, distinct)
    if distinct <= names.keys():
        return _targets(rows, names), list(classes)
    if not all(_INTEGER.fullmatch(label) for label in distinct):
        unknown = distinct - names.keys()
        odd = _first(rows, unknown)
        others = sorted(unknown - {rows.labels[odd]})
        raise rows.error(
            odd,
            f"label {shown(rows.labels[odd])} is not one of the {len(names)} known classes ({some(names)})"
            f"{f', nor is {some(others, 10)}' if others else ''}; correct it or remove the row",
        )
    index = {label: int(label) for label in distinct}
    _check_range(rows, index, len(names))
    return _targets(rows, index), list(classes)


def _refuse_empty(rows: Rows, distinct: set[str]) -> None:
    if "" in distinct:
        raise rows.error(rows.labels.index(""), "the label is empty; fill it in or remove the row")


def _check_range(rows: Rows, index: dict[str, int], classes: int | None = None) -> int:
    """The number of classes up to the largest index; refuses one that is negative or too large, and counting from 1."""
    limit, most = classes or _MOST_CLASSES, max(index.values())
    if min(index.values()) == 1 < most == (classes or most):
        at = _first(rows, {label for label, i in index.items() if i == most})
        way_out = "subtract 1, as class indices begin with 0, or write names"
        raise rows.error(at, f"labels run from 1 to {most}; {way_out}")
    if bad := {label for label, i in index.items() if not 0 <= i < limit}:
        at = _first(rows, bad)
        problem = "is negative" if index[rows.labels[at]] < 0 else f"is not below {limit}"
        raise rows.error(
            at, f"label {rows.labels[at]} {problem}; class indices are 0, 1, ... up to the number of classes"
        )
    return most + 1


def _first(rows: Rows, labels: set[str]) -> int:
    """The first row with one of ``labels``."""
    return next(i for i, label in enumerate(rows.labels) if label in labels)


def _targets(rows: Rows, index: dict[str, int]) -> NDArray[np.int64]:
    return np.fromiter((index[label] for label in rows.labels), dtype=np.int64, count=len(rows.labels))
