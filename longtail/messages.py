"""How names, lists, times and reasons are worded in messages."""

from __future__ import annotations

import difflib
import os
import shlex
from collections.abc import Collection, Sequence
from itertools import islice
from pathlib import PurePath

SPLITS = {"train": "training", "val": "validation", "test": "test"}  # what each is called in a sentence


def escape(name: object) -> str:
    """A path or a label as it can stand in a one-line message: escaped where it would not print."""
    text = str(name)
    return text if text.isprintable() else ascii(text)


def command(*words: object) -> str:
    """A command as it can be typed in a shell, or a part of one; a path like an option begins with ./ in it."""
    return shlex.join(f"./{w}" if isinstance(w, PurePath) and str(w)[:1] == "-" else str(w) for w in words)


def retrievable(name: str) -> str:
    r"""The name of a file as text by which it can be found again.

    A byte that is not UTF-8 is written as \xff; in such a name alone a backslash is doubled. Others are left as they
    are.
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        return os.fsencode(name.replace("\\", "\\\\")).decode("utf-8", "backslashreplace")
    return name


def some(names: Collection[object], limit: int = 3) -> str:
    """The first ``limit`` of ``names`` and how many more there are."""
    listed = ", ".join(escape(name) for name in islice(names, limit))
    return listed if len(names) <= limit else f"{listed} and {len(names) - limit} more"


def and_more(bad: Collection[object]) -> str:
    """How a message about the first of some bad files goes on."""
    return f" (and {len(bad) - 1} more bad files)" if len(bad) > 1 else ""


def near_names(name: str, names: Sequence[str]) -> str:
    """How a message about an unknown name goes on: with those near it, if there are any."""
    near = difflib.get_close_matches(name, names, n=3)
    return f"; near it: {', '.join(near)}" if near else ""


def first_line(error: Exception) -> str:
    """First line of an error's message, or its name where it has none."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def plural(count: int, noun: str, nouns: str | None = None) -> str:
    """Show a count with its noun."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def duration(seconds: float) -> str:
    """Show a time span with the two units that matter."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"
