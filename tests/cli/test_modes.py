"""Whoever may read what others write may read what the commands write: all of it has the usual mode."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import FIT_DIGITS
from PIL import Image

from longtail.cli.main import main


@pytest.fixture
def group_reads() -> Iterator[None]:
    """The group may read what is written, and others nothing."""
    before = os.umask(0o027)
    yield
    os.umask(before)


@pytest.mark.skipif(os.name == "nt", reason="a system without such modes")
def test_everything_has_the_usual_mode(tmp_path: Path, group_reads: None) -> None:
    pytest.importorskip("onnxscript")
    run = tmp_path / "made" / "run"
    short = ["--epochs", "1", "--precision", "32-true", "--trainer.limit_train_batches", "1"]
    assert main([*FIT_DIGITS, "--run", str(run), *short]) == 0
    assert main(["report", str(run)]) == 0
    Image.new("RGB", (20, 20), "red").save(tmp_path / "a.png")
    folder = run.parent
    assert main(["predict", str(run), str(tmp_path / "a.png"), f"--output={folder / 'predictions.csv'}"]) == 0
    assert main(["export", str(run)]) == 0
    modes = {path: path.stat().st_mode & 0o777 for path in folder.rglob("*")}
    files = {path: mode for path, mode in modes.items() if path.is_file()}
    kinds = {".ckpt", ".yaml", ".json", ".html", ".csv", ".onnx", ".safetensors"}
    assert {path.suffix for path in files} >= kinds
    assert {path: oct(mode) for path, mode in files.items() if mode != 0o640} == {}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o750}
