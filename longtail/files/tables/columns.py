"""Which columns of a table hold the paths, the classes and the groups, where that is not said."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from longtail.errors import InputError
from longtail.files.images.folder import VIDEO_SUFFIXES
from longtail.files.images.reading import SUFFIXES
from longtail.files.split_names import split_of
from longtail.files.tables.labels import Draft, Rows, row_error
from longtail.files.texts import Memo
from longtail.messages import command, escape, some

SAMPLE = 200  # rows that tell the columns

# Headers as people write them, without case and punctuation; the likelier first.
_PATHS = tuple(
    "path filepath filepaths imagepath videopath clippath imgpath file filename filenames imagefile imagename image "  # noqa: SIM905
    "images pixelvalues img imgname imageid imgid idcode video videoname videoid clip clipname clipid name uuid "
    "id".split()
)
_LABELS = tuple(
    "label labels class classname classes category categoryname target diagnosis dx species speciesname breed variety "  # noqa: SIM905
    "choice labelname level grade action y classid categoryid labelid".split()
)
_SPLITS = ("split", "subset", "set", "dataset", "usage", "partition", "phase")
SEVERAL = "give --recipe multilabel/bce for images of several classes"
_FLAGS = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}
_UNSAID = ("", "nan", "-1", "-1.0")  # in a column of 0 and 1: not looked at, or not sure


@dataclass(frozen=True)
class Columns:
    """Headers of the columns that are wanted; None for one that is to be recognised.

    Attributes:
        path: of the paths.
        label: of the classes.
        group: of what must not lie on both sides of a split; None for no such column.
        labelled: whether classes are wanted at all.
        several: whether an image may have several classes or none: then those in one field are separated by ``|``.
    """

    path: str | None = None
    label: str | None = None
    group: str | None = None
    labelled: bool = True
    several: bool = False


class Places(NamedTuple):
    """Where the columns stand in a row; ``labels`` has none, one, or one for each class with a 1 in one of them."""

    path: int
    labels: list[int]
    group: int | None
    split: int | None

    def words(self, header: Sequence[str]) -> str:
        """What was recognised, for people."""
        one, *more = self.labels
        labels = f"classes in {len(self.labels)} columns of 0 and 1" if more else f"classes in column {header[one]}"
        split = "" if self.split is None else f", splits in column {header[self.split]}"
        return f"paths in column {header[self.path]}, {labels}{split}"

    @property
    def used(self) -> list[int]:
        """All of them."""
        return [at for at in (self.path, *self.labels, self.group, self.split) if at is not None]

    def about(self, header: Sequence[str], options: Columns) -> dict[str, Any]:  # of ``Rows``, each of its own type
        """What ``Rows`` say of themselves beside their columns; of classes in columns of 0 and 1 their order, where an
        image may have several."""
        columns = len(self.labels) > 1
        classes = [header[at] for at in self.labels] if columns and options.several else None
        return {"several": columns, "classes": classes, "columns": self.words(header) if options.labelled else ""}


def find_columns(place: str, header: Sequence[str], sample: Sequence[Sequence[str]], options: Columns) -> Places:
    """Find the columns of a table.

    Paths are those of the likeliest header, such as image_id, else those of the one column in which all end as images
    or videos do. Classes are those of the likeliest header, such as diagnosis; else the columns of 0 and 1, where each
    row has a single 1 or may have several; else the one column that is left.

    Args:
        place: the file and the line, for messages.
        header: names of the columns.
        sample: a few rows.
        options: what is known of them.

    Raises:
        InputError: a column that is wanted is not there once, or it cannot be told which one is.
    """
    path = _named(place, header, options.path, "path_column")
    if path is None:
        path = _path(place, header, sample)
    group = None
    if options.group is not None and options.group in header:
        group = header.index(options.group)
    if not options.labelled:
        return Places(path, [], group, None)
    label = _named(place, header, options.label, "label_column")
    split = _split(header, sample)
    labels = [label] if label is not None else _labels(place, header, sample, {path, group, split}, options)
    return Places(path, labels, group, None if split in (path, *labels) else split)


def is_data(row: Sequence[str]) -> bool:
    """Whether the first row of a table is one of a path and a class, and no header."""
    if len(row) == 1:
        words = row[0].rsplit(maxsplit=1)
        return len(words) == 2 and (_is_file(words[0]) or words[1].isdigit())
    return any(_is_file(field.strip()) for field in row)


def _named(place: str, header: Sequence[str], name: str | None, option: str) -> int | None:
    """Where a column stands that was asked for, which has to be there once."""
    if name is None:
        return None
    if name not in header:
        alike = next((other for other in header if other.lower() == name.lower()), None)
        raise InputError(
            f"{place}: no column called {escape(name)}, only {some(header, 10)}; "
            f"rename one, or give {command(f'--data.{option}', alike or 'NAME')}"
        )
    _check_once(place, header, name)
    return header.index(name)


def _check_once(place: str, header: Sequence[str], name: str) -> None:
    if header.count(name) > 1:
        raise InputError(f"{place}: two columns are called {escape(name)}; rename one of them")


def _likeliest(header: Sequence[str], names: Sequence[str], but: set[int | None]) -> int | None:
    plain = [re.sub(r"[\W_]", "", name).lower() for name in header]
    return next((at for name in names for at, word in enumerate(plain) if word == name and at not in but), None)


def likeliest_path(header: Sequence[str]) -> str | None:
    """The column that is likely to have the paths, or the images themselves, by its header."""
    at = _likeliest(header, _PATHS, set())
    return None if at is None else header[at]


def likeliest_label(header: Sequence[str]) -> str | None:
    """The column that is likely to have the classes, by its header."""
    at = _likeliest(header, _LABELS, set())
    return None if at is None else header[at]


def _path(place: str, header: Sequence[str], sample: Sequence[Sequence[str]]) -> int:
    at = _likeliest(header, _PATHS, set())
    if at is None:
        files = [at for at in range(len(header)) if sample and all(_is_file(row[at]) for row in sample)]
        if len(files) != 1:
            raise InputError(
                f"{place}: which column has the paths? There are {some(header, 10)}: "
                f"give {command('--data.path_column', 'NAME')}"
            )
        at = files[0]
    _check_once(place, header, header[at])
    return at


def _labels(
    place: str, header: Sequence[str], sample: Sequence[Sequence[str]], but: set[int | None], options: Columns
) -> list[int]:
    rest = [at for at in range(len(header)) if at not in but]
    flags = [at for at in rest if sample and all(row[at].strip().lower() in _FLAGS for row in sample)]
    at = _likeliest(header, _LABELS, but)
    if options.several:
        _refuse_unsaid(place, header, sample, rest, at)
    if at is not None and not (options.several and len(flags) > 1 and at in flags):
        _check_once(place, header, header[at])
        return [at]
    single = sum(sum(_flag(row[at]) for at in flags) == 1 for row in sample)
    if len(flags) > 1 and (options.several or 2 * single >= len(sample)):
        return flags
    if len(flags) > 1 and any(sum(_flag(row[at]) for at in flags) > 1 for row in sample):
        raise InputError(
            f"{place}: rows have several 1 in the columns {some([header[at] for at in flags])}; {SEVERAL}, or "
            f"{command('--data.label_column', 'NAME')} for the column of a single class"
        )
    if len(rest) != 1:
        raise InputError(
            f"{place}: which column has the classes? There are {some(header, 10)}: "
            f"give {command('--data.label_column', 'NAME')}"
        )
    return rest


def _refuse_unsaid(
    place: str, header: Sequence[str], sample: Sequence[Sequence[str]], rest: Sequence[int], likeliest: int | None
) -> None:
    """Refuse columns of 0 and 1 that do not say it for every row, as their classes would be lost."""
    values = {at: {row[at].strip().lower() for row in sample} for at in rest}
    alike = [at for at in rest if values[at] & _FLAGS.keys() and values[at] <= {*_FLAGS, *_UNSAID}]
    unsaid = [header[at] for at in alike if not values[at] <= _FLAGS.keys()]
    if unsaid and len(alike) > 1 and likeliest in (None, *alike):
        raise InputError(
            f"{place}: fields that are blank or -1 in columns of 0 and 1, {some(unsaid)}: write 0 or 1 in each, remove "
            f"the columns that are no classes, or give {command('--data.label_column', 'NAME')} for one of names"
        )


def _flag(field: str) -> bool:
    """Whether a field of a column of 0 and 1 is 1.

    Raises:
        ValueError: it is neither.
    """
    try:
        return _FLAGS[field.strip().lower()]
    except KeyError:
        raise ValueError(f"{escape(field)} in a column of 0 and 1; correct it, or give --data.label_column") from None


def as_text(value: object) -> str:
    """A value of a table that knows types, as the text that a table without them has."""
    return "" if value is None else str(value)


def labels_in(field: str) -> list[str]:
    """The labels between the ``|`` of a field, or an empty one where there are none."""
    return [name for part in field.split("|") if (name := part.strip())] or [""]


class Body:
    """The rows of a table, as far as they were read.

    Args:
        file: the table.
        unit: what the numbers of its rows count.
        header: names of the columns.
        places: the columns that are wanted.
        several: whether a field of classes has several, between its ``|``.
    """

    def __init__(self, file: Path, unit: str, header: Sequence[str], places: Places, several: bool) -> None:
        self.file, self.unit, self.header, self.places, self.several = file, unit, header, places, several
        self._draft = Draft()
        self._words = Memo(str.strip)
        self._splits = Memo(lambda field: split_of(field.strip()) or "")

    def add(self, numbers: Sequence[int], columns: Mapping[int, Sequence[str]]) -> None:
        """Add rows by the fields of each column; of several columns of classes a row for each that has a 1, or one
        without. What is wrong with one is raised as its error."""
        places, single = self.places, len(self.places.labels) == 1 and not self.several
        if not places.labels:
            labels = [""] * len(numbers)
        elif single:
            labels = [*map(self._words.__getitem__, columns[places.labels[0]])]
        else:
            lists = [self._classes(number, row, columns) for row, number in enumerate(numbers)]
            again = [row for row, classes in enumerate(lists) for _ in classes]
            labels, numbers = [name for classes in lists for name in classes], [numbers[row] for row in again]
            others = [at for at in (places.path, places.group, places.split) if at is not None]
            columns = {at: [columns[at][row] for row in again] for at in others}
        groups = [] if places.group is None else [*map(self._words.__getitem__, columns[places.group])]
        splits = [] if places.split is None else [*map(self._splits.__getitem__, columns[places.split])]
        self._draft.extend(numbers, columns[places.path], labels, groups, splits)

    def _classes(self, number: int, row: int, columns: Mapping[int, Sequence[str]]) -> list[str]:
        """The classes of a row of some, of which one is empty where there are none."""
        first, *more = self.places.labels
        if not more:
            return labels_in(columns[first][row])
        try:
            return [self.header[at] for at in self.places.labels if _flag(columns[at][row])] or [""]
        except ValueError as error:
            raise row_error(self.file, number, str(error), self.unit) from error

    def rows(self, **about: Any) -> Rows:  # see ``Rows``, each of its own type
        """All that was added."""
        return self._draft.rows(self.file, self.unit, **about)


def _split(header: Sequence[str], sample: Sequence[Sequence[str]]) -> int | None:
    """The column that says to which split a row belongs, where all its values are names of splits."""
    at = _likeliest(header, _SPLITS, set())
    return at if at is not None and sample and all(split_of(row[at].strip()) for row in sample) else None


def _is_file(field: str) -> bool:
    return os.path.splitext(field)[1].lower() in SUFFIXES | VIDEO_SUFFIXES  # noqa: PTH122
