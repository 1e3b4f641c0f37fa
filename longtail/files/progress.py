"""A bar for what takes long before a training."""

import sys
from typing import Any

from tqdm import tqdm

from longtail.launch import is_first


def progress_bar(total: int | None, what: str, unit: str) -> "tqdm[Any]":  # of no items
    """A bar on the terminal of the first process, gone when it is done; elsewhere nothing is shown. ``total`` is how
    many there are, where that is known."""
    hidden = not sys.stderr.isatty() or not is_first()
    return tqdm(total=total, desc=what, unit=unit, disable=hidden, leave=False)
