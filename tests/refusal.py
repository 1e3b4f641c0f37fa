"""What reading a data set refuses."""

from pathlib import Path

import pytest

from longtail.errors import InputError
from longtail.files.entries import Reading
from longtail.files.formats.known import read_file, read_folder


def refusal(place: Path, reading: Reading | None = None) -> str:
    """The one line that a folder or a file is refused by."""
    reading = reading or Reading()
    with pytest.raises(InputError) as caught:
        read_folder(place, reading) if place.is_dir() else read_file(place, None, reading)
    assert "\n" not in str(caught.value)
    return str(caught.value)
