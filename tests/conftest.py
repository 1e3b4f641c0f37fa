"""Settings for every test."""

import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator

import pytest
from hypothesis import settings

# One thread in every process, said before torch is imported and inherited by what a test starts: the workers of pytest
# take the cores between them, and where each of them starts as many threads as there are cores, these mostly wait.
os.environ["OMP_NUM_THREADS"] = "1"

# No test asserts a time, and the examples are the same on every run.
settings.register_profile("longtail", deadline=None, derandomize=True, database=None, max_examples=50)
settings.load_profile("longtail")

HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)


@pytest.fixture(scope="session", autouse=True)
def nothing_is_trusted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What the user of this machine trusts is left out of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        yield


@pytest.fixture
def handlers() -> Iterator[None]:
    """What signals do is after the test what it was before."""
    before = {number: signal.getsignal(number) for number in HANDLED}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """What the package logs, such as what is left out of a set."""
    monkeypatch.setattr(logging.getLogger("longtail"), "propagate", True)
    caplog.set_level(logging.INFO, logger="longtail")
    return caplog


@pytest.fixture
def forget(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes a module one that this process has not imported; after the test it is again what it was before."""

    def drop(name: str) -> None:
        monkeypatch.setitem(sys.modules, name, None)  # so that there is something to drop, and to take back
        monkeypatch.delitem(sys.modules, name)

    return drop


@pytest.fixture
def checked_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Videos are checked in this process, which saves the start of others."""
    from longtail.files.video import reading

    monkeypatch.setattr(reading, "apart", lambda function, items: ((function(*item), "") for item in items))
