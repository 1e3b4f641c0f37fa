"""Segmentation as the command line does it, on a generated set: train, resume, evaluate, report, predict, export."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from command import (
    TWO_PROCESSES,
    assert_same_epochs,
    assert_same_weights,
    fails,
    in_its_own_process,
    in_two_processes,
    results,
    stopping,
)
from numpy.typing import NDArray
from PIL import ExifTags, Image

from longtail.cli.main import main
from longtail.data.pixels.folder import SegmentationFolder
from longtail.data.trained import Trained
from longtail.files.pixels.pairs import find_pairs, read_values
from longtail.generated.drawing import CLASSES, Scene, SplitName, scenes
from longtail.inference import load_run
from longtail.methods.pixels import AT_ONCE, labels_at
from longtail.recipes import recipe_names
from longtail.reports.overlays import colour
from longtail.tasks.segmentation import Segmentation

pytest.importorskip("segmentation_models_pytorch")

SIDE = 64
DECODER = {"decoder_pyramid_channels": 32, "decoder_segmentation_channels": 32}
SMALL = [
    *("--backbone", "tu-test_resnet", "--model.method.backbone.architecture", "FPN"),
    *("--model.method.backbone.options", json.dumps(DECODER), "--data.view.size", str(SIDE)),
    *("--workers", "0", "--precision", "32-true", "--batch-size", "8", "--trainer.enable_progress_bar", "false"),
]


def labels_of(scene: Scene) -> NDArray[np.uint8]:
    """The class of each pixel: 0 where there is no shape, 255 in a corner."""
    labels = np.zeros((SIDE, SIDE), dtype=np.uint8)
    for label, mask in zip(scene.labels, scene.masks, strict=True):
        labels[mask] = label + 1
    labels[:2, :2] = 255
    return labels


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Training, validation and test images of shapes, each pixel with its class."""
    root = tmp_path_factory.mktemp("data") / "shapes"
    splits: dict[str, tuple[SplitName, int, int]] = {"train": ("train", 24, 0), "val": ("val", 6, 0)}
    for name, (split, images, seed) in {**splits, "test": ("val", 5, 1)}.items():
        for kind in ("images", "annotations"):
            (root / kind / name).mkdir(parents=True)
        for number, scene in enumerate(scenes(split, images, SIDE, 0.1, seed)):
            Image.fromarray(scene.image).save(root / "images" / name / f"{number}.png")
            Image.fromarray(labels_of(scene)).save(root / "annotations" / name / f"{number}.png")
    (root / "classes.txt").write_text("\n".join(["background", *(shape.name for shape in CLASSES)]))
    return root


def fit(run: Path, recipe: str, data: Path, *options: str) -> int:
    return main(["fit", "--recipe", f"segmentation/{recipe}", "--data", str(data), "--run", str(run), *SMALL, *options])


@pytest.fixture(scope="module")
def run(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained run."""
    run = tmp_path_factory.mktemp("runs") / "run"
    assert fit(run, "cdb_w", shapes, "--epochs", "2") == 0
    return run


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    """The trained run, for a test that changes it."""
    return Path(shutil.copytree(run, tmp_path / "copy"))


def test_a_run_is_recorded_as_one_of_segmentation(run: Path, shapes: Path) -> None:
    content = results(run)
    assert (content["status"], content["task"], content["accuracy_of"]) == ("finished", "segmentation", "IoU")
    assert content["data"]["images"] == {"train": 24, "val": 6, "test": 5}
    labels = np.stack([read_values(str(file)) for file in (shapes / "annotations/train").iterdir()])
    assert content["train_counts"] == [int((labels == c).sum()) for c in range(9)]
    assert content["history"][-1]["train"]["loss"] < content["history"][0]["train"]["loss"]
    assert {(entry["split"], entry["checkpoint"]) for entry in content["evaluations"]} >= {
        ("val", "last"),
        ("test", "last"),
    }
    for evaluation in content["evaluations"]:
        values = [iou for iou in evaluation["per_class"]["iou"] if iou is not None]
        assert evaluation["metrics"]["miou"] == pytest.approx(np.mean(values))
        labelled = SIDE**2 - 4
        assert sum(evaluation["per_class"]["pixels"]) == evaluation["images"] * labelled
        assert evaluation["examples"]


def test_images_are_normalised_as_the_weights_were_trained(shapes: Path, tmp_path: Path) -> None:
    """By timm's record of them, unless an option says otherwise."""
    torch.save(timm.create_model("test_resnet").state_dict(), tmp_path / "weights.pth")
    start = ["--weights", str(tmp_path / "weights.pth"), "--epochs", "1"]
    limits = (f"--trainer.limit_{split}_batches" for split in ("train", "val", "test"))
    options = [word for limit in limits for word in (limit, "1")]
    assert fit(tmp_path / "run", "ce", shapes, *start, *options, "--data.std", "[0.2, 0.3, 0.4]") == 0
    record = results(tmp_path / "run")["data"]["input"]
    assert (record["mean"], record["std"]) == ([0.5, 0.5, 0.5], [0.2, 0.3, 0.4])
    normalise = load_run(tmp_path / "run").normalise
    assert (list(normalise.mean), list(normalise.std)) == (record["mean"], record["std"])


def test_the_difficulty_is_that_of_the_last_validation(run: Path) -> None:
    state = torch.load(run / "last.ckpt", weights_only=True)["state_dict"]
    content = results(run)
    (last,) = [entry for entry in content["evaluations"] if (entry["split"], entry["checkpoint"]) == ("val", "last")]
    assert content["history"][-1]["class_accuracy"] == pytest.approx(last["per_class"]["iou"], abs=1e-4)
    buffer = state["difficulty.accuracy"]
    assert buffer.tolist() == pytest.approx(last["per_class"]["iou"], abs=1e-4)
    assert torch.equal(state["method.loss.loss.difficulty.accuracy"], buffer)


def test_the_difficulty_can_be_that_of_the_pixels_found(shapes: Path, tmp_path: Path) -> None:
    options = ["--epochs", "1", "--model.difficulty_from", "accuracy", "--ema", "0.5"]
    assert fit(tmp_path / "run", "cdb_w", shapes, *options) == 0
    content = results(tmp_path / "run")
    assert content["accuracy_of"] == "accuracy of its pixels"
    (last,) = [entry for entry in content["evaluations"] if (entry["split"], entry["checkpoint"]) == ("val", "last")]
    assert content["history"][-1]["class_accuracy"] == pytest.approx(last["per_class"]["accuracy"], abs=1e-4)


def test_evaluation_gives_the_figures_of_the_run_again(copy: Path) -> None:
    before = results(copy)["evaluations"]
    for command in ("validate", "test"):
        assert main([command, str(copy), "--batch-size", "3", "--trainer.enable_progress_bar", "false"]) == 0
    evaluations = {(entry["split"], entry["checkpoint"]): entry for entry in results(copy)["evaluations"]}
    assert len(evaluations) == len(before)
    for entry in before:
        assert evaluations[entry["split"], entry["checkpoint"]]["per_class"] == entry["per_class"]


def permute(shapes: Path, root: Path, names: list[str] | None = None) -> Path:
    """The test images as a set of their own, without splits, whose classes come in another order."""
    classes = (shapes / "classes.txt").read_text().splitlines()
    order = [4, 0, 7, 2, 8, 1, 3, 6, 5]
    shutil.copytree(shapes / "images/test", root / "images")
    (root / "annotations").mkdir()
    for file in (shapes / "annotations/test").iterdir():
        labels = read_values(str(file))
        table = np.array([order.index(c) for c in range(9)] + [255] * 247, dtype=np.uint8)
        Image.fromarray(table[labels]).save(root / "annotations" / file.name)
    (root / "classes.txt").write_text("\n".join(names or [classes[c] for c in order]))
    return root


def test_a_run_is_evaluated_on_another_set(
    copy: Path, shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = results(copy)
    folder = permute(shapes, tmp_path / "other")
    assert main(["test", str(copy), "--data", str(folder), "--trainer.enable_progress_bar", "false"]) == 0
    assert results(copy) == before, "the figures of its own splits stay"
    reference = {entry["checkpoint"]: entry for entry in before["evaluations"] if entry["split"] == "test"}
    for entry in json.loads((copy / "test-other.json").read_text())["evaluations"]:
        for part in ("metrics", "per_class", "confusions"):
            assert entry[part] == reference[entry["checkpoint"]][part]
    for kind in ("images", "annotations"):  # a set with a test split alone
        (folder / kind).rename(tmp_path / kind)
        (folder / kind).mkdir()
        (tmp_path / kind).rename(folder / kind / "test")
    assert "has no val split, only test: add one" in fails(capsys, "validate", str(copy), "--data", str(folder))
    data = SegmentationFolder(folder, num_workers=0)
    data.only_evaluate("test", Trained(before["classes"], before["train_counts"], before["train_counts"], {}))
    (last,) = [entry for entry in before["evaluations"] if (entry["split"], entry["checkpoint"]) == ("test", "last")]
    assert data.parts["test"].pixels.per_class(9).tolist() == last["per_class"]["pixels"]
    misfit = permute(shapes, tmp_path / "wrong", ["sky", "sea", *"abcdefg"])
    assert "wrong has classes that training lacks: a, b, c, d, e, f, g, sea, sky" in fails(
        capsys, "test", str(copy), "--data", str(misfit)
    )


def test_two_processes_measure_and_predict_as_one(copy: Path, shapes: Path, tmp_path: Path) -> None:
    before = [entry for entry in results(copy)["evaluations"] if entry["split"] == "test"]
    predict = ["predict", str(copy), str(shapes / "images/test"), "--output"]
    in_two_processes(tmp_path, "test", str(copy), "--batch-size=2", then=[*predict, str(tmp_path / "two")])
    after = [entry for entry in results(copy)["evaluations"] if entry["split"] == "test"]
    for old, new in zip(before, after, strict=True):
        assert new["metrics"] == old["metrics"]
        assert new["per_class"] == old["per_class"]
        assert new["confusions"] == old["confusions"]
    assert main([*predict, str(tmp_path / "one")]) == 0
    answers = [{path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "two")]
    assert answers[0] == answers[1] != {}


def test_windows_can_be_asked_for(shapes: Path, tmp_path: Path) -> None:
    runs = tmp_path / "whole", tmp_path / "windows"
    for run, window in zip(runs, ("64", "40"), strict=True):
        assert fit(run, "ce", shapes, "--trainer.max_steps", "2", "--model.method.window", window) == 0
    whole, windows = (results(run) for run in runs)
    assert whole["history"][0]["train"] == windows["history"][0]["train"]
    assert whole["evaluations"][0]["per_class"]["pixels"] == windows["evaluations"][0]["per_class"]["pixels"]
    assert whole["evaluations"][0]["metrics"] != windows["evaluations"][0]["metrics"]


def test_reports_show_the_run(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(run), "--output", str(tmp_path / "report.html")]) == 0
    page = (tmp_path / "report.html").read_text()
    assert "IoU" in page
    assert page.count("data:image/jpeg") >= 2 * len(results(run)["evaluations"][-1]["examples"])
    assert main(["compare", str(run), str(run), "--output", str(tmp_path / "compare.html")]) == 0
    assert "is a run of segmentation" in fails(capsys, "tradeoff", str(run))


def test_predictions_can_be_read_as_annotations(run: Path, shapes: Path, tmp_path: Path) -> None:
    root, pictures = tmp_path / "set", tmp_path / "pictures"
    shutil.copytree(shapes / "images/test", root / "images/train")
    shutil.copy(shapes / "classes.txt", root)
    output = root / "annotations/train"
    folder = str(root / "images/train")
    assert main(["predict", str(run), folder, "--output", str(output), "--overlays", str(pictures)]) == 0
    data = SegmentationFolder(root, num_workers=0, batch_size=2, val_fraction=0)
    assert len(data.parts["train"]) == 5
    segmenter = load_run(run)
    for row, file in enumerate(data.parts["train"].images):
        labels = data.annotation("train", row)
        assert np.array_equal(labels, segmenter.segment(file, (SIDE, SIDE)))
        assert labels.max() < 9
        with Image.open(pictures / Path(file).name) as picture:
            assert (picture.mode, picture.size) == ("RGB", (SIDE, SIDE))
    again = tmp_path / "again"
    load_run(str(run)).predict([folder], str(again / "masks"), overlays=str(again / "pictures"))
    for first, second in ((output, again / "masks"), (pictures, again / "pictures")):
        assert {f.name: f.read_bytes() for f in second.iterdir()} == {f.name: f.read_bytes() for f in first.iterdir()}
    with Image.open(output / "0.png") as image:
        assert image.mode == "P"
        pixels = np.asarray(image.convert("RGB"))
    assert pixels[5, 7].tolist() == list(colour(int(read_values(str(output / "0.png"))[5, 7])))


def test_labels_are_those_of_the_highest_logit() -> None:
    logits = torch.randn(2, 2 * AT_ONCE + 3, 5, 7)
    logits[:, AT_ONCE] = logits[:, 2]  # of equal ones the first
    assert torch.equal(labels_at(logits, (5, 7)), logits.argmax(1))
    large = torch.nn.functional.interpolate(logits, (12, 9), mode="bilinear", align_corners=False)
    assert torch.equal(labels_at(logits, (12, 9)), large.argmax(1))


def test_the_figures_of_a_split_follow_from_its_predictions(run: Path, shapes: Path, tmp_path: Path) -> None:
    output = tmp_path / "masks"
    assert (
        main(["predict", str(run), str(shapes / "images/test"), "--output", str(output), "--checkpoint", "last"]) == 0
    )
    truth, prediction = (
        np.stack([read_values(str(file)) for file in sorted(folder.iterdir())])
        for folder in (shapes / "annotations/test", output)
    )
    (test,) = [e for e in results(run)["evaluations"] if (e["split"], e["checkpoint"]) == ("test", "last")]
    for c, iou in enumerate(test["per_class"]["iou"]):
        target, region = truth == c, (prediction == c) & (truth != 255)
        assert iou == pytest.approx((target & region).sum() / (target | region).sum(), abs=2e-3)


def test_predictions_have_the_size_of_their_image(shapes: Path, tmp_path: Path) -> None:
    run, images, output = tmp_path / "run", tmp_path / "images", tmp_path / "masks"
    assert fit(run, "ce", shapes, "--trainer.max_steps", "1", "--image-size", "48") == 0
    assert load_run(run).size == 48
    images.mkdir()
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.new("RGB", (150, 70), "grey").save(images / "turned.jpg", exif=exif)
    Image.new("L", (9, 41)).save(images / "small.png")
    assert main(["predict", str(run), str(images), "--output", str(output)]) == 0
    assert read_values(str(output / "turned.png")).shape == (150, 70)
    assert read_values(str(output / "small.png")).shape == (41, 9)


def test_predictions_never_overwrite(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a/1.png", "a/2.png", "b/1.png"):
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40)).save(tmp_path / "images" / name)
    predict = ["predict", str(run), str(tmp_path / "images"), "--output"]
    assert main([*predict, str(tmp_path / "both")]) == 0
    assert len(find_pairs(tmp_path / "images", tmp_path / "both").images) == 3
    assert not find_pairs(tmp_path / "images", tmp_path / "both").alone
    assert main(["predict", str(run), str(tmp_path / "images/b"), "--output", str(tmp_path / "one")]) == 0
    assert [file.name for file in (tmp_path / "one").iterdir()] == ["1.png"]
    (tmp_path / "list.txt").write_text("images/b/1.png\nimages/a/2.png 3\n")
    assert main(["predict", str(run), str(tmp_path / "list.txt"), "--output", str(tmp_path / "listed")]) == 0
    for name in ("b/1.png", "a/2.png"):
        listed, both = (tmp_path / folder / name for folder in ("listed/images", "both"))
        assert np.array_equal(read_values(str(listed)), read_values(str(both)))
    assert "not an empty folder" in fails(capsys, *predict, str(tmp_path / "both"))
    Image.new("RGB", (40, 40)).save(tmp_path / "images/a/2.JPG", "JPEG")
    line = fails(capsys, *predict, str(tmp_path / "out"))
    assert "2.JPG" in line
    assert "2.png" in line
    (tmp_path / "images/a/2.JPG").write_bytes(b"no image")
    (tmp_path / "images/a/2.png").unlink()
    for extra in ([], ["--overlays", str(tmp_path / "pictures")]):
        assert "--skip-bad-images" in fails(capsys, *predict, str(tmp_path / "out"), *extra)
    assert "give two folders" in fails(
        capsys, *predict, str(tmp_path / "out"), "--overlays", str(tmp_path / "out/pictures")
    )
    assert {path.name for path in tmp_path.iterdir()} == {"images", "both", "one", "list.txt", "listed"}
    assert main([*predict, str(tmp_path / "out"), "--skip-bad-images"]) == 0
    assert len(list((tmp_path / "out").rglob("*.png"))) == 2


def test_the_exported_network_finds_the_same(
    copy: Path, shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    if torch.__version__ < "2.10":
        assert "give --size HEIGHT WIDTH" in fails(capsys, "export", str(copy))
        return
    assert main(["export", str(copy), "--output", str(tmp_path / "free")]) == 0
    segmenter = load_run(copy)
    session = onnxruntime.InferenceSession(tmp_path / "free/model.onnx")
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["classes"]) == segmenter.classes
    assert metadata["ignore_index"] == "255"
    for side in (SIDE, 50):  # one that is no multiple of the stride
        pixels = torch.randint(0, 256, (3, 3, side, SIDE), dtype=torch.uint8)
        inputs = segmenter.normalise(pixels)
        with torch.inference_mode():
            expected = segmenter.method.cpu().segment(inputs)
        logits = torch.from_numpy(session.run(None, {"images": inputs.numpy()})[0])
        torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-3)
    assert (tmp_path / "free/model.safetensors").is_file()


def test_a_network_that_takes_one_size_is_exported_for_it(
    shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    run, output = tmp_path / "run", tmp_path / "output"
    small = json.dumps({"encoder_depth": 3, "psp_out_channels": 16})
    network = ["--model.method.backbone.architecture", "PSPNet", "--model.method.backbone.options", small]
    assert fit(run, "ce", shapes, "--trainer.max_steps", "1", *network) == 0
    export = ["export", str(run), "--output", str(output)]
    assert "give --size HEIGHT WIDTH" in fails(capsys, *export)
    assert not list(output.iterdir())
    assert "at least 1 pixel" in fails(capsys, *export, "--size", "0", "64")
    assert main([*export, "--size", "64", "96"]) == 0
    session = onnxruntime.InferenceSession(output / "model.onnx")
    assert session.get_inputs()[0].shape[1:] == [3, 64, 96]
    assert session.get_modelmeta().custom_metadata_map["width"] == "96"


@pytest.mark.parametrize("recipe", ["cdb_s", "gml"])
def test_a_stopped_run_resumes_to_the_same_weights(recipe: str, shapes: Path, tmp_path: Path) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert fit(whole, recipe, shapes, "--epochs", "2") == 0
    with stopping(Segmentation, 1, 1):
        assert fit(stopped, recipe, shapes, "--epochs", "2") == 130
    assert main(["fit", "--resume", str(stopped)]) == 0
    assert_same_weights(stopped, whole)
    assert_same_epochs(stopped, whole)
    assert results(stopped)["evaluations"] == results(whole)["evaluations"]


STOPPER = """
import os, signal
import lightning.pytorch as pl

class Stopper(pl.Callback):
    def on_train_batch_start(self, trainer, *args):
        if "STOP" in os.environ and trainer.global_step == 1 and trainer.global_rank == 1:
            os.kill(os.getpid(), signal.SIGTERM)
"""


def test_two_stopped_processes_resume_to_the_same_weights(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them samples pixels by random numbers of its own. Only the second one is asked to stop."""
    (tmp_path / "stopper.py").write_text(STOPPER)
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    fitting = ["fit", "--recipe", "segmentation/gml", "--data", str(shapes), *SMALL]
    fitting += ["--epochs", "1", "--batch-size", "4"]
    in_two_processes(tmp_path, *fitting, LONGTAIL_RUN=str(whole))
    stopper = ["--trainer.callbacks+=stopper.Stopper", "--run", str(stopped), *TWO_PROCESSES]
    assert in_its_own_process(*fitting, *stopper, STOP="1", PYTHONPATH=str(tmp_path)) == 130
    monkeypatch.syspath_prepend(tmp_path)
    resuming = ["fit", "--resume", str(stopped), "--trust", "stopper"]
    in_two_processes(tmp_path, *resuming, LONGTAIL_RUN=str(stopped))
    assert_same_weights(stopped, whole)
    assert_same_epochs(stopped, whole)


RECIPES = [name.removeprefix("segmentation/") for name in recipe_names() if name.startswith("segmentation/")]


@pytest.mark.parametrize("recipe", sorted({*RECIPES} - {"cdb_s", "cdb_w", "ce", "gml"}))
def test_every_recipe_trains(recipe: str, shapes: Path, tmp_path: Path) -> None:
    assert fit(tmp_path / "run", recipe, shapes, "--trainer.max_steps", "1") == 0


def test_images_of_rare_classes_can_be_repeated(shapes: Path, tmp_path: Path) -> None:
    options = ["--data.sampling", "longtail.data.RepeatFactorSampling", "--data.sampling.threshold", "0.9"]
    assert fit(tmp_path / "run", "ce", shapes, "--epochs", "2", *options) == 0
    assert all(epoch["val"] is not None for epoch in results(tmp_path / "run")["history"])


def test_named_data_takes_a_root(shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fitting = ["fit", "--recipe", "segmentation/ce", "--run", str(tmp_path / "run"), *SMALL, "--trainer.max_steps", "1"]
    assert main([*fitting, "--data", "camvid", "--data.root", str(shapes)]) == 0
    content = results(tmp_path / "run")
    assert (content["data"]["name"], len(content["classes"])) == ("CamVid", 11)


def test_wrong_options_get_one_line(
    run: Path, shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fitting = ["fit", "--recipe", "segmentation/ce", "--run", str(tmp_path / "run")]
    assert "give --data FOLDER" in fails(capsys, *fitting)
    for name in ("camvid", "ade20k", "cityscapes"):
        assert f"--data {name} --data.root FOLDER" in fails(capsys, *fitting, "--data", name)
    assert "objectInfo150.txt" in fails(capsys, *fitting, "--data", "ade20k", "--data.root", str(shapes))
    assert "leftImg8bit/train" in fails(capsys, *fitting, "--data", "cityscapes", "--data.root", str(shapes))
    assert "give --batch-size 2" in fails(capsys, *fitting, "--data", str(shapes), "--batch-size", "1")
    assert "no annotated pixels" in fails(capsys, *fitting, "--data", "digits_lt", "--batch-size", "8")
    whole = ["fit", "--recipe", "ce", "--run", str(tmp_path / "run"), "--backbone", "resnet20_cifar"]
    pixels = ["--data", "longtail.data.SegmentationFolder", "--data.root", str(shapes), "--batch-size", "8"]
    assert "is not for classification: give data with labels of images" in fails(capsys, *whole, *pixels)
    boxes = ["fit", "--recipe", "maskrcnn_ce", "--run", str(tmp_path / "run")]
    assert "no boxes" in fails(capsys, *boxes, *pixels)
    assert not (tmp_path / "run").exists()
    for option, value in (("--top-k", "3"), ("--score", "0.1"), ("--annotations", "a.json")):
        assert f"{option} is for runs of" in fails(capsys, "predict", str(run), str(shapes), option, value)
    assert "--output FOLDER" in fails(capsys, "predict", str(run), str(shapes / "images/test"))
    assert "--strength is for runs of classification" in fails(capsys, "export", str(run), "--strength", "1")
    line = fails(capsys, "calibrate", str(run))
    assert "is a run of segmentation: calibrations are for runs of classification" in line


def spoil(root: Path, fault: str) -> None:
    annotation = root / "annotations/train/3.png"
    if fault == "no class names":
        (root / "classes.txt").unlink()
    elif fault == "another size":
        Image.new("L", (SIDE, SIDE + 1)).save(annotation)
    elif fault == "beyond the classes":
        Image.new("L", (SIDE, SIDE), 9).save(annotation)
    elif fault == "no image":
        (root / "images/train/3.png").write_text("hello")
    elif fault == "no annotation":
        annotation.unlink()


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("no class names", "classes.txt"),
        ("another size", "64 x 65"),
        ("beyond the classes", "label 9, beyond the 9 classes"),
        ("no image", "3.png"),
        ("no annotation", "3.png: has no annotation"),
    ],
)
def test_bad_sets_get_one_line(
    fault: str, message: str, shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, run = tmp_path / "set", tmp_path / "run"
    shutil.copytree(shapes, root)
    spoil(root, fault)
    fitting = ["fit", "--recipe", "segmentation/ce", "--data", str(root), "--run", str(run), *SMALL]
    assert message in fails(capsys, *fitting)
    assert not run.exists()


def test_bad_pairs_are_left_out_on_request(shapes: Path, tmp_path: Path) -> None:
    root, run = tmp_path / "set", tmp_path / "run"
    shutil.copytree(shapes, root)
    spoil(root, "beyond the classes")
    assert fit(run, "ce", root, "--skip-bad-images", "--trainer.max_steps", "1") == 0
    assert results(run)["data"]["images"]["train"] == 23
