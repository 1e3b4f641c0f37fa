"""What the data modules take for a path."""

import inspect
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from discovery import classes_of, options_of
from pictures import photos

import longtail.data
from longtail.data import Folder, Table
from longtail.data.base import LongTailData
from longtail.plain import AnyPath

PATHS = (AnyPath, AnyPath | None)  # as they are when the package runs


class Place(os.PathLike[str]):
    """A path that is neither a text nor a ``Path``."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return self.path


def cases() -> Iterator[tuple[type[LongTailData], str]]:
    """Every data module, with each of its options that are paths."""
    for kind in classes_of(longtail.data, LongTailData):
        yield from ((kind, name) for name, option in options_of(kind).items() if option.annotation in PATHS)


def state(data: LongTailData) -> dict[str, object]:
    """What a data module keeps of its paths and texts."""
    return {name: value for name, value in vars(data).items() if isinstance(value, Path | str | dict)}


@pytest.mark.parametrize(
    ("kind", "name"), [pytest.param(kind, name, id=f"{kind.__name__}-{name}") for kind, name in cases()]
)
def test_a_path_may_be_given_as_text(kind: type[LongTailData], name: str) -> None:
    options: dict[str, Any] = {
        option: Path("a/set") if parameter.annotation in PATHS else "a/set"
        for option, parameter in options_of(kind).items()
        if parameter.default is inspect.Parameter.empty and parameter.annotation in (*PATHS, str)
    }
    expected = state(kind(**{**options, name: Path("some/place")}))
    assert "some/place" in str(expected)
    for place in ("some/place", "./some/place/", Place("some/place")):
        assert state(kind(**{**options, name: place})) == expected


def test_every_data_module_that_reads_a_path_is_tried() -> None:
    tried = {kind.__name__ for kind, _ in cases()}
    assert tried >= set(longtail.data.__all__) - {"DifficultySampling", "PowerSampling", "RepeatFactorSampling"}


def test_a_folder_and_a_table_that_are_given_as_text_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos(tmp_path / "photos", {"cat": 8, "dog": 4}, (20, 20), 100)
    rows = [f"{file.relative_to(tmp_path)},{file.parent.name}" for file in sorted(tmp_path.rglob("*.png"))]
    (tmp_path / "photos.csv").write_text("\n".join(["path,label", *rows]) + "\n")
    (tmp_path / "val.csv").write_text("\n".join(["path,label", rows[0], rows[-1]]) + "\n")
    monkeypatch.chdir(tmp_path)
    for data in (Folder("photos", batch_size=4, num_workers=0), Table("photos.csv", batch_size=4, num_workers=0)):
        assert (data.classes, data.image_counts) == (["cat", "dog"], [6, 3])
    data = Folder("photos", val="val.csv", batch_size=4, num_workers=0)
    assert (data.image_counts, data.size("val")) == ([7, 3], 2)
