"""What is kept of a set for the next time: where it goes, and how it is written."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from longtail.errors import InputError
from longtail.messages import shown

logger = logging.getLogger(__name__)


def cache_folder(root: Path) -> Path:
    """The hidden folder of a set, or of a file beside which it lies."""
    return root / ".longtail"


@contextmanager
def keeping(folder: Path, lost: str = "nothing is kept for next time") -> Iterator[None]:
    """Make the folder, and go without what is written in the block where that is not possible; a line says so.

    Args:
        folder: that of the cache.
        lost: what that means, for the line.
    """
    try:
        folder.mkdir(exist_ok=True)
        yield
    except (OSError, InputError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        reason = getattr(cause, "strerror", None) or type(cause).__name__
        logger.info(f"{shown(folder)}: cannot be written ({reason}), so {lost}")
