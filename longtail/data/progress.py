"""A bar for what takes long before a training."""

import sys
from typing import Any

from lightning.pytorch.utilities import rank_zero_only
from tqdm import tqdm


def progress_bar(total: int, what: str, unit: str) -> "tqdm[Any]":
    """A bar on the terminal of the first process, gone when it is done; elsewhere nothing is shown."""
    hidden = not sys.stderr.isatty() or rank_zero_only.rank > 0  # type: ignore[attr-defined]
    return tqdm(total=total, desc=what, unit=unit, disable=hidden, leave=False)
