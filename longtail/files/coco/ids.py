"""Whole numbers of entries of COCO format, in the forms that tools write them, and ids that are text."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable

from longtail.messages import escape
from longtail.plain import JSON

_TEXTS_FROM = 2**40  # ids that are text are numbered from here on, as files have no such ids
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")


class OddError(Exception):
    """The file is JSON, but not of COCO format: says why."""


class Ids:
    """Numbers for the ids of a file: themselves where they are whole numbers in any form, else one for each text.

    Args:
        first: the number of the first text.
    """

    def __init__(self, first: int = _TEXTS_FROM) -> None:
        self._first = first
        self._numbers: dict[str, int] = {}

    def number(self, value: object) -> int:
        """The number of an id; a ``TypeError`` where it is none."""
        if isinstance(value, str) and value:
            is_number = _WHOLE.fullmatch(value) is not None
            return int(value) if is_number else self._numbers.setdefault(value, self._first + len(self._numbers))
        return _whole(value)

    def name(self, number: int) -> object:
        """The id as it is in the file."""
        texts = list(self._numbers)
        place = number - self._first
        return escape(texts[place]) if 0 <= place < len(texts) else number


def put(
    store: array[int] | array[float],
    entry: JSON,
    key: str,
    number: Callable[[object], int] | None = None,
) -> None:
    """Append a whole number of an entry, or what ``number`` makes of a value that is none."""
    try:
        value = entry[key]
        try:
            store.append(value)
        except TypeError:
            store.append((number or _whole)(value))
    except KeyError:
        raise OddError(f'has no "{key}"') from None
    except (TypeError, OverflowError):
        raise OddError(f'has a wrong "{key}"') from None


def _whole(value: object) -> int:
    """A whole number that is written as a float; a ``TypeError`` where it is none."""
    if not isinstance(value, (int, float)) or value != value // 1:
        raise TypeError
    return int(value)
