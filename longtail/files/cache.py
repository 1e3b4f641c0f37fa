"""What is kept of a set for the next time: where it goes, and how it is written."""

import logging
from collections.abc import Callable
from pathlib import Path

from longtail.errors import InputError
from longtail.messages import shown

logger = logging.getLogger(__name__)


def cache_folder(root: Path) -> Path:
    """The hidden folder of a set, or of a file beside which it lies."""
    return root / ".longtail"


def keep(folder: Path, write: Callable[[], None], lost: str = "nothing is kept for next time") -> None:
    """Make the folder of a cache and write into it; a line is all that is said where that is not possible.

    Args:
        folder: that of the cache.
        write: writes what is to be kept, whole or not at all.
        lost: what it means that it could not, for the line.
    """
    try:
        folder.mkdir(exist_ok=True)
        write()
    except (OSError, InputError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        reason = getattr(cause, "strerror", None) or type(cause).__name__
        logger.info(f"{shown(folder)}: cannot be written ({reason}), so {lost}")
