"""A run, used: which class does it, what is loaded, and what is imported for it."""

import csv
import inspect
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from command import fails
from PIL import Image
from reports.sample import make_detection, make_results, write_run

from longtail.cli.main import main
from longtail.errors import InputError
from longtail.inference import Classifier, export_run, load_run
from longtail.inference.runs import without_starts
from longtail.methods import Plain
from longtail.models import Backbone
from longtail.reports.results import load_results

METHOD: dict[str, Any] = {
    "class_path": "longtail.methods.Plain",
    "init_args": {
        "backbone": {
            "class_path": "longtail.models.Backbone",
            "init_args": {"name": "resnet20_cifar", "weights": "/gone.pt"},
        },
        "loss": "longtail.losses.CrossEntropyLoss",
    },
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of classification that was never trained, and ten images in its folder images/."""
    folder = tmp_path_factory.mktemp("run")
    results: Any = make_results()
    results["config"] = yaml.safe_dump({"model": {"init_args": {"method": METHOD}}})
    results["data"]["input"] = {
        "size": 16,
        "mean": [0.5] * 3,
        "std": [0.5] * 3,
        "interpolation": "bilinear",
        "crop": 0.875,
    }
    write_run(folder, results)
    from longtail.losses import CrossEntropyLoss

    state = Plain(results["train_counts"], Backbone("resnet20_cifar"), CrossEntropyLoss()).state_dict()
    torch.save({"state_dict": {f"method.{name}": value for name, value in state.items()}}, folder / "last.ckpt")
    (folder / "images").mkdir()
    for index in range(10):
        pixels = np.random.default_rng(index).integers(0, 255, (20, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{index}.png")
    return folder


def variant(run: Path, folder: Path, **change: object) -> Path:
    """A run with other results, without a checkpoint."""
    results = json.loads((run / "results.json").read_text())
    return write_run(folder, {**results, **change})


def test_the_weights_that_a_backbone_started_from_are_not_looked_for(run: Path) -> None:
    classifier = load_run(run)
    assert isinstance(classifier, Classifier)
    assert classifier.method.num_classes == 10
    assert not classifier.method.training


def test_no_other_weights_are_left_out() -> None:
    inner = {"class_path": "mine.Network", "init_args": {"pretrained": True, "width": 2}}
    config = {
        "backbone": {"init_args": {"weights": "a.pt", "backbone": inner}},
        "loss": {"init_args": {"weights": [1.0, 2.0], "pretrained": True}},
        "weights": 3,
    }
    assert without_starts(config) == {
        "backbone": {
            "init_args": {
                "weights": None,
                "backbone": {"class_path": "mine.Network", "init_args": {"pretrained": False, "width": 2}},
            }
        },
        "loss": {"init_args": {"weights": [1.0, 2.0], "pretrained": True}},
        "weights": 3,
    }
    weights = {"init_args": {"weights": "a.pt"}}
    tau = {"class_path": "longtail.models.TauClassifier", **weights}
    mine = {"class_path": "mine.Classifier", "init_args": {"weights": [1, 2]}}
    assert without_starts({"parts": [{"backbone": [weights, inner]}, {"classifier": tau}, {"classifier": mine}]}) == {
        "parts": [
            {
                "backbone": [
                    {"init_args": {"weights": None}},
                    {"class_path": "mine.Network", "init_args": {"pretrained": False, "width": 2}},
                ]
            },
            {"classifier": {**tau, "init_args": {"weights": None}}},
            {"classifier": mine},
        ]
    }
    assert config["backbone"]["init_args"]["weights"] == "a.pt", "that of the caller is left as it is"


@pytest.mark.parametrize(
    ("path", "options", "message"),
    [
        ("gone.Mine", [], "if you know what it is, add --trust gone"),
        ("gone_too.Mine", ["--trust", "gone_too"], "used by gone_too.Mine, which cannot be imported"),
        ("longtail.inference.Gone", [], "no run may build"),
        ("Classifier", [], "add --trust Classifier"),
        ("longtail.methods.Plain", [], "no run may build"),
        ("timm.layers.Mlp", ["--trust", "timm.layers"], "is no longtail.inference.Predictor"),
        ("longtail.inference.Predictor", [], "no run may build"),
    ],
)
@pytest.mark.parametrize("command", ["predict", "export"])
def test_a_predictor_that_is_none_is_one_line(
    run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    path: str,
    options: list[str],
    message: str,
    command: str,
) -> None:
    copy = variant(run, tmp_path / "other", predictor=path)
    assert message in fails(capsys, command, str(copy), *["a.png"] * (command == "predict"), *options)


def test_a_method_of_another_kind_is_one_line(run: Path, tmp_path: Path) -> None:
    copy = variant(run, tmp_path / "other", predictor="longtail.inference.Detector")
    (copy / "last.ckpt").write_bytes((run / "last.ckpt").read_bytes())
    with pytest.raises(InputError, match="the method Plain is no RCNN"):
        load_run(copy)


BACKBONE = METHOD["init_args"]["backbone"]
LINEAR = {"class_path": "torch.nn.Linear", "init_args": {"in_features": -3, "out_features": 2}}


def damage(run: Path, folder: Path, method: object) -> Path:
    """A run whose configuration has another method."""
    copy = variant(run, folder, config=yaml.safe_dump({"model": {"init_args": {"method": method}}}))
    (copy / "last.ckpt").write_bytes((run / "last.ckpt").read_bytes())
    return copy


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"nope": 3}, "class_path 'longtail.methods.Plain': Option 'nope' is not accepted"),
        ({"loss": None}, "class_path 'longtail.methods.Plain': "),
        ({"backbone": BACKBONE["class_path"]}, "required: name"),
        ({"backbone": {**BACKBONE, "init_args": {"name": "gone"}}}, 'unknown backbone "gone"'),
        ({"backbone": {**BACKBONE, "init_args": {"name": "resnet20_cifar", "tuning": "some"}}}, 'key "tuning"'),
        ({"backbone": {**BACKBONE, "class_path": 3}}, ""),
        ({"backbone": LINEAR}, "built (Trying to create tensor with negative dimension"),
        ({"backbone": {**LINEAR, "init_args": {"in_features": 3, "out_features": 2}}}, "Linear is no backbone"),
        (
            {"loss": {"class_path": "longtail.losses.ClassBalancedLoss", "init_args": {"beta": 2}}},
            "built (beta must be in 0..1, got 2.0): restore results.json",
        ),
    ],
)
def test_a_configuration_that_cannot_be_built_is_one_line(
    run: Path, tmp_path: Path, change: dict[str, object], words: str
) -> None:
    method = {**METHOD, "init_args": {**METHOD["init_args"], **change}}
    copy = damage(run, tmp_path / "other", method)
    with pytest.raises(InputError) as error:
        load_run(copy)
    message = str(error.value)
    assert message.startswith(f"{copy}: ")
    assert "\n" not in message
    assert words in message


@pytest.mark.parametrize(
    "method", ["longtail.methods.Plain", {"class_path": "longtail.methods.Plain"}, {"class_path": ""}]
)
def test_a_method_without_its_options_is_one_line(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], method: object
) -> None:
    copy = damage(run, tmp_path / "other", method)
    assert "restore results.json" in fails(capsys, "predict", str(copy), str(run / "images"))


def test_a_fault_of_ours_keeps_its_traceback(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longtail.methods.plain.build_loss", None)
    with pytest.raises(TypeError, match="not callable") as error:
        load_run(run)
    assert error.traceback[-1].path == Path(inspect.getfile(Plain))


def test_every_group_of_options_stands_in_the_help(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command, options in (
        ("predict", ("--top-k", "--score", "--overlays", "for runs of segmentation")),
        ("export", ("--strength", "--size")),
    ):
        with pytest.raises(SystemExit) as error:
            main([command, "--help"])
        assert not error.value.code
        text = capsys.readouterr().out
        assert [option for option in options if option not in text] == []
    with pytest.raises(SystemExit):
        main(["predict", str(run), "--help"])
    text = capsys.readouterr().out
    assert "--top-k" in text
    assert "--score" not in text


def test_options_of_other_runs(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = str(run / "images")
    for option, tasks in (("--overlays", "detection and segmentation"), ("--annotations", "detection")):
        for words in ([option, "x"], [f"{option}=x"]):
            expected = f"{option} is for runs of {tasks}, this one is of classification: leave it out"
            assert fails(capsys, "predict", str(run), images, *words).endswith(expected)
            assert fails(capsys, "predict", *words, str(run), images).endswith(expected)
    detector = write_run(tmp_path / "detector", make_detection())
    line = fails(capsys, "export", str(detector), "--strength", "2")
    assert "--strength is for runs of classification, this one is of detection" in line
    assert "unrecognized arguments: --nope" in fails(capsys, "predict", str(run), images, "--nope")
    assert "the folder of a run is required" in fails(capsys, "predict")
    assert "nowhere: no such folder" in fails(capsys, "predict", "nowhere", images)


def test_an_option_may_stand_before_the_run(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["predict", "--top-k", "1", str(run), str(run / "images")]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "path,class_1,probability_1"


HEAVY = """
import sys
from longtail.cli.main import main
assert main(sys.argv[1:]) == 0
print([name for name in ("lightning", "pytorch_lightning", "torchmetrics", "tensorboard", "matplotlib")
       if name in sys.modules])
"""


@pytest.mark.parametrize(
    ("command", "modules"), [(["predict", "images"], "[]"), (["report", "--output", "r.html"], "['matplotlib']")]
)
def test_using_a_run_loads_no_lightning(run: Path, command: list[str], modules: str) -> None:
    name, *rest = command
    words = [sys.executable, "-c", HEAVY, name, ".", *rest]
    process = subprocess.run(words, cwd=run, capture_output=True, text=True, check=True)
    assert process.stdout.splitlines()[-1] == modules


def test_paths_may_be_given_as_text(run: Path, tmp_path: Path) -> None:
    classifier = load_run(run)
    classifier.predict([run / "images", run / "images" / "3.png"], tmp_path / "a.csv")
    for loaded in (load_run(str(run)), Classifier.load(str(run), load_results(str(run)))):
        loaded.predict([str(run / "images"), str(run / "images" / "3.png")], str(tmp_path / "b.csv"))
        assert (tmp_path / "b.csv").read_bytes() == (tmp_path / "a.csv").read_bytes()
    pytest.importorskip("onnxruntime")
    output = tmp_path / "export"
    assert export_run(str(run), str(output)) == [output / "model.onnx", output / "model.safetensors"]


@pytest.mark.parametrize("style", ["csv", "jsonl"])
def test_names_that_are_not_utf_8_can_be_found_again(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], style: str
) -> None:
    names = [b"a\xff\\.png", b"b\\.png", "ü.png".encode()]
    for name in names:
        (tmp_path / os.fsdecode(name)).write_bytes((run / "images" / "0.png").read_bytes())
    output = tmp_path / "answer"
    assert main(["predict", str(run), str(tmp_path), "--format", style, "--output", str(output)]) == 0
    assert capsys.readouterr().err.count("not UTF-8") == 1
    assert main(["predict", str(run), str(tmp_path), "--format", style]) == 0
    lines = output.read_text(encoding="utf-8").splitlines()
    assert lines == capsys.readouterr().out.splitlines()
    paths = [row["path"] for row in (csv.DictReader(lines) if style == "csv" else map(json.loads, lines))]
    assert [Path(path).name for path in paths[1:]] == ["b\\.png", "ü.png"], "as they are"
    assert Path(paths[0]).name.encode().decode("unicode_escape").encode("latin-1") == names[0]


def test_a_terminal_that_is_not_utf_8(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ü.png", "猫.png"):
        (tmp_path / name).write_bytes((run / "images" / "0.png").read_bytes())
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", terminal)
        assert main(["predict", str(run), str(tmp_path)]) == 0
        terminal.flush()
    answer = terminal.buffer.getvalue().decode("latin-1")  # type: ignore[attr-defined]
    assert "/ü.png," in answer
    assert "/\\u732b.png," in answer
    assert capsys.readouterr().err.count("PYTHONIOENCODING=utf-8") == 1


def test_larger_images_than_by_default(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    monkeypatch.setenv("LONGTAIL_MAX_PIXELS", "")
    command = ["predict", str(run), str(run / "images" / "0.png")]
    assert "more than 100 pixels" in fails(capsys, *command)
    assert main([*command, "--max-pixels", "400"]) == 0
    assert "more than 399 pixels" in fails(capsys, *command, "--max-pixels=399")
    assert "largest number of pixels" in fails(capsys, *command, "--max-pixels", "many")
