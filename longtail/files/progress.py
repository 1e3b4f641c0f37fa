"""How far something is that takes long: a bar on a terminal, and lines now and then in a log."""

import logging
import sys
import time
from types import TracebackType
from typing import Any

from tqdm import tqdm

from longtail.launch import is_first
from longtail.messages import duration

logger = logging.getLogger(__name__)

FIRST, LONGEST = 5.0, 600.0  # seconds to the first line, and between two at most


class ProgressLines:
    """Tells how many of something are done, how many a second, and how long the rest takes: first after ``FIRST``
    seconds, then after twice as long each time, up to ``LONGEST``.

    Args:
        total: how many there are, where that is known.
        what: is done.
        unit: of the number, in the singular.
        done: how many were counted at an earlier time, which are no part of the rate.
    """

    def __init__(self, total: int | None, what: str, unit: str, done: int = 0) -> None:
        self.total, self.what, self.unit, self.done, self.before = total, what, unit, done, done
        self.started, self.wait = time.perf_counter(), FIRST
        self.next = self.started + self.wait

    def update(self, n: int = 1) -> None:
        """Count some more, and tell it where it is time."""
        self.done += n
        now = time.perf_counter()
        if now < self.next:
            return
        rate = (self.done - self.before) / (now - self.started)
        left = f", {duration((self.total - self.done) / rate)} left" if self.total is not None and rate > 0 else ""
        of = "" if self.total is None else f" of {self.total:,}"
        logger.info(f"{self.what}: {self.done:,}{of} {self.unit}s, {rate:.3g} a second{left}")
        self.wait = min(2 * self.wait, LONGEST)
        self.next = now + self.wait

    def __enter__(self) -> "ProgressLines":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Nothing is left to close."""


def progress_bar(total: int | None, what: str, unit: str, done: int = 0) -> "tqdm[Any] | ProgressLines":  # of no items
    """A bar on the terminal of the first process, gone when it is done; without a terminal lines, for which see
    ``ProgressLines``, which has the same arguments; nothing in other processes."""
    if is_first() and not sys.stderr.isatty():
        return ProgressLines(total, what, unit, done)
    return tqdm(total=total, desc=what, unit=f" {unit}s", initial=done, disable=not is_first(), leave=False)
