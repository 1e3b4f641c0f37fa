"""Files looked at by processes of their own: one that never ends, or crashes its decoder, costs no more than that."""

import contextlib
import faulthandler
import importlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Generator, Sequence
from typing import Any

from longtail.files import threads
from longtail.files.threads import in_threads
from longtail.plain import JSON

_ITEMS = 16  # for which one process is enough
_TRIES = 2  # as the seconds of a process run on while it is suspended
_START = "import sys; sys.path[:] = sys.argv[3:]; from longtail.files.apart import _serve; _serve(*sys.argv[1:3])"
_NO_END = 1  # exit code of a process that its own watchdog has ended

_watchdog: "_Watchdog | None" = None  # of this process, if it is one that looks at files


def apart(function: Callable[..., JSON], items: Sequence[JSON]) -> Generator[tuple[JSON, str]]:
    """What a function makes of each of many items, called in as many processes as there are cores.

    A process that takes more than ``PATIENCE`` seconds for an item, or dies of it, is replaced by another one. Nothing
    is loaded in these processes but the module of the function. They end when this one does.

    Args:
        function: of a module of this package; it takes the parts of an item, and returns what JSON can hold. One that
            takes long calls ``beat``.
        items: lists or tuples of what JSON can hold.

    Yields:
        For each item, in order, what was returned and an empty text, or None and why nothing was.

    Raises:
        MemoryError: if a process is out of memory.
        RuntimeError: if the function raises anything else.
    """
    idle: queue.LifoQueue[_Process] = queue.LifoQueue()
    started: list[_Process] = []
    ended = threading.Event()

    def look(item: JSON) -> tuple[JSON, str]:
        fate = ""
        for _ in range(_TRIES):
            try:
                process = idle.get_nowait()
            except queue.Empty:
                process = _Process(function)
                started.append(process)
            if ended.is_set():
                process.end()
                break
            answer = process.ask(item)
            if answer is not None:
                idle.put(process)
                return answer, ""
            fate = process.fate()
        return None, fate

    workers = min(os.cpu_count() or 1, -(-len(items) // _ITEMS))
    try:
        for result in in_threads(look, items, max(1, workers)):
            answer, fate = result
            if answer is None:
                yield None, fate
            elif "result" in answer:
                yield answer["result"], ""
            elif "error" in answer:
                raise RuntimeError(answer["error"])
            else:
                raise MemoryError
    finally:
        ended.set()
        for process in started:
            process.end()


def beat() -> None:
    """Say that the work goes on; called between the frames of a video, for example."""
    if _watchdog is not None:
        _watchdog.beat()


class _Process:
    """A process that calls a function, seen from the one that started it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        name = f"{function.__module__}:{function.__name__}"
        # In a session of its own it hears no Ctrl-C, and ends by itself when its standard input does.
        command = [sys.executable, "-c", _START, name, str(threads.PATIENCE), *sys.path]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, start_new_session=True)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._items, self._answers = self._process.stdin, self._process.stdout
        if not self._answers.readline():
            raise RuntimeError(f"no process for {name} could be started")

    def ask(self, item: JSON) -> JSON:
        """What the function makes of an item; None if the process is gone."""
        try:
            self._items.write(json.dumps(item).encode() + b"\n")
            self._items.flush()
            line = self._answers.readline()
        except (OSError, ValueError):  # it is gone, or was ended here
            return None
        return json.loads(line) if line.endswith(b"\n") else None

    def fate(self) -> str:
        """How the process ended."""
        code = self._process.wait()
        if code == _NO_END:
            return f"no answer within {threads.PATIENCE} seconds"
        if code >= 0:
            return f"its decoder ended with code {code}"
        memory = ", as happens when memory runs out" if -code == getattr(signal, "SIGKILL", 0) else ""
        return f"its decoder crashed by {signal.Signals(-code).name}{memory}"

    def end(self) -> None:
        """End the process, whatever it is at."""
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(OSError):
            self._items.close()
        self._answers.close()


class _Watchdog:
    """Ends this process if nothing is heard for some seconds, also where a decoder does not let Python run."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._nowhere = open(os.devnull, "w")  # noqa: SIM115, PTH123 - for as long as the process lives
        self._last = 0.0

    def beat(self) -> None:
        now = time.monotonic()
        if now - self._last > 0.5:  # a thread is started each time
            self._last = now
            faulthandler.dump_traceback_later(self._seconds, exit=True, file=self._nowhere)

    def rest(self) -> None:
        faulthandler.cancel_dump_traceback_later()
        self._last = 0.0


def _serve(name: str, patience: str) -> None:
    """What such a process does: call a function for every line of its standard input."""
    global _watchdog
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get among the answers
    module, _, function = name.partition(":")
    call = getattr(importlib.import_module(module), function)
    _watchdog = _Watchdog(float(patience))
    answers.write(b"\n")
    answers.flush()
    for line in sys.stdin.buffer:
        _watchdog.beat()
        try:
            answer = {"result": call(*json.loads(line))}
        except MemoryError:
            answer = {"memory": None}
        except Exception:
            answer = {"error": traceback.format_exc()}
        _watchdog.rest()
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()
