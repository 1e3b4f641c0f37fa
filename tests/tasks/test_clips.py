"""Clips as the command line classifies them, on generated sets: train, resume, evaluate, report, predict, export."""

import csv
import functools
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from command import assert_same_epochs, assert_same_weights, fails, results, stopping
from PIL import Image
from torch import Tensor, nn

from longtail.cli.main import main
from longtail.files.video.clips import read_clips
from longtail.files.video.reading import read_frames
from longtail.generated.moving_shapes import CLASSES, write_moving_shapes
from longtail.inference import load_run
from longtail.recipes import load_recipe, recipe_names
from longtail.tasks.classification import Classification
from longtail.trust import trust

pytest.importorskip("av")

SIDE, FRAMES = 32, 4
LEAST = [
    *("--image-size", str(SIDE), "--workers", "0", "--precision", "32-true"),
    *("--trainer.enable_progress_bar", "false", "--trainer.logger", "false"),
]


class Tiny3D(nn.Module):
    """Three convolutions, and the mean over time and place."""

    num_features = 64

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in ((3, 16), (16, 32), (32, 64)):
            layers += [nn.Conv3d(before, after, 3, (1, 2, 2), 1), nn.BatchNorm3d(after), nn.ReLU()]
        self.layers = nn.Sequential(*layers)

    def forward(self, clips: Tensor) -> Tensor:
        features: Tensor = self.layers(clips).mean((2, 3, 4))
        return features


TINY = ["--model.method.backbone", f"{__name__}.Tiny3D"]


@pytest.fixture(scope="module", autouse=True)
def _trusted() -> None:
    """Runs may name the network above."""
    trust(__name__)


SMALL = [*TINY, *LEAST, "--data.frames", str(FRAMES), "--batch-size", "8"]


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """From 12 training clips of a class down to 3, and 2 of each in the other splits."""
    folder = tmp_path_factory.mktemp("data") / "shapes"
    write_moving_shapes(folder, train=12, val=2, test=2, size=SIDE, frames=8, factor=0.25)
    return folder


def fit(run: Path, recipe: str, data: Path, *options: str) -> int:
    return main(["fit", "--recipe", recipe, "--data", str(data), "--run", str(run), *SMALL, *options])


@pytest.fixture(scope="module")
def run(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained run."""
    run = tmp_path_factory.mktemp("runs") / "run"
    assert fit(run, "clips/cdb_w", shapes, "--epochs", "10", "--model.schedule.warmup", "0") == 0
    return run


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    """The trained run, for a test that changes it."""
    return Path(shutil.copytree(run, tmp_path / "copy"))


def evaluation(run: Path, split: str) -> dict[str, Any]:
    """That of the last checkpoint on a split."""
    (entry,) = [e for e in results(run)["evaluations"] if (e["split"], e["checkpoint"]) == (split, "last")]
    return dict(entry)


def test_a_run_is_recorded_as_one_of_classification(run: Path) -> None:
    content = results(run)
    assert (content["status"], content["task"], content["data"]["name"]) == (
        "finished",
        "classification",
        "VideoFolder",
    )
    assert content["classes"] == sorted("_".join(names) for names in CLASSES)
    assert content["data"]["images"] == {"train": sum(content["train_counts"]), "val": 16, "test": 16}
    assert (content["data"]["input"]["size"], content["data"]["input"]["frames"]) == (SIDE, FRAMES)
    assert content["history"][-1]["train"]["loss"] < content["history"][0]["train"]["loss"]
    accuracy = evaluation(run, "val")["per_class"]["accuracy"]
    assert content["history"][-1]["class_accuracy"] == pytest.approx(accuracy, abs=1e-4)
    assert evaluation(run, "test")["mistakes"]


def test_evaluation_gives_the_figures_of_the_run_again(copy: Path) -> None:
    before = results(copy)["evaluations"]
    for command in ("validate", "test"):
        assert main([command, str(copy), "--batch-size", "5"]) == 0
    evaluations = {(entry["split"], entry["checkpoint"]): entry for entry in results(copy)["evaluations"]}
    assert len(evaluations) == len(before)
    for entry in before:
        assert evaluations[entry["split"], entry["checkpoint"]]["per_class"] == entry["per_class"]


def test_a_run_is_evaluated_on_another_set_and_reads_lists(
    copy: Path, shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = results(copy)
    folder = tmp_path / "other"
    shutil.copytree(shapes / "test", folder)
    assert main(["test", str(copy), "--data", str(folder)]) == 0
    assert results(copy) == before, "the figures of its own splits stay"
    (result,) = [
        entry
        for entry in json.loads((copy / "test-other.json").read_text())["evaluations"]
        if entry["checkpoint"] == "last"
    ]
    expected = evaluation(copy, "test")
    assert (result["per_class"], result["confusions"]) == (expected["per_class"], expected["confusions"])
    assert all((folder / mistake["name"]).exists() for mistake in result["mistakes"])
    rows = [f"other/{path.relative_to(folder)}" for path in sorted(folder.glob("*/*.mp4"))]
    table = tmp_path / "list.csv"
    table.write_text("path,label\n" + "".join(f"{row},{Path(row).parent.name}\n" for row in rows))
    assert main(["test", str(copy), "--data", str(table)]) == 0
    entries = json.loads((copy / "test-list.json").read_text())["evaluations"]
    assert result["per_class"] in [entry["per_class"] for entry in entries]
    capsys.readouterr()
    assert main(["predict", str(copy), str(table), "--top-k", "1"]) == 0
    assert [row["path"] for row in csv.DictReader(capsys.readouterr().out.splitlines())] == rows
    next(path for path in folder.iterdir() if path.name[0] != ".").rename(folder / "yodel")
    assert "has classes that training lacks: yodel; its 8 classes are" in fails(
        capsys, "test", str(copy), "--data", str(folder)
    )


def test_the_logits_of_several_test_clips_are_averaged(copy: Path, shapes: Path) -> None:
    for command in ("validate", "test"):
        assert main([command, str(copy), "--data.test_clips", "3"]) == 0
    assert evaluation(copy, "val")["metrics"] == results(copy)["history"][-1]["val"]
    classifier = load_run(copy, "last")
    answers = []
    for label, name in enumerate(classifier.classes):
        for file in sorted((shapes / "test" / name).iterdir()):
            with torch.inference_mode():
                clips = classifier.normalise(read_clips(str(file), FRAMES, SIDE, 3))
                confidence, guess = classifier.method.cpu().classify(clips).mean(0).softmax(0).max(0)
            answers.append((label, int(guess), float(confidence)))
    right = torch.tensor([float(label == guess) for label, guess, _ in answers]).reshape(-1, 2).mean(1)
    figures = evaluation(copy, "test")
    assert figures["per_class"]["accuracy"] == right.tolist()
    assert figures["mistakes"]
    for mistake in figures["mistakes"]:
        pair = mistake["true"], mistake["predicted"]
        confidences = [confidence for *labels, confidence in answers if tuple(labels) == pair]
        assert any(confidence == pytest.approx(mistake["confidence"], abs=1e-5) for confidence in confidences)


def test_reports_show_the_run(run: Path, tmp_path: Path) -> None:
    assert main(["report", str(run), "--output", str(tmp_path / "report.html")]) == 0
    page = (tmp_path / "report.html").read_text()
    assert all("_".join(names) in page for names in CLASSES)
    assert "data:image/png" in page
    assert main(["compare", str(run), str(run), "--output", str(tmp_path / "compare.html")]) == 0
    assert main(["tradeoff", str(run), "--output", str(tmp_path / "tradeoff.html")]) == 0
    assert (tmp_path / "tradeoff.html").is_file()


def test_the_figures_of_a_split_follow_from_its_predictions(run: Path, shapes: Path, tmp_path: Path) -> None:
    output = tmp_path / "answer.csv"
    options = ["--output", str(output), "--checkpoint", "last", "--top-k", "2", "--batch-size", "3"]
    assert main(["predict", str(run), str(shapes / "test"), *options]) == 0
    rows = list(csv.DictReader(output.read_text().splitlines()))
    assert sorted(row["path"] for row in rows) == sorted(str(file) for file in (shapes / "test").rglob("*.mp4"))
    right = [Path(row["path"]).parent.name == row["class_1"] for row in rows]
    assert sum(right) / len(right) == pytest.approx(evaluation(run, "test")["metrics"]["top1"])


def test_files_and_folders_of_frames_are_classified(
    run: Path, shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = next((shapes / "test").rglob("*.mp4"))
    frames, fake = tmp_path / "frames", tmp_path / "bad.mp4"
    frames.mkdir()
    for number, frame in enumerate(read_frames(str(file), list(range(8)))):
        Image.fromarray(frame.permute(1, 2, 0).numpy()).save(frames / f"{number}.png")
    fake.write_text("no video")
    predict = ["predict", str(run), "--format", "jsonl", "--top-k", "8", str(file), str(frames)]
    capsys.readouterr()
    assert main(predict) == 0
    film, folder = map(json.loads, capsys.readouterr().out.splitlines())
    assert (film["path"], folder["path"]) == (str(file), str(frames))
    assert film["top"] == folder["top"]
    classifier = load_run(run)
    (expected,) = classifier.probabilities(read_clips(str(file), FRAMES, SIDE)).tolist()
    shares = {entry["class"]: entry["probability"] for entry in film["top"]}
    assert [shares[name] for name in classifier.classes] == pytest.approx(expected, abs=1e-5)

    line = fails(capsys, *predict, str(fake))
    assert "bad.mp4" in line
    assert "--skip-bad-videos" in line
    assert main([*predict, str(fake), "--skip-bad-videos"]) == 0
    streams = capsys.readouterr()
    assert len(streams.out.splitlines()) == 2
    assert "bad.mp4" in streams.err


def test_the_exported_network_finds_the_same(run: Path, shapes: Path, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    assert main(["export", str(run), "--output", str(tmp_path)]) == 0
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    classifier = load_run(run)
    assert session.get_inputs()[0].shape[1:] == [3, FRAMES, SIDE, SIDE]
    assert json.loads(session.get_modelmeta().custom_metadata_map["classes"]) == classifier.classes
    clips = torch.cat([read_clips(str(file), FRAMES, SIDE) for file in (shapes / "val").rglob("*1.mp4")])
    logits = torch.from_numpy(session.run(None, {"images": classifier.normalise(clips).numpy()})[0])
    torch.testing.assert_close(logits.softmax(1), classifier.probabilities(clips), atol=1e-4, rtol=1e-3)
    assert (tmp_path / "model.safetensors").is_file()


def test_a_stopped_run_resumes_to_the_same_weights(shapes: Path, tmp_path: Path) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    by_difficulty = ["--data.sampling", "longtail.data.DifficultySampling", "--epochs", "2"]
    assert fit(whole, "clips/gml", shapes, *by_difficulty) == 0
    with stopping(Classification, 1, 2):
        assert fit(stopped, "clips/gml", shapes, *by_difficulty) == 130
    assert main(["fit", "--resume", str(stopped)]) == 0
    assert_same_weights(stopped, whole)
    assert_same_epochs(stopped, whole)
    assert results(stopped)["evaluations"] == results(whole)["evaluations"]


RECIPES = [name for name in recipe_names() if name.startswith("clips/") and not name.startswith("clips/probe/")]


@pytest.mark.parametrize("recipe", sorted({*RECIPES} - {"clips/cdb_w", "clips/gml"}))
def test_every_recipe_trains(recipe: str, shapes: Path, tmp_path: Path) -> None:
    assert fit(tmp_path / "run", recipe, shapes, "--epochs", "1") == 0
    assert results(tmp_path / "run")["history"][0]["val"] is not None


def test_an_image_network_takes_the_frames(shapes: Path, tmp_path: Path) -> None:
    network = ["--model.method.backbone", "longtail.models.FrameMean", "--backbone", "resnet20_cifar"]
    assert fit(tmp_path / "run", "clips/ce", shapes, *network, "--trainer.max_steps", "1") == 0
    assert load_run(tmp_path / "run").shape == (3, FRAMES, SIDE, SIDE)


def test_a_table_names_the_videos(shapes: Path, tmp_path: Path) -> None:
    for split in ("train", "val"):
        files = sorted((shapes / split).rglob("*.mp4"))
        lines = [f"{file.relative_to(shapes)},{file.parent.name}" for file in files]
        (tmp_path / f"{split}.csv").write_text("\n".join(["path,label", *lines]))
    options = ["--data.root", str(shapes), "--data.val", str(tmp_path / "val.csv"), "--trainer.max_steps", "1"]
    assert fit(tmp_path / "run", "clips/ce", tmp_path / "train.csv", *options) == 0
    data = results(tmp_path / "run")["data"]
    assert (data["name"], data["images"]["val"]) == ("VideoTable", 16)


EGTEA = sorted(name for name in recipe_names() if name.startswith("egtea/"))


@pytest.mark.parametrize("recipe", EGTEA)
def test_the_recipes_of_egtea_train(recipe: str, shapes: Path, tmp_path: Path) -> None:
    root = tmp_path / "egtea"
    root.mkdir()
    shutil.copy(next(shapes.rglob("*.mp4")), root / "P01-R01-Salad-1-2.mp4")
    lines = "\n".join(f"P01-R01-Salad-1-2 1 {verb} 1" for verb in range(1, 20))  # one clip stands in for each verb
    for split in ("train", "val", "test"):
        (root / f"EGTEA_{split}_split.txt").write_text(lines)
    assert fit(tmp_path / "run", recipe, root, "--trainer.max_steps", "1") == 0
    assert results(tmp_path / "run")["train_counts"] == [1] * 19


def test_methods_for_the_tail_find_more_of_the_rare_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_moving_shapes(tmp_path / "shapes", train=60, val=8, test=15, size=SIDE, frames=8)
    decoder = functools.cache(lambda path: read_frames(path, list(range(8))))  # else most of the time goes into that
    for user in ("longtail.data.clips.dataset", "longtail.files.video.clips"):
        monkeypatch.setattr(f"{user}.read_frames", lambda path, indices, *_: decoder(path)[indices])
    accuracies = {}
    for recipe in ("ce", "logit_adjusted", "cdb_s"):
        fitting = ["fit", "--recipe", f"clips/{recipe}", "--data", str(tmp_path / "shapes"), *TINY, *LEAST]
        options = ["--epochs", "8", "--batch-size", "16", "--lr", "0.05", "--model.many", "30"]
        views = ["--data.views", "[longtail.augment.PlainView]", "--data.frames", str(FRAMES)]
        assert main([*fitting, *options, *views, "--run", str(tmp_path / recipe)]) == 0
        accuracies[recipe] = evaluation(tmp_path / recipe, "test")["metrics"]["few"]
    assert accuracies["logit_adjusted"] > accuracies["ce"] + 0.05
    assert accuracies["cdb_s"] > accuracies["ce"] + 0.05


def test_wrong_options_get_one_line(
    run: Path, shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fitting = ["fit", "--run", str(tmp_path / "run"), "--recipe"]
    clips = [*fitting, "clips/ce", *SMALL]
    assert "--data FOLDER with one subfolder of videos" in fails(capsys, *fitting, "clips/ce")
    assert "--data egtea --data.root FOLDER" in fails(capsys, *fitting, "egtea/ce")
    assert "EGTEA_train_split.txt" in fails(capsys, *clips, "--data", "egtea", "--data.root", str(shapes))
    digits = ["--data", "digits_lt", "--batch-size", "8"]
    assert "VideoBackbone takes clips" in fails(capsys, *fitting, "clips/ce", *digits)
    films = ["--data", "longtail.data.VideoFolder", "--data.root", str(shapes), "--batch-size", "8"]
    line = fails(capsys, *fitting, "ce", "--backbone", "resnet20_cifar", *films)
    assert "Backbone takes images" in line
    assert "a recipe for clips" in line
    views = ["--data.views", "[longtail.augment.PlainView]"]
    assert "3 views of each video" in fails(capsys, *fitting, "clips/bcl", *SMALL, "--data", str(shapes), *views)
    for option in ("frames", "test_clips"):
        assert "at least 1" in fails(capsys, *clips, "--data", str(shapes), f"--data.{option}", "0")
    assert "unknown video backbone" in fails(
        capsys, *fitting, "clips/ce", "--data", str(shapes), "--batch-size", "8", "--backbone", "r3d_19"
    )
    assert not (tmp_path / "run").exists()
    assert "mix the splits" in fails(capsys, "test", str(run), "--data.frames", "8")
    assert "no video files" in fails(capsys, "predict", str(run), str(run))


def test_bad_videos_are_left_out_on_request(shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, run = Path(shutil.copytree(shapes, tmp_path / "shapes")), tmp_path / "run"
    video = root / "train" / "_".join(CLASSES[0]) / "000002.mp4"
    video.write_bytes(video.read_bytes()[:200])
    fitting = [
        "fit",
        "--recipe",
        "clips/ce",
        "--data",
        str(root),
        "--run",
        str(run),
        *SMALL,
        "--trainer.max_steps",
        "1",
    ]
    line = fails(capsys, *fitting)
    assert str(video) in line
    assert "--skip-bad-videos" in line
    assert not run.exists()
    assert main([*fitting, "--skip-bad-videos"]) == 0
    assert max(results(run)["train_counts"]) == 11


def test_a_head_on_a_frozen_network_of_clips_and_a_second_stage(shapes, tmp_path, capsys):
    torch.manual_seed(0)
    torch.save(timm.create_model("test_resnet").state_dict(), tmp_path / "weights.pth")
    frames = ["--model.method.backbone", "longtail.models.FrameMean", "--backbone", "test_resnet"]
    small = [*LEAST, "--data.frames", "2", "--batch-size", "8", "--epochs", "1", "--trainer.accelerator", "cpu"]
    weights = [*frames, "--weights", str(tmp_path / "weights.pth")]
    head, second = tmp_path / "head", tmp_path / "second"
    assert main(["fit", "--recipe", "clips/probe/ce", "--data", str(shapes), "--run", str(head), *weights, *small]) == 0
    assert list((tmp_path / "features").glob("train*.f32"))
    network = load_run(head).method.backbone
    assert not any(parameter.requires_grad for parameter in network.parameters())
    options = ["--run", str(second), "--batch-size", "8", "--trainer.accelerator", "cpu"]
    assert main(["fit", "--recipe", "second/ncm", "--from", str(head), *options]) == 0
    assert "Both of the epoch that is best on validation" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("name", [name for name in recipe_names() if name.startswith("clips/probe/")])
def test_probes_of_clips_are_those_of_images(name):
    clips, images = load_recipe(name), load_recipe(name.removeprefix("clips/"))
    backbone = clips["model"]["init_args"]["method"]["init_args"].pop("backbone")
    assert backbone["class_path"] == "longtail.models.VideoBackbone"
    assert backbone["init_args"]["tuning"] == "none"
    del images["model"]["init_args"]["method"]["init_args"]["backbone"]
    assert clips["data"].pop("class_path") == "longtail.data.VideoFolder"
    del images["data"]["class_path"]
    assert clips.pop("about") == f"clips, {images.pop('about')}"
    assert clips == images
