"""Folders that one process writes at a time, and what the system refuses."""

import errno
import os
from pathlib import Path

import pytest
from reports.sample import make_results

from longtail import writing
from longtail.errors import InputError
from longtail.reports.results import load_results, save_results
from longtail.writing import check_can_be_made, is_held, is_unused, locked, remove_unused, system_error


def test_a_folder_is_held_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "LOCK_PATIENCE", 0)
    with locked(tmp_path), pytest.raises(InputError, match="in use by another process"), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass


def test_whether_a_folder_is_held(tmp_path: Path) -> None:
    assert not is_held(tmp_path)
    with locked(tmp_path):
        assert is_held(tmp_path)
    assert not is_held(tmp_path)


def test_a_run_that_nobody_holds_does_not_run(tmp_path: Path) -> None:
    save_results(tmp_path, {**make_results(epochs=1), "status": "running"})
    assert load_results(tmp_path)["status"] == "interrupted"
    with locked(tmp_path):
        assert load_results(tmp_path)["status"] == "running"


def test_what_a_killed_process_left_is_cleared(tmp_path: Path) -> None:
    for name in (".results.json.0123abcd.tmp", "last.ckpt.part"):
        (tmp_path / name).touch()
    assert is_unused(tmp_path)
    (tmp_path / "config.yaml").touch()
    assert not is_unused(tmp_path)
    with locked(tmp_path):
        assert {path.name for path in tmp_path.iterdir()} == {".lock", "config.yaml"}


def test_a_folder_that_cannot_be_made_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_can_be_made(tmp_path / "a" / "b")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file is no folder"):
        check_can_be_made(tmp_path / "file" / "run")
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    with pytest.raises(InputError, match="cannot be written"):
        check_can_be_made(tmp_path / "a")


def test_the_system_s_refusals_name_the_file_and_the_way_out() -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "run/results.json")
    assert str(system_error(full)) == "run/results.json: No space left on device: free some space"
    assert str(system_error(OSError(errno.ENOSPC, "No space"))).startswith("standard output: ")
    long = system_error(OSError(errno.ENAMETOOLONG, "File name too long", "x" * 300))
    assert "shorter" in str(long)
    assert len(str(long)) < 250
    assert system_error(OSError(errno.ENOENT, "No such file", "code.py")) is None


def test_a_folder_is_removed_where_nothing_was_written(tmp_path: Path) -> None:
    for name, files in (("bare", [".lock"]), ("empty", []), ("used", [".lock", "config.yaml"])):
        (tmp_path / name).mkdir()
        for file in files:
            (tmp_path / name / file).touch()
        remove_unused(tmp_path / name)
    remove_unused(tmp_path / "gone")
    assert [path.name for path in tmp_path.iterdir()] == ["used"]
    assert len(list((tmp_path / "used").iterdir())) == 2
