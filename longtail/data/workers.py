"""Worker processes of a loader: deaf to what stops a run, gone when it is gone, noticed when they die or hang."""

import atexit
import contextlib
import errno
import multiprocessing
import multiprocessing.util  # its own cleaning at exit waits for workers, so ours has to be registered after it
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from multiprocessing.process import BaseProcess
from typing import Any
from weakref import WeakSet, finalize

from torch import Tensor
from torch.utils.data import Dataset, get_worker_info

from longtail.files.threads import PATIENCE, WAY_OUT, NoAnswer
from longtail.messages import escape
from longtail.signals import SIGNALS

NO_MEMORY = (
    "the shared memory (/dev/shm) is too small for the worker processes: give --workers 0, or make it larger (docker "
    "run --shm-size 1g)"
)

_started: WeakSet[BaseProcess] = WeakSet()


class Watched(Dataset[object]):
    """A data set as its worker processes read it: they tell what they are at, and when they are done with it.

    Args:
        dataset: the set, indexed by pairs (row, draw).
        workers: how many processes read it.
    """

    def __init__(self, dataset: Dataset[object], workers: int) -> None:
        self.dataset = dataset
        # of each worker: its process, the row it is at, and a count that is odd while it reads
        self.pids, self.rows, self.beats = (multiprocessing.RawArray("q", workers) for _ in range(3))

    def __getitems__(self, pairs: list[tuple[int, int]]) -> object:
        if hasattr(self.dataset, "__getitems__"):
            with self._at(pairs[0][0]):
                together: object = self.dataset.__getitems__(pairs)
                return together
        samples = []
        for pair in pairs:
            with self._at(pair[0]):
                samples.append(self.dataset[pair])
        return samples

    @contextlib.contextmanager
    def _at(self, row: int) -> Iterator[None]:
        worker = get_worker_info()
        assert worker is not None
        self.rows[worker.id] = row
        self.beats[worker.id] += 1
        try:
            yield
        finally:
            self.beats[worker.id] += 1

    def begin(self, worker: int) -> None:
        """What a worker process does first: it stops listening to what asks the run to stop, which is for the process
        that started it to hear, and ends when that process is gone."""
        self.pids[worker] = os.getpid()
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


@contextlib.contextmanager
def starting(owner: object) -> Iterator[list[BaseProcess]]:
    """Start worker processes, which are in the list at the end: no signal reaches them before they can ignore it, and
    none of their deaths is told in the middle of a step. They are ended with the owner, and at exit."""
    processes: list[BaseProcess] = []
    before = set(multiprocessing.active_children())
    main = threading.current_thread() is threading.main_thread()
    children = signal.getsignal(signal.SIGCHLD) if main and hasattr(signal, "SIGCHLD") else None
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS) if hasattr(signal, "pthread_sigmask") else None
    try:
        yield processes
    finally:
        processes += [process for process in multiprocessing.active_children() if process not in before]
        _started.update(processes)
        finalize(owner, _kill, processes).atexit = False
        if children is not None:
            signal.signal(signal.SIGCHLD, children)  # torch's would raise wherever the run is
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _kill(processes: Iterable[BaseProcess]) -> None:
    """End workers: they ignore SIGTERM, so Python would wait for them at exit, and torch's loader, whose own word does
    not reach them where it is collected as a part of a cycle, for ten seconds each. A handler that torch has installed
    for a loader of somebody else does not hear of it."""
    alive = []
    for process in list(processes):
        with contextlib.suppress(AssertionError):  # it is of the process that this one was forked from
            if process.is_alive():
                alive.append(process)
    hears = alive and threading.current_thread() is threading.main_thread() and hasattr(signal, "SIGCHLD")
    handler = signal.signal(signal.SIGCHLD, signal.SIG_DFL) if hears else None
    for process in alive:
        process.kill()
    for process in alive:
        process.join(1)  # one that waits for a disk that does not answer ends when that does
    if handler is not None:
        signal.signal(signal.SIGCHLD, handler)


atexit.register(_kill, _started)


class Watch:
    """Ends a worker process that is at one sample for more than ``PATIENCE`` seconds.

    The seconds are counted, not measured, so that a run that was suspended loses nothing.

    Args:
        watched: what the workers read.
    """

    def __init__(self, watched: Watched) -> None:
        self.watched = watched
        self.blocked: int | None = None  # the row that was waited for

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Watch as long as batches are asked for."""
        done = threading.Event()
        threading.Thread(target=self._watch, args=(done,), daemon=True).start()
        try:
            yield
        finally:
            done.set()

    def _watch(self, done: threading.Event) -> None:
        watched = self.watched
        last, seconds = list(watched.beats), [0] * len(watched.beats)
        while not done.wait(1):
            for worker, beat in enumerate(watched.beats):
                seconds[worker] = seconds[worker] + 1 if beat % 2 and beat == last[worker] else 0
                last[worker] = beat
                if seconds[worker] >= PATIENCE:
                    self.blocked = watched.rows[worker]
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(watched.pids[worker], signal.SIGKILL)
                    return

    def loss(self, error: Exception, processes: list[BaseProcess]) -> str | None:
        """What an error in waiting for a batch says of the workers; None where it has another cause.

        Raises:
            NoAnswer: if a worker waited for too long.
        """
        if self.blocked is not None:
            path = getattr(self.watched.dataset, "path", None)
            what = f"row {self.blocked}" if path is None else escape(path(self.blocked))
            raise NoAnswer(
                f"{what}: no answer within {PATIENCE} seconds to the worker process that reads it: {WAY_OUT}"
            )
        if "shared memory" in str(error) or (isinstance(error, OSError) and error.errno == errno.ENOSPC):
            return NO_MEMORY
        for _ in range(20):  # an error in what a worker sent may come before its end is known
            for process in processes:
                if process.exitcode:
                    return _death(process)
            time.sleep(0.1)
        return None


def _death(process: BaseProcess) -> str:
    code = process.exitcode or 0
    if -code == getattr(signal, "SIGBUS", 0):
        return NO_MEMORY
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    memory = ", as happens when memory runs out" if -code == getattr(signal, "SIGKILL", 0) else ""
    return (
        f"a worker process that reads the data (pid {process.pid}) {how}{memory}: give fewer --workers, 0 for none, or "
        "a smaller --batch-size"
    )


class Shared:
    """A collation whose tensors lie in shared memory at its end, so that a lack of it is an error and no silence.

    Args:
        collate: samples to a batch.
    """

    def __init__(self, collate: Callable[[Any], object]) -> None:  # of samples, which differ from grain to grain
        self.collate = collate

    def __call__(self, samples: Sequence[object]) -> object:
        batch = self.collate(samples)
        if get_worker_info() is not None:
            _share(batch)
        return batch


def _share(value: object) -> None:
    if isinstance(value, Tensor):
        value.share_memory_()  # type: ignore[no-untyped-call]  # it has no types
    elif isinstance(value, Mapping):
        for entry in value.values():
            _share(entry)
    elif isinstance(value, (list, tuple)):
        for entry in value:
            _share(entry)
