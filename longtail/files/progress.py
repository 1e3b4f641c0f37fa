"""A bar for what takes long before a training."""

import sys
from typing import Any

from tqdm import tqdm


def progress_bar(total: int, what: str, unit: str) -> "tqdm[Any]":  # of no items
    """A bar on the terminal of the first process, gone when it is done; elsewhere nothing is shown."""
    from longtail.distributed import is_first_process  # torch, which no process that looks at files needs

    hidden = not sys.stderr.isatty() or not is_first_process()
    return tqdm(total=total, desc=what, unit=unit, disable=hidden, leave=False)
