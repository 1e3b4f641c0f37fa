"""How what is kept of a set gets its name."""

from pathlib import Path

import pytest

from longtail.files.cache import settle


def folder(path: Path, content: str) -> Path:
    path.mkdir()
    (path / "content").write_text(content)
    return path


@pytest.mark.parametrize(
    ("there", "result"), [(None, "ours"), ("whole", "whole"), ("damaged", "ours")], ids=["none", "quicker", "damaged"]
)
def test_a_folder_gets_its_name_unless_another_was_quicker(tmp_path, there, result):
    part, named = folder(tmp_path / "part", "ours"), tmp_path / "named"
    if there:
        folder(named, there)
    settle(part, named, lambda: (named / "content").read_text() == "whole")
    assert (named / "content").read_text() == result
    assert list(tmp_path.iterdir()) == [named]


def test_what_the_system_refuses_is_raised(tmp_path):
    part = folder(tmp_path / "part", "ours")
    with pytest.raises(OSError, match="named"):
        settle(part, tmp_path / "missing" / "named", lambda: False)
