"""The dial from head to tail as a user turns it: measure, take a point, predict and export with it."""

import json
import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from command import FIT_DIGITS, fails, results
from PIL import Image
from reports.sample import make_detection, make_segmentation

from longtail.cli.main import main
from longtail.data.base import LongTailData
from longtail.data.images.digits import DigitsLT
from longtail.inference import load_run
from longtail.reports.results import save_results

FIT = ["--epochs", "2", "--precision", "32-true"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run on the digits."""
    run = tmp_path_factory.mktemp("runs") / "ce"
    assert main([*FIT_DIGITS, "--run", str(run), *FIT]) == 0
    return run


def test_the_curve_of_a_run(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(LongTailData, "test_dataloader")  # never looked at
    before = (run / "results.json").read_bytes()
    output = tmp_path / "page.html"
    assert main(["tradeoff", str(run), "--output", str(output)]) == 0
    assert (run / "results.json").read_bytes() == before
    out = capsys.readouterr().out
    assert f"{output}\n{tmp_path / 'page.json'}\nnext: longtail export {run}" in out
    assert "0 (as trained" in out
    assert "<svg" in output.read_text()

    [record] = json.loads((tmp_path / "page.json").read_text())["runs"]
    points = {point.pop("strength"): point for point in record["points"]}
    assert list(points) == [step / 4 for step in range(-4, 13)]
    best = max(points, key=lambda strength: (points[strength]["balanced_accuracy"], -abs(strength)))
    assert record["best_strength"] == best
    assert record["images"] == {"many": 10, "medium": 30, "few": 60}

    content = results(run)
    [evaluation] = [e for e in content["evaluations"] if (e["split"], e["checkpoint"]) == ("val", "best")]
    assert record["epoch"] == evaluation["epoch"]
    assert points[0] == pytest.approx({key: evaluation["metrics"][key] for key in points[0]}, abs=1e-6)

    data, classifier = DigitsLT(), load_run(run)
    val = data.split("val")
    assert val is not None
    with torch.inference_mode():
        logits = classifier.method.classify(classifier.normalise(val.images.images)).double()  # type: ignore[attr-defined]
    counts = content["train_counts"]
    for strength, point in points.items():
        rows = [
            [value - strength * math.log(n / sum(counts)) for value, n in zip(row, counts, strict=True)]
            for row in logits.tolist()
        ]
        hits = [row.index(max(row)) == target for row, target in zip(rows, val.targets.tolist(), strict=True)]
        assert point["top1"] == pytest.approx(sum(hits) / len(hits))


def test_the_checkpoint_is_chosen_and_several_runs_share_a_page(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    copy = tmp_path / "other"
    shutil.copytree(run, copy)
    assert main(["tradeoff", str(run), str(copy), "--checkpoint", "last"]) == 0
    assert (tmp_path / "tradeoff.html").is_file()
    runs = json.loads((tmp_path / "tradeoff.json").read_text())["runs"]
    assert [curve["checkpoint"] for curve in runs] == ["last", "last"]
    assert [curve["label"] for curve in runs] == ["ce", "ce #2"]
    [evaluation] = [e for e in results(run)["evaluations"] if (e["split"], e["checkpoint"]) == ("val", "last")]
    for curve in runs:
        [start] = [point for point in curve["points"] if point["strength"] == 0]
        assert start["many"] == pytest.approx(evaluation["metrics"]["many"], abs=1e-6)
    assert capsys.readouterr().out.count("--checkpoint last") == 2


def test_predictions_are_adjusted(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "a.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(picture)

    def probabilities(*options: str) -> dict[str, float]:
        capsys.readouterr()
        assert main(["predict", str(run), str(picture), "--top-k", "10", "--format", "jsonl", *options]) == 0
        top = json.loads(capsys.readouterr().out)["top"]
        return {entry["class"]: entry["probability"] for entry in top}

    plain, adjusted = probabilities(), probabilities("--strength", "-0.5")
    assert probabilities("--strength", "0") == plain
    content = results(run)
    counts = dict(zip(content["classes"], content["train_counts"], strict=True))
    weights = {name: value * (counts[name] / sum(counts.values())) ** 0.5 for name, value in plain.items()}
    expected = {name: value / sum(weights.values()) for name, value in weights.items()}
    assert adjusted == pytest.approx(expected, abs=1e-4)
    assert adjusted != plain


def test_the_exported_model_is_adjusted(run: Path, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    from safetensors import safe_open

    args = ["export", str(run), "--strength", "1.5", "--checkpoint", "last"]
    assert main([*args, "--output", str(tmp_path)]) == 0
    classifier = load_run(run, "last")
    images = classifier.normalise(torch.randint(0, 256, (3, 3, 16, 16), dtype=torch.uint8))
    with torch.inference_mode():
        logits = classifier.method.classify(images)
    counts = results(run)["train_counts"]
    adjustment = [-1.5 * math.log(n / sum(counts)) for n in counts]

    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    output = torch.from_numpy(session.run(None, {"images": images.numpy()})[0])
    torch.testing.assert_close(output, logits + torch.tensor(adjustment), atol=1e-4, rtol=1e-4)
    assert session.get_modelmeta().custom_metadata_map["strength"] == "1.5"
    with safe_open(tmp_path / "model.safetensors", "pt") as tensors:
        metadata = tensors.metadata()
        assert set(tensors.keys()) == set(classifier.method.state_dict())
    assert metadata["strength"] == "1.5"
    assert json.loads(metadata["adjustment"]) == pytest.approx(adjustment, abs=1e-5)


def test_an_export_without_strength_is_not_adjusted(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    from safetensors import safe_open

    assert main(["export", str(run), "--output", str(tmp_path)]) == 0
    with safe_open(tmp_path / "model.safetensors", "pt") as tensors:
        assert tensors.metadata()["strength"] == "0.0"
        assert "adjustment" not in tensors.metadata()


@pytest.mark.parametrize("strength", ["nan", "inf", "-inf", "1e9", "x", ""])
@pytest.mark.parametrize("command", ["export", "predict"])
def test_strengths_that_are_no_numbers(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, strength: str
) -> None:
    place = ["--output", str(tmp_path / "out")] if command == "export" else ["."]
    line = fails(capsys, command, str(run), *place, f"--strength={strength}")
    assert re.search(r"--strength.*(must be a number from -100 to 100, got|invalid float value)", line), line
    assert not list(tmp_path.iterdir())


BAD = [
    ([], "runs"),
    (["RUN", "--checkpoint", "first"], "first"),
    (["RUN", "--output", "page.txt"], "ends in .html"),
    (["RUN", "--output", "RUN/results.html"], "the record of a run"),
    (["RUN", "--output", "gone/page.html"], "gone: no such folder"),
    (["RUN", "nowhere"], "nowhere: no such folder"),
    (["RUN", "--data.factor", "0.1"], "mix the splits"),
    (["RUN", "--nonsense", "1"], "--nonsense"),
]


@pytest.mark.parametrize(("args", "message"), BAD, ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_wrong_options_are_one_line_and_write_nothing(
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    args: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(run.iterdir())
    assert message in fails(capsys, "tradeoff", *(arg.replace("RUN", str(run)) for arg in args))
    assert not list(tmp_path.iterdir())
    assert sorted(run.iterdir()) == before


def test_runs_that_cannot_be_measured(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    (copy / "best.ckpt").unlink()
    assert "no checkpoint at" in fails(capsys, "tradeoff", str(copy), "--checkpoint", "best")
    (copy / "last.ckpt").write_bytes(b"")
    assert "is damaged or truncated" in fails(capsys, "tradeoff", str(copy))
    content = results(copy) | {"classes": [f"digit {c}" for c in range(10)]}
    (copy / "results.json").write_text(json.dumps(content))
    assert "different class lists" in fails(capsys, "tradeoff", str(run), str(copy))
    assert not list(copy.glob("tradeoff.*"))


def test_runs_whose_predictor_offers_no_curve_are_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """So it is with a second stage."""
    for record in (make_detection(name="rcnn"), make_segmentation(name="rcnn")):
        save_results(tmp_path, record)
        words = f"rcnn is a run of {record['task']}: {{}} are for runs of classification"
        assert words.format("trade-offs") in fails(capsys, "tradeoff", str(tmp_path))
        assert words.format("trade-offs") in fails(capsys, "tradeoff", str(run), str(tmp_path))
        line = fails(capsys, "fit", "--recipe", "second/crt", "--from", str(tmp_path))
        assert words.format("second stages") in line


def test_without_a_validation_split_there_is_no_curve(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos, run = tmp_path / "photos", tmp_path / "run"
    for split, images in (("train", 4), ("test", 2)):  # a test split, which is never taken in its place
        for c in range(2):
            (photos / split / f"class {c}").mkdir(parents=True)
            for i in range(images):
                pixels = np.full((16, 16, 3), 90 * c + i + images, dtype=np.uint8)
                Image.fromarray(pixels).save(photos / split / f"class {c}" / f"{i}.png")
    options = ["--epochs", "1", "--workers", "0", "--batch-size", "4", "--backbone", "resnet8_cifar"]
    options += ["--image-size", "16", "--data.val_fraction", "0"]
    assert main(["fit", "--recipe", "ce", "--data", str(photos), "--run", str(run), *options]) == 0
    assert "photos has no validation split" in fails(capsys, "tradeoff", str(run))
    assert not list(run.glob("tradeoff.*"))
