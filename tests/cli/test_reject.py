"""None of the classes, from the command line: scores, thresholds, and what they cost and give."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from command import FIT_DIGITS, fails
from PIL import Image

from longtail.cli.main import main
from longtail.data import DigitsLT
from longtail.inference import load_run
from longtail.inference.classification import Classifier
from longtail.inference.rejection import FILE_NAME, FeatureMeans
from longtail.posthoc import class_distance, energy, mean_directions
from longtail.reports import calibration
from longtail.reports.rejection import rejection_notes
from longtail.tasks.rejection import refused


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "ce"
    assert main([*FIT_DIGITS, "--epochs", "4", "--run", str(run)]) == 0
    return run


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of none of the classes, one of them damaged."""
    folder, random = tmp_path_factory.mktemp("noise"), np.random.default_rng(0)
    for number in range(12):
        Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    (folder / "damaged.png").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="module")
def calibrated(trained: Path, noise: Path) -> Path:
    run = trained.with_name("calibrated")
    shutil.copytree(trained, run)
    assert main(["calibrate", str(run), "--outsiders", str(noise), "--coverage", "0.8"]) == 0
    return run


@pytest.fixture(scope="module")
def outputs(calibrated: Path) -> dict[str, tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Logits, features and labels of the training and the validation images."""
    classifier, data = load_run(calibrated), DigitsLT()
    assert isinstance(classifier, Classifier)
    splits = {}
    for name in ("train", "val"):
        split = data.split(name)
        assert split is not None
        images = split.images.images  # type: ignore[attr-defined]
        logits, features = classifier.outputs(images, features=True)
        assert features is not None
        assert torch.equal(logits, classifier.logits(images))
        splits[name] = (logits, features, torch.from_numpy(split.targets))
    return splits


def test_the_scores_of_validation_images_are_those_of_their_outputs(
    calibrated: Path, outputs: dict[str, tuple[torch.Tensor, torch.Tensor, torch.Tensor]]
) -> None:
    """The class means are of the first hundred training images of each class."""
    logits, features, _ = outputs["val"]
    content = json.loads((calibrated / calibration.FILE_NAME).read_text())
    assert content["energy"] == pytest.approx(energy(logits).tolist(), abs=1e-4)
    _, train, targets = outputs["train"]
    rows = torch.cat([(targets == c).nonzero()[:100, 0] for c in range(10)])
    means = mean_directions(train[rows], targets[rows], 10)
    record = FeatureMeans.read(calibrated, (10, train.shape[1]), "best")
    assert record is not None
    torch.testing.assert_close(record.means, means.float(), atol=1e-5, rtol=0)
    torch.testing.assert_close(record.distance, class_distance(features, means), atol=1e-4, rtol=0)


@pytest.mark.parametrize("score", ["energy", "distance"])
def test_an_image_is_rejected_above_the_threshold_of_counting(
    calibrated: Path, noise: Path, tmp_path: Path, score: str
) -> None:
    """100 validation images at a rate of 0.1: above the 91st of their scores."""
    out = tmp_path / "out.csv"
    command = ["predict", str(calibrated), str(noise), "--skip-bad-images", "--top-k", "1", "--output", str(out)]
    assert main([*command, "--reject", score, "--reject-rate", "0.1"]) == 0
    means = FeatureMeans.read(calibrated, (10, 64), "best")
    assert means is not None
    energies = json.loads((calibrated / calibration.FILE_NAME).read_text())["energy"]
    threshold = sorted(energies if score == "energy" else means.distance.tolist())[90]
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert len(rows) == 12
    assert list(rows[0]) == ["path", "class_1", "probability_1", score, "rejected"]
    for row in rows:
        assert row["rejected"] == ("true" if float(row[score]) > threshold else "false")


def test_energy_at_one_in_twenty_is_the_default(calibrated: Path, noise: Path, tmp_path: Path) -> None:
    answers = []
    for options in (["--reject"], ["--reject-rate", "0.05"], ["--reject", "energy", "--coverage", "0.9"]):
        out = tmp_path / f"{len(answers)}.jsonl"
        command = ["predict", str(calibrated), str(noise), "--skip-bad-images", "--format", "jsonl"]
        assert main([*command, *options, "--output", str(out)]) == 0
        answers.append([json.loads(line) for line in out.read_text().splitlines()])
    assert answers[0] == answers[1]
    assert all(isinstance(row["rejected"], bool) for row in answers[0])
    assert [{k: v for k, v in row.items() if k != "set"} for row in answers[2]] == answers[0]


def test_figures_and_report_tell_what_it_costs_and_gives(calibrated: Path, tmp_path: Path) -> None:
    content = json.loads((calibrated / calibration.FILE_NAME).read_text())
    rejection, sets = content["rejection_figures"], content["set_figures"]
    for by_group in rejection["scores"].values():
        assert {name: figures["images"] for name, figures in by_group.items()} == {
            **{"all": 100, "many": 10, "medium": 30, "few": 60, "outsiders": 12}
        }
        shares = [by_group[group]["refused"] * by_group[group]["images"] for group in ("many", "medium", "few")]
        assert by_group["all"]["refused"] == pytest.approx(sum(shares) / 100)
        assert by_group["all"]["refused"] <= 0.12
        assert 0 <= by_group["all"]["auroc"] <= 1
        assert by_group["outsiders"]["auroc"] is None
    for by_group in sets["kinds"].values():
        assert by_group["all"]["covered"] >= 0.7
        assert 1 <= by_group["all"]["size"] <= 10
    page = tmp_path / "page.html"
    assert main(["report", str(calibrated), "--output", str(page)]) == 0
    parts = page.read_text().split("<h2>")
    (of_sets,) = [part for part in parts if part.startswith("Sets of classes</h2>")]
    assert "80.0%" in of_sets
    assert f"{100 * sets['kinds']['cluster']['few']['covered']:.1f}%" in of_sets
    (section,) = [part for part in parts if part.startswith("None of the classes</h2>")]
    assert f"{rejection['scores']['distance']['few']['auroc']:.3f}" in section


def test_what_is_missing_is_one_line(trained: Path, noise: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "longtail calibrate RUN" in fails(capsys, "predict", str(trained), str(noise), "--reject")
    assert "nowhere" in fails(capsys, "calibrate", str(trained), "--outsiders", str(noise / "nowhere"))
    assert "--reject-rate must be" in fails(capsys, "calibrate", str(trained), "--reject-rate", "0")
    assert "--coverage must be" in fails(capsys, "calibrate", str(trained), "--coverage", "nan")
    assert not (trained / calibration.FILE_NAME).exists()


def test_a_rate_that_the_validation_images_are_too_few_for(
    calibrated: Path, noise: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for option, message in (
        ("0.001", "--reject-rate 0.001 wants at least 999 held-out images, got 100"),
        ("0", "--reject-rate must be between 0 and 1"),
        ("nan", "--reject-rate must be between 0 and 1"),
    ):
        assert message in fails(capsys, "predict", str(calibrated), str(noise), "--reject-rate", option)


def test_a_calibration_of_an_older_version_rejects_nothing_and_serves_the_rest(
    calibrated: Path, noise: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "old"
    shutil.copytree(calibrated, run)
    (run / FILE_NAME).unlink()
    content = json.loads((run / calibration.FILE_NAME).read_text())
    for name in ("energy", "set_figures", "rejection_figures"):
        del content[name]
    (run / calibration.FILE_NAME).write_text(json.dumps(content))
    command = ["predict", str(run), str(noise), "--skip-bad-images"]
    assert main([*command, "--coverage", "0.9"]) == 0
    assert main(["report", str(run)]) == 0
    assert "calibrate RUN again" in fails(capsys, *command, "--reject")
    assert "calibrate RUN --class-means" in fails(capsys, *command, "--reject", "distance")


@pytest.mark.parametrize("name", [FILE_NAME, calibration.FILE_NAME])
def test_a_damaged_file_is_named(
    calibrated: Path, noise: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(calibrated, run)
    content = (run / name).read_text(errors="replace") if name == calibration.FILE_NAME else ""
    (run / name).write_text(content.replace('"unsure"', '"sure"')[: len(content) if content else None])
    assert str(run / name) in fails(capsys, "predict", str(run), str(noise), "--reject", "distance")


def test_too_few_validation_images_refuse_nothing_and_that_is_said() -> None:
    scores, targets = torch.arange(20.0), torch.zeros(20, dtype=torch.long)
    groups = {"all": torch.ones(1, dtype=torch.bool)}
    figures = refused(scores, targets, groups, 0.05, 5, torch.tensor([30.0]))
    assert figures["all"]["refused"] is None, "16 images are left where a fold is"
    assert figures["outsiders"]["refused"] == 1
    assert refused(scores[:18], targets[:18], groups, 0.05, 5, scores)["outsiders"]["refused"] is None
    (note,) = rejection_notes({"rate": 0.05, "scores": {"energy": figures}})
    assert "too few validation images" in note
