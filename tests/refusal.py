"""What reading a data set refuses."""

from collections.abc import Callable
from pathlib import Path

import pytest

from longtail.errors import InputError
from longtail.files.formats.known import read_file, read_folder
from longtail.files.tables.entries import Reading


def refusal_of(call: Callable[[], object]) -> str:
    """The one line that a call is refused by."""
    with pytest.raises(InputError) as error:
        call()
    assert "\n" not in str(error.value)
    return str(error.value)


def refusal(place: Path, reading: Reading | None = None) -> str:
    """The one line that a folder or a file is refused by."""
    reading = reading or Reading()
    return refusal_of(lambda: read_folder(place, reading) if place.is_dir() else read_file(place, None, reading))
