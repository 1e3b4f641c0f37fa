"""Ctrl-C and SIGTERM as a command takes them, twice and in the middle of what lets no Python run."""

import signal
import subprocess
import sys
import time

import pytest

from longtail.cli import main as module
from longtail.cli.main import main

STUCK = """
import hashlib
from longtail.cli import interrupts
interrupts.TWICE = 0.1
interrupts.insist()
print("there", flush=True)
hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)  # like a decoder: in C, for minutes
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_twice_a_command_ends_whatever_it_is_at(number: signal.Signals) -> None:
    setup = f"import signal\nsignal.signal({int(number)}, lambda *_: None)\n"
    args, pipe = [sys.executable, "-c", setup + STUCK], subprocess.PIPE
    with subprocess.Popen(args, text=True, stdout=pipe, stderr=pipe) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        process.send_signal(number)
        time.sleep(0.3)
        assert process.poll() is None
        process.send_signal(number)
        assert process.communicate(timeout=60)[1] == "longtail: stopped\n"
    assert process.returncode == 130


@pytest.mark.parametrize(("reason", "line"), [("", "stopped"), ("stopped; go on by: this", "stopped; go on by: this")])
def test_a_command_that_is_stopped_says_so(
    reason: str, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(args: list[str]) -> int:
        raise KeyboardInterrupt(*[reason] * bool(reason))

    monkeypatch.setitem(module.COMMANDS, "recipes", interrupt)
    assert main(["recipes"]) == 130
    assert capsys.readouterr().err == f"longtail: {line}\n"
