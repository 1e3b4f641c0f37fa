"""Files looked at by threads, for which nobody waits any more once Ctrl-C is pressed or one of them never answers."""

import queue
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, wait
from typing import TypeVar

from longtail.errors import InputError

T = TypeVar("T")
R = TypeVar("R")

PATIENCE = 45  # seconds for an image, a frame of a video, or what a worker process reads at a time
WAY_OUT = "check the disk or the network drive; a file that is damaged and hangs its decoder is found by --full-check"

_CHUNK = 64  # items that a thread takes at a time, of many


class NoAnswer(InputError):
    """Something never comes, such as a file on a drive that is gone."""


def in_threads(
    function: Callable[[T], R], items: Sequence[T], workers: int, name: Callable[[T], str] | None = None
) -> Generator[R]:
    """What a function makes of each of many items, in their order.

    The threads are of the kind that a process does not wait for at its end: a thread that waits for a file cannot be
    ended.

    Args:
        function: called in threads.
        items: what with.
        workers: number of threads.
        name: of an item, for messages; without one there is no end to the wait for it.

    Raises:
        NoAnswer: if an item takes more than ``PATIENCE`` seconds, which are counted while the process runs.
    """
    chunk = max(1, min(_CHUNK, len(items) // (4 * workers)))
    chunks = {start: Future[list[R]]() for start in range(0, len(items), chunk)}
    starts: queue.SimpleQueue[int] = queue.SimpleQueue()
    at: dict[int, int] = {}  # the item that each chunk has come to
    stopped = threading.Event()

    def results(start: int) -> Iterator[R]:
        for i in range(start, min(start + chunk, len(items))):
            if stopped.is_set():
                return
            at[start] = i
            yield function(items[i])

    def work() -> None:
        while not stopped.is_set():
            try:
                start = starts.get_nowait()
            except queue.Empty:
                return
            try:
                chunks[start].set_result(list(results(start)))
            except BaseException as error:  # it is raised where the result is taken
                chunks[start].set_exception(error)

    for start in chunks:
        starts.put(start)
    for _ in range(min(workers, len(chunks))):
        threading.Thread(target=work, daemon=True).start()
    try:
        for start, future in chunks.items():
            last, seconds = None, 0
            while not wait([future], timeout=1).done:
                seconds, last = (seconds + 1 if last == at.get(start) else 0), at.get(start)
                if name is not None and seconds >= PATIENCE:
                    what = name(items[start if last is None else last])
                    raise NoAnswer(f"{what}: no answer within {PATIENCE} seconds: {WAY_OUT}")
            yield from future.result()
    finally:
        stopped.set()
