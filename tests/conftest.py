"""Settings for every test."""

import pytest
from hypothesis import settings

# No test asserts a time, and the examples are the same on every run.
settings.register_profile("longtail", deadline=None, derandomize=True, database=None, max_examples=50)
settings.load_profile("longtail")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No run of the test before."""
    monkeypatch.delenv("LONGTAIL_RUN", raising=False)
