"""Ctrl-C and SIGTERM, as a command takes them."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType

from longtail.cli.log import last_word
from longtail.launch import alone, is_first
from longtail.signals import SIGNALS, STOPPED, TWICE

GRACE = 0.8  # seconds in which a command may end by itself


@contextlib.contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM ends a command as Ctrl-C does; it may come twice, as timeout sends it to the process and to its group."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def leave_at_once(code: int) -> None:
    """End the process, and do not wait for Python to take itself apart, which takes seconds once torch is loaded."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(code)


def insist() -> None:
    """From now on a second request to stop ends the process within a second, whatever it is at: a library in the
    middle of something, such as the decoding of a damaged file, may let no Python code run in the first thread."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    threading.Thread(target=_end_if_asked_again, args=(reading,), daemon=True).start()


def _end_if_asked_again(requests: int) -> None:
    first: float | None = None
    while (number := os.read(requests, 1)) != b"":
        now = time.monotonic()
        if number[0] not in SIGNALS:
            continue
        if first is not None and now - first > TWICE:
            time.sleep(GRACE)
            if is_first():
                last_word("longtail: stopped")
            leave_at_once(STOPPED)
        first = first or now


def run_command(args: list[str]) -> int:
    """Run a command of longtail in a process of its own, and let it end by itself when it is stopped."""
    insisting = signal.set_wakeup_fd(-1)  # this process ends when the other does
    try:
        with subprocess.Popen([sys.executable, "-m", "longtail", *args], env=alone(dict(os.environ))) as process:
            while True:
                try:
                    return process.wait()
                except KeyboardInterrupt:  # the process, which may have got it too, saves what it has
                    process.send_signal(signal.SIGINT)
    finally:
        signal.set_wakeup_fd(insisting)
