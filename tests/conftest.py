"""Settings for every test."""

import logging

import pytest
from hypothesis import settings

# No test asserts a time, and the examples are the same on every run.
settings.register_profile("longtail", deadline=None, derandomize=True, database=None, max_examples=50)
settings.load_profile("longtail")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No run of the test before."""
    monkeypatch.delenv("LONGTAIL_RUN", raising=False)


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """What the package logs, such as what is left out of a set."""
    monkeypatch.setattr(logging.getLogger("longtail"), "propagate", True)
    caplog.set_level(logging.INFO, logger="longtail")
    return caplog
