"""Runs of images on other sets: evaluated, predicted from lists, and validated on files that are given apart."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import fails, results
from PIL import Image
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, f1_score, recall_score

from longtail.cli.main import main
from longtail.data.images.folder import Folder, Table
from longtail.errors import InputError

FAST = ["--epochs", "1", "--workers", "0", "--batch-size", "8", "--backbone", "resnet8_cifar", "--image-size", "16"]
CLASSES = {"ant": 40, "bee": 100, "cat": 160}


def paint(folder: Path, counts: dict[str, int], seed: int) -> Path:
    """Images of some brightness with noise, in class folders."""
    random = np.random.default_rng(seed)
    for name, number in counts.items():
        (folder / name).mkdir(parents=True)
        for i in range(number):
            pixels = np.clip(random.normal(CLASSES.get(name, 200), 60, (20, 24, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on three classes, with weights by difficulty, and on other images the same."""
    folder = tmp_path_factory.mktemp("other")
    paint(folder / "photos", {"bee": 12, "ant": 20, "cat": 8}, 0)
    run = folder / "run"
    fitting = ["fit", "--recipe", "cdb_w", "--data", str(folder / "photos"), "--run", str(run), *FAST]
    assert main(fitting) == 0
    return run


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    """The run, in a folder without the images that it was trained on."""
    return Path(shutil.copytree(run, tmp_path / "copy"))


def evaluation(run: Path, name: str) -> dict[str, Any]:
    """The evaluation of the best checkpoint in a file of the run."""
    content = json.loads((run / f"{name}.json").read_text())
    (evaluation,) = [entry for entry in content["evaluations"] if entry["checkpoint"] == "best"]
    return dict(evaluation)


def answers_of(run: Path, path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """The most likely class of every file."""
    capsys.readouterr()
    assert main(["predict", str(run), str(path), "--top-k", "1"]) == 0
    return {row["path"]: row["class_1"] for row in csv.DictReader(capsys.readouterr().out.splitlines())}


def test_the_figures_on_another_folder_are_those_of_its_predictions(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (copy / "results.json").read_bytes()
    folder = paint(tmp_path / "field", {"cat": 9, "ant": 6, "bee": 11}, 1)
    assert main(["test", str(copy), "--data", str(folder), "--precision", "32-true"]) == 0
    assert (copy / "results.json").read_bytes() == before
    answers = answers_of(copy, folder, capsys)
    true, predictions = [Path(path).parent.name for path in answers], list(answers.values())
    figures = evaluation(copy, "test-field")
    assert (figures["split"], figures["images"]) == ("test", 26)
    assert figures["metrics"]["macro_f1"] == pytest.approx(f1_score(true, predictions, average="macro"))
    assert figures["metrics"]["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(true, predictions))
    assert results(copy)["classes"] == sorted(CLASSES)
    recall = recall_score(true, predictions, average=None, labels=sorted(CLASSES))
    assert figures["per_class"]["accuracy"] == pytest.approx(recall)
    assert figures["per_class"]["images"] == [6, 11, 9]
    confusion = confusion_matrix(true, predictions, labels=sorted(CLASSES))
    for pair in figures["confusions"]:
        assert confusion[pair["true"], pair["predicted"]] == pair["images"]
    assert {answers[str(folder / mistake["name"])] for mistake in figures["mistakes"]} <= set(predictions)
    for mistake in figures["mistakes"]:
        assert answers[str(folder / mistake["name"])] == sorted(CLASSES)[mistake["predicted"]]


def test_a_table_a_split_and_a_part_of_the_classes(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = tmp_path / "whole"
    paint(whole / "Test", {"cat": 9, "bee": 3}, 1)
    paint(whole / "train", {"wolf": 2}, 2)
    assert main(["test", str(copy), "--data", str(whole)]) == 0
    assert "1 of 3 classes have no test image: ant" in capsys.readouterr().err
    figures = evaluation(copy, "test-whole")
    assert figures["per_class"]["images"] == [0, 3, 9]
    assert figures["per_class"]["accuracy"][0] is None
    rows = sorted((whole / "Test").glob("*/*.png"), key=lambda path: path.name)
    table = tmp_path / "field.csv"
    table.write_text("path,label\n" + "".join(f"{path.relative_to(tmp_path)},{path.parent.name}\n" for path in rows))
    assert main(["validate", str(copy), "--data", str(table)]) == 0
    partial = evaluation(copy, "val-field")
    assert partial["split"] == "val"
    assert partial["per_class"] == figures["per_class"]
    line = fails(capsys, "validate", str(copy), "--data", str(whole))
    assert "not one val folder; give the folder that holds the class folders, such as" in line


def test_other_classes_and_the_set_of_the_run_are_refused(
    copy: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(path.name for path in copy.iterdir())
    folder = paint(tmp_path / "other", {"cat": 1, "wolf": 1, "elk": 2}, 1)
    (folder / "empty").mkdir()
    line = fails(capsys, "test", str(copy), "--data", str(folder))
    assert "other has classes that training lacks: elk, wolf; its 3 classes are ant, bee, cat" in line
    (tmp_path / "o.csv").write_text("path,label\nother/wolf/0.png,wolf\nother/elk/0.png,elk\nother/cat/0.png,cat\n")
    line = fails(capsys, "test", str(copy), "--data", str(tmp_path / "o.csv"))
    assert "label wolf is not one of the 3 known classes (ant, bee, cat), nor is elk" in line
    line = fails(capsys, "test", str(copy), "--data", str(run.parent / "photos"))
    assert "photos is what the run was trained on: leave out --data" in line
    assert "no folder or table at ./gone" in fails(capsys, "test", str(copy), "--data", "./gone")
    line = fails(capsys, "test", str(copy), "--data", "digits_lt")
    assert "DigitsLT is evaluated by runs that were trained on it alone: leave out --data" in line
    assert sorted(path.name for path in copy.iterdir()) == before


def test_lists_are_predicted_as_they_say(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    field = paint(tmp_path / "field", {"cat": 2, "ant": 2}, 1)
    (field / "a b").mkdir()
    shutil.copy(field / "cat/0.png", field / "a b/c 1.png")
    names = ["field/cat/1.png", "./field/ant/0.png", str(field / "ant/1.png"), "field/a b/c 1.png"]
    by_file = {Path(path).resolve(): name for path, name in answers_of(run, field, capsys).items()}
    for file, text in {
        "l.csv": "id,path\n" + "".join(f"7,{name}\n" for name in names),
        "l.tsv": "path\tlabel\n" + "".join(f"{name}\tnobody\n" for name in names),
        "l.txt": "".join(f"{name}\n" for name in names),
        "m.lst": "".join(f"{name} 12\n\n" for name in names),
    }.items():
        (tmp_path / file).write_text(text)
        answers = answers_of(run, tmp_path / file, capsys)
        assert list(answers) == names
        for name, answer in answers.items():
            assert answer == by_file[(tmp_path / name).resolve()]
    (tmp_path / "l.csv").write_text("path\nfield/cat/0.png\nfield/cat/7.png\n")
    assert "l.csv, line 3: no such file" in fails(capsys, "predict", str(run), str(tmp_path / "l.csv"))
    (tmp_path / "l.csv").write_text("image\nfield/cat/0.png\n")
    assert "no column called path, only image" in fails(capsys, "predict", str(run), str(tmp_path / "l.csv"))
    (tmp_path / "l.txt").write_text("\n")
    assert "the table is empty" in fails(capsys, "predict", str(run), str(tmp_path / "l.txt"))


@pytest.mark.parametrize("place", ["inside", "beside", "elsewhere"])
def test_a_folder_with_a_table_for_validation(tmp_path: Path, log: pytest.LogCaptureFixture, place: str) -> None:
    photos = paint(tmp_path / "photos", {"ant": 4, "bee": 3}, 0)
    (tmp_path / "lists").mkdir()
    start = {"inside": photos, "beside": tmp_path, "elsewhere": tmp_path / "lists"}[place]
    begin = "photos/" if place == "beside" else ""
    (start / "val.csv").write_text(f"file,class\n{begin}bee/1.png,bee\n{begin}ant/3.png,ant\n")
    columns = {"path_column": "file", "label_column": "class"}
    data = Folder(root=photos, val=start / "val.csv", batch_size=2, **columns)
    names = {split: [data.file_name(split, row) for row in range(data.size(split))] for split in ("train", "val")}
    assert sorted(names["val"]) == ["ant/3.png", "bee/1.png"]
    assert sorted(names["train"]) == ["ant/0.png", "ant/1.png", "ant/2.png", "bee/0.png", "bee/2.png"]
    assert data.splits.val is not None
    assert data.splits.val.targets.tolist() == [1, 0]
    assert data.image_counts == [3, 2]
    assert "not trained on 2 images of" in log.text


def test_a_folder_or_a_table_with_a_folder_for_validation_and_test(tmp_path: Path) -> None:
    photos = paint(tmp_path / "photos", {"ant": 4, "bee": 3}, 0)
    later = paint(tmp_path / "later", {"bee": 2}, 1)
    (tmp_path / "t.csv").write_text("path,label\nphotos/bee/0.png,bee\nphotos/ant/0.png,ant\nphotos/ant/1.png,ant\n")
    for data in (
        Folder(root=photos, val=later, test=tmp_path / "t.csv", batch_size=2),
        Table(table=tmp_path / "t.csv", val=later, batch_size=2),
    ):
        assert data.splits.val is not None
        assert (data.classes, data.splits.val.targets.tolist()) == (["ant", "bee"], [1, 1])
    paint(tmp_path / "split/train", {"ant": 2, "bee": 2}, 0)
    paint(tmp_path / "split/val", {"ant": 1}, 0)
    with pytest.raises(InputError, match=r"split has a val folder: leave it or --data\.val out"):
        _ = Folder(root=tmp_path / "split", val=later, batch_size=2).splits
    paint(later, {"wolf": 1}, 3)
    with pytest.raises(InputError, match="later has classes that training lacks: wolf"):
        _ = Folder(root=photos, val=later, batch_size=2).splits
