"""A run from shards is the run from the files, to the bit."""

import json
import shutil
from pathlib import Path

import pytest
from command import assert_same_epochs, assert_same_weights, fails, results, stopping
from pictures import photos

from longtail.cli.main import main
from longtail.data import Folder
from longtail.tasks.classification import Classification

CLASSES = {"bee": 9, "ant.x": 15, "cat": 5}
FAST = ["--backbone", "test_efficientnet", "--epochs", "2", "--batch-size", "4", "--workers", "0", "--image-size", "32"]
ON_CPU = ["--trainer.accelerator", "cpu", "--trainer.logger", "false"]
SAMPLED = ["--data.sampling", "longtail.data.PowerSampling", *ON_CPU]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos, and the same in shards."""
    folder = tmp_path_factory.mktemp("place")
    photos(folder / "photos", CLASSES, (40, 48), 60, "shot.{}.jpg")
    assert main(["pack", str(folder / "photos"), str(folder / "shards"), "--shard-size", "1"]) == 0
    return folder


def fit(place: Path, data: str, run: str, *options: str) -> int:
    data_and_run = ["--data", str(place / data), "--run", str(place / run)]
    return main(["fit", "--recipe", "ce", *data_and_run, *FAST, *SAMPLED, *options])


@pytest.fixture(scope="module")
def of_files(place: Path) -> Path:
    assert fit(place, "photos", "of-files") == 0
    return place / "of-files"


def test_a_run_from_shards_that_was_stopped_and_resumed_is_that_from_files(place, of_files):
    with stopping(Classification, 1, 2):
        assert fit(place, "shards", "of-shards", "--workers", "1") == 130
    run = place / "of-shards"
    assert results(run)["status"] != "finished"
    assert main(["fit", "--resume", str(run)]) == 0
    assert_same_weights(run, of_files)
    assert (run / "splits.json.gz").read_bytes() == (of_files / "splits.json.gz").read_bytes()
    assert_same_epochs(run, of_files)


def test_a_run_is_evaluated_on_shards_of_its_classes(place, of_files):
    shutil.copytree(place / "photos", place / "copy")  # what it was trained on is not taken as another set
    for name in ("shards", "copy"):
        assert main(["validate", str(of_files), "--data", str(place / name), "--workers", "0"]) == 0
    of_shards, of_photos = (json.loads((of_files / f"val-{name}.json").read_text()) for name in ("shards", "copy"))
    for ours, theirs in zip(of_shards["evaluations"], of_photos["evaluations"], strict=True):
        assert ours["metrics"] == theirs["metrics"]


def test_groups_stay_without_being_asked_for_again(place):
    (place / "t.csv").write_text("path,label,who\nphotos/bee/shot.0.jpg,bee,p\nphotos/cat/shot.1.jpg,cat,q\n")
    assert main(["pack", str(place / "t.csv"), str(place / "once"), "--data.group", "who"]) == 0
    assert main(["pack", str(place / "once"), str(place / "twice")]) == 0
    for options in ({}, {"group": "who"}):
        assert sorted(Folder(place / "twice", **options).list_images()["all"].groups) == ["p", "q"]


def test_what_is_not_packed(place, capsys):
    shards = str(place / "shards")
    assert "is not an empty folder" in fails(capsys, "pack", str(place / "photos"), shards)
    assert "which it is packed from" in fails(capsys, "pack", str(place / "photos"), str(place / "photos" / "out"))
    assert "--shard-size takes" in fails(capsys, "pack", "a", "b", "--shard-size", "0")
    assert "give what to pack" in fails(capsys, "pack", "a")
    assert "copy it to the store" in fails(capsys, "pack", str(place / "photos"), "s3://bucket/out")
    (place / "several.csv").write_text("path,label\nphotos/bee/shot.0.jpg,a|b\nphotos/bee/shot.1.jpg,b\n")
    options = ["--data.table", str(place / "several.csv")]
    assert "image files with one class each" in fails(capsys, "pack", "MultiLabelTable", str(place / "out"), *options)
    assert not (place / "out").exists()
