"""A run, used: which class does it, what is loaded, and what is imported for it."""

import json
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
from longtail.inference import Classifier, load_run
from longtail.inference.runs import without_starts
from longtail.methods import Plain
from longtail.models import Backbone

METHOD = {
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


def changed(run: Path, folder: Path, **change: object) -> Path:
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
    assert config["backbone"]["init_args"]["weights"] == "a.pt", "that of the caller is left as it is"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("gone.Mine", "used by gone.Mine, which cannot be imported"),
        ("longtail.inference.Gone", "cannot be imported"),
        ("Classifier", "cannot be imported"),
        ("longtail.methods.Plain", "is no longtail.inference.Predictor"),
        ("longtail.inference.load_run", "is no longtail.inference.Predictor"),
    ],
)
@pytest.mark.parametrize("command", ["predict", "export"])
def test_a_predictor_that_is_none_is_one_line(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], path: str, message: str, command: str
) -> None:
    other = changed(run, tmp_path / "other", predictor=path)
    assert message in fails(capsys, command, str(other), *["a.png"] * (command == "predict"))


def test_a_method_of_another_kind_is_one_line(run: Path, tmp_path: Path) -> None:
    other = changed(run, tmp_path / "other", predictor="longtail.inference.Detector")
    (other / "last.ckpt").write_bytes((run / "last.ckpt").read_bytes())
    with pytest.raises(InputError, match="the method Plain is no RCNN"):
        load_run(other)


def test_every_group_of_options_stands_in_the_help(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command, options in (
        ("predict", ("--top-k", "--score", "--overlays", "for runs of segmentation")),
        ("export", ("--strength", "--size")),
    ):
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert not ended.value.code
        helped = capsys.readouterr().out
        assert [option for option in options if option not in helped] == []
    with pytest.raises(SystemExit):
        main(["predict", str(run), "--help"])
    helped = capsys.readouterr().out
    assert "--top-k" in helped
    assert "--score" not in helped


def test_options_of_other_runs(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = str(run / "images")
    for option, whose in (("--overlays", "detection and segmentation"), ("--annotations", "detection")):
        for words in ([option, "x"], [f"{option}=x"]):
            expected = f"{option} is for runs of {whose}, this one is of classification: leave it out"
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
    ("command", "imported"), [(["predict", "images"], "[]"), (["report", "--output", "r.html"], "['matplotlib']")]
)
def test_using_a_run_loads_no_lightning(run: Path, command: list[str], imported: str) -> None:
    name, *rest = command
    words = [sys.executable, "-c", HEAVY, name, ".", *rest]
    done = subprocess.run(words, cwd=run, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == imported
