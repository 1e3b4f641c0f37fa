"""Settings for every test."""

import logging

import pytest
from hypothesis import settings

# No test asserts a time, and the examples are the same on every run.
settings.register_profile("longtail", deadline=None, derandomize=True, database=None, max_examples=50)
settings.load_profile("longtail")


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """What is told of a set, through Lightning's logger."""
    monkeypatch.setattr(logging.getLogger("lightning.pytorch"), "propagate", True)
    caplog.set_level(logging.INFO)
    return caplog
