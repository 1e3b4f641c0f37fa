"""Detection as the command line does it, on a generated set: train, resume, evaluate, report, predict, export."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from command import assert_same_epochs, assert_same_weights, fails, in_two_processes, results, stopping
from PIL import Image

from longtail.cli.main import main
from longtail.generated.shapes import write_shapes
from longtail.inference import load_run
from longtail.tasks.detection import Detection

SMALL = [
    *("--backbone", "test_resnet", "--model.method.backbone.features", "16", "--model.method.boxes_per_image", "16"),
    *("--model.method.min_size", "64", "--model.method.max_size", "64", "--model.method.detections", "20"),
    *("--data.view.min_sizes", "[64]", "--data.view.max_size", "64", "--workers", "0", "--precision", "32-true"),
    *("--trainer.enable_progress_bar", "false", "--batch-size", "8"),
]


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "shapes"
    write_shapes(folder, train=24, val=8, size=64)
    return folder


def fit(run: Path, recipe: str, data: Path, *options: str) -> int:
    return main(["fit", "--recipe", recipe, "--data", str(data), "--run", str(run), *SMALL, *options])


@pytest.fixture(scope="module")
def run(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained run."""
    run = tmp_path_factory.mktemp("runs") / "run"
    sampling = ["--data.sampling", "longtail.data.DifficultySampling"]
    assert fit(run, "maskrcnn_cdb_w", shapes, "--epochs", "3", "--lr", "1e-3", *sampling) == 0
    return run


def test_a_run_is_recorded_as_one_of_detection(run: Path) -> None:
    content = results(run)
    assert (content["status"], content["task"]) == ("finished", "detection")
    assert sum(content["label_counts"]) == content["label_counts"][0] + sum(content["label_counts"][1:]) > 24
    assert max(content["train_counts"]) <= 24
    assert content["history"][-1]["train"]["loss"] < content["history"][0]["train"]["loss"]
    parts = {"loss_classifier", "loss_box_reg", "loss_mask", "loss_objectness", "loss_rpn_box_reg"}
    assert parts <= content["history"][0]["train"].keys()
    (evaluation,) = [entry for entry in content["evaluations"] if entry["checkpoint"] == "last"]
    for kind in ("box", "mask"):
        values = [ap for ap in evaluation["per_class"][f"{kind}_ap"] if ap is not None]
        assert evaluation["metrics"][f"{kind}_ap"] == pytest.approx(np.mean(values))
    assert evaluation["examples"]


def test_the_difficulty_is_that_of_the_last_validation(run: Path) -> None:
    state = torch.load(run / "last.ckpt", weights_only=True)["state_dict"]
    accuracies = results(run)["history"][-1]["class_accuracy"]
    values = [value for value in accuracies if value is not None]
    buffer = state["difficulty.accuracy"]
    assert buffer[[value is not None for value in accuracies]].tolist() == pytest.approx(values, abs=1e-4)
    assert torch.equal(state["method.boxes.loss.difficulty.accuracy"].nan_to_num(-1), buffer.nan_to_num(-1))


def test_validation_gives_the_figures_of_the_run_again(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    before = results(copy)["evaluations"]
    assert main(["validate", str(copy), "--batch-size", "4", "--trainer.enable_progress_bar", "false"]) == 0
    for old, new in zip(before, results(copy)["evaluations"], strict=True):
        assert new["metrics"] == pytest.approx(old["metrics"], nan_ok=True, abs=1e-6)


def test_reports_show_the_run(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(run), "--output", str(tmp_path / "report.html")]) == 0
    page = (tmp_path / "report.html").read_text()
    assert "Mask AP" in page
    assert page.count("data:image/jpeg") == 2 * len(results(run)["evaluations"][0]["examples"])
    assert main(["compare", str(run), str(run), "--output", str(tmp_path / "compare.html")]) == 0
    assert "is a run of detection" in fails(capsys, "tradeoff", str(run))


def test_predictions_are_results_of_coco_with_pictures(run: Path, shapes: Path, tmp_path: Path) -> None:
    from faster_coco_eval.core import mask

    answer, pictures = tmp_path / "answer.json", tmp_path / "pictures"
    options = ["--output", str(answer), "--overlays", str(pictures), "--score", "0.05"]
    assert main(["predict", str(run), str(shapes / "val"), *options]) == 0
    truth = json.loads((shapes / "annotations/instances_val.json").read_text())
    detections = json.loads(answer.read_text())
    assert {detection["image_id"] for detection in detections} <= {
        int(Path(image["file_name"]).stem) for image in truth["images"]
    }
    assert {detection["category_id"] for detection in detections} <= {
        category["id"] for category in truth["categories"]
    }
    assert all(mask.decode(detection["segmentation"]).shape == (64, 64) for detection in detections)
    assert len(list(pictures.glob("*.png"))) == 8
    ids = ["--annotations", str(shapes / "annotations/instances_val.json")]
    assert main(["predict", str(run), str(shapes / "val"), "--output", str(tmp_path / "again.json"), *ids]) == 0
    assert (tmp_path / "again.json").read_bytes() == answer.read_bytes()
    texts = {"overlays": str(tmp_path / "drawn"), "annotations": ids[1]}
    load_run(str(run)).predict([str(shapes / "val")], str(tmp_path / "text.json"), score=0.05, **texts)
    assert (tmp_path / "text.json").read_bytes() == answer.read_bytes()
    assert {file.name for file in (tmp_path / "drawn").iterdir()} == {file.name for file in pictures.iterdir()}


def test_images_of_one_name_in_several_folders_have_the_ids_of_their_entries(
    run: Path, shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = sorted((shapes / "val").glob("*.png"))[:3]
    places = ["a/1.png", "b/1.png", "b/c/1.png"]
    for picture, place in zip(pictures, places, strict=True):
        (tmp_path / "new" / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, tmp_path / "new" / place)
    names = {"a/1.png": 30, "b/1.png": 10, "b/c/1.png": 20}
    file = tmp_path / "ids.json"
    file.write_text(json.dumps({"images": [{"id": number, "file_name": name} for name, number in names.items()]}))
    answers: dict[str, list[dict[str, object]]] = {}
    for inputs in (["new"], ["new/b", "new/a"], ["list.csv"]):
        (tmp_path / "list.csv").write_text("split,path\n" + "".join(f"x,new/{place}\n" for place in places))
        answer, pages = tmp_path / "answer.json", tmp_path / f"pictures-{Path(inputs[0]).name}"
        args = [str(tmp_path / name) for name in inputs]
        options = ["--output", str(answer), "--annotations", str(file), "--overlays", str(pages)]
        assert main(["predict", str(run), *args, *options]) == 0
        answers[inputs[0]] = json.loads(answer.read_text())
        assert {file.name for file in pages.iterdir()} == {"10-1.png", "20-1.png", "30-1.png"}
    alone = {}
    for picture, place in zip(pictures, places, strict=True):
        assert main(["predict", str(run), str(picture), "--output", str(answer)]) == 0
        alone[names[place]] = [(box["bbox"], box["category_id"]) for box in json.loads(answer.read_text())]
    for results_of in answers.values():
        for number, expected in alone.items():
            assert [(e["bbox"], e["category_id"]) for e in results_of if e["image_id"] == number] == expected
    assert {detection["file_name"] for detection in answers["new"]} <= names.keys()
    assert {detection["file_name"] for detection in answers["list.csv"]} <= {f"new/{place}" for place in places}

    def refusal(*entries: str) -> str:
        file.write_text(json.dumps({"images": [{"id": i, "file_name": name} for i, name in enumerate(entries)]}))
        return fails(capsys, "predict", str(run), str(tmp_path / "new"), "--annotations", str(file))

    assert "does not list" in refusal("a/1.png", "b/1.png")
    assert "does not tell" in refusal("1.png")
    assert "does not tell which of its images" in refusal("a/1.png", "b/1.png", "b/c/1.png", "./b/1.png")


def test_the_exported_network_finds_the_same(run: Path, shapes: Path, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    assert main(["export", str(run), "--output", str(tmp_path)]) == 0
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", options)
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["classes"]) == results(run)["classes"]
    with Image.open(next((shapes / "val").glob("*.png"))) as image:
        picture = image.convert("RGB")
    pixels = np.asarray(picture, dtype=np.float32).transpose(2, 0, 1) / 255
    boxes, labels, scores, masks = session.run(None, {"image": pixels})
    expected = load_run(run).detect(picture)
    assert labels.tolist() == expected["labels"].tolist()
    assert np.allclose(scores, expected["scores"], atol=1e-4)
    assert np.allclose(boxes, expected["boxes"], atol=1e-2)
    assert np.allclose(masks, expected["masks"], atol=1e-2)


def permute(shapes: Path, folder: Path, rename: str = "") -> Path:
    """The validation images as a set whose categories have other ids in another order."""
    shutil.copytree(shapes / "val", folder / "test")
    content = json.loads((shapes / "annotations/instances_val.json").read_text())
    numbers = {category["id"]: 100 - category["id"] for category in content["categories"]}
    for category in content["categories"]:
        category["id"] = numbers[category["id"]]
    for annotation in content["annotations"]:
        annotation["category_id"] = numbers[annotation["category_id"]]
    content["categories"].sort(key=lambda category: category["id"])
    if rename:
        present = {annotation["category_id"] for annotation in content["annotations"]}
        next(category for category in content["categories"] if category["id"] in present)["name"] = rename
    (folder / "instances_test.json").write_text(json.dumps(content))
    return folder


def test_a_run_is_evaluated_on_another_set(
    run: Path, shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    folder = permute(shapes, tmp_path / "other")
    assert main(["test", str(copy), "--data", str(folder), "--trainer.enable_progress_bar", "false"]) == 0
    assert results(copy) == results(run), "the figures of its own splits stay"
    evaluations = json.loads((copy / "test-other.json").read_text())["evaluations"]
    expected = {evaluation["checkpoint"]: evaluation for evaluation in results(run)["evaluations"]}
    assert {evaluation["checkpoint"] for evaluation in evaluations} == expected.keys()
    for evaluation in evaluations:
        assert evaluation["split"] == "test"
        reference = expected[evaluation["checkpoint"]]
        assert evaluation["metrics"] == pytest.approx(reference["metrics"], nan_ok=True, abs=1e-6)
        for name in ("box_ap", "mask_ap", "instances"):
            assert evaluation["per_class"][name] == pytest.approx(reference["per_class"][name], nan_ok=True, abs=1e-6)
    line = fails(capsys, "test", str(copy), "--data", str(permute(shapes, tmp_path / "wrong", "zebra")))
    assert "instances_test.json has classes that training lacks: zebra; its " in line


def test_weights_of_a_run_start_another(run: Path, shapes: Path, tmp_path: Path) -> None:
    weights = ["--weights", str(run / "best.ckpt"), "--trainer.max_steps", "1"]
    assert fit(tmp_path / "run", "maskrcnn_ce", shapes, *weights) == 0
    (tmp_path / "moved.ckpt").touch()  # what it started from is not needed any more
    text = (tmp_path / "run/config.yaml").read_text()
    (tmp_path / "run/config.yaml").write_text(text.replace(str(run / "best.ckpt"), str(tmp_path / "moved.ckpt")))
    quiet = ["--trainer.enable_progress_bar", "false"]
    assert main(["validate", str(tmp_path / "run"), "--data", str(permute(shapes, tmp_path / "other")), *quiet]) == 0
    (evaluation,) = json.loads((tmp_path / "run/val-other.json").read_text())["evaluations"]
    (reference,) = [
        entry for entry in results(tmp_path / "run")["evaluations"] if entry["checkpoint"] == evaluation["checkpoint"]
    ]
    assert evaluation["metrics"] == pytest.approx(reference["metrics"], nan_ok=True, abs=1e-6)


def test_a_network_normalises_as_its_weights_were_trained(shapes: Path, tmp_path: Path) -> None:
    """By timm's record of them, unless an option says otherwise; a run that goes on from it does the same."""
    torch.save(timm.create_model("test_resnet").state_dict(), tmp_path / "weights.pth")
    limits = ["--epochs", "1", "--trainer.limit_train_batches", "1", "--trainer.limit_val_batches", "1"]
    start = ["--weights", str(tmp_path / "weights.pth"), *limits]
    first, second = tmp_path / "first", tmp_path / "second"
    assert fit(first, "fasterrcnn_ce", shapes, *start, "--model.method.std", "[0.2, 0.3, 0.4]") == 0
    start[1] = str(first / "last.ckpt")
    assert fit(second, "fasterrcnn_ce", shapes, *start) == 0
    for run in (first, second):
        record = results(run)["data"]["input"]
        assert (record["mean"], record["std"]) == ([0.5, 0.5, 0.5], [0.2, 0.3, 0.4])
        resize = load_run(run).method.network.transform
        assert (list(resize.image_mean), list(resize.image_std)) == (record["mean"], record["std"])


def test_a_stopped_run_resumes_to_the_same_weights(shapes: Path, tmp_path: Path) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    options = ["--epochs", "2", "--data.sampling", "longtail.data.DifficultySampling"]
    assert fit(whole, "maskrcnn_ce", shapes, *options) == 0
    with stopping(Detection, 1, 1):
        assert fit(stopped, "maskrcnn_ce", shapes, *options) == 130
    assert main(["fit", "--resume", str(stopped)]) == 0
    assert_same_weights(stopped, whole)
    assert_same_epochs(stopped, whole)


@pytest.mark.parametrize(
    "recipe",
    [
        *("maskrcnn_seesaw", "maskrcnn_eqlv2", "maskrcnn_federated", "maskrcnn_logit_adjusted", "maskrcnn_ldam"),
        *("fasterrcnn_focal", "fasterrcnn_class_balanced"),
    ],
)
def test_every_loss_trains_by_its_recipe(recipe: str, shapes: Path, tmp_path: Path) -> None:
    assert fit(tmp_path / "run", recipe, shapes, "--trainer.max_steps", "2") == 0


def test_boxes_alone_with_difficulty_from_average_precision(shapes: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = ["--trainer.max_steps", "2", "--model.difficulty_from", "ap50"]
    options += ["--model.method.classifier", "longtail.models.CosineClassifier"]
    assert fit(run, "fasterrcnn_cdb_w", shapes, *options) == 0
    content = results(run)
    assert content["accuracy_of"] == "AP50 of the boxes"
    assert not [name for name in content["evaluations"][0]["metrics"] if name.startswith("mask")]


def test_averaged_weights_leave_the_difficulty_measured(shapes: Path, tmp_path: Path) -> None:
    assert fit(tmp_path / "run", "fasterrcnn_cdb_w", shapes, "--epochs", "1", "--ema", "0.5") == 0
    assert any(value is not None for value in results(tmp_path / "run")["history"][0]["class_accuracy"])


def test_every_epoch_with_repeat_factors_is_validated(shapes: Path, tmp_path: Path) -> None:
    options = ["--data.masks", "false", "--model.method.masks", "false", "--data.sampling.threshold", "0.9"]
    assert fit(tmp_path / "run", "maskrcnn_rfs", shapes, "--epochs", "4", *options, "--batch-size", "4") == 0
    assert all(epoch["val"] is not None for epoch in results(tmp_path / "run")["history"])


def test_two_processes_measure_and_predict_as_one(run: Path, shapes: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)

    def predict(name: str) -> list[str]:
        out = ["--output", str(tmp_path / f"{name}.json"), "--overlays", str(tmp_path / name), "--score", "0.05"]
        return ["predict", str(run), str(shapes / "val"), *out]

    in_two_processes(tmp_path, "validate", str(copy), "--batch-size", "4", then=predict("two"))
    evaluations = results(copy)["evaluations"]
    assert main(["validate", str(copy), "--batch-size", "4", "--trainer.enable_progress_bar", "false"]) == 0
    assert evaluations == results(copy)["evaluations"]
    assert main(predict("one")) == 0
    assert (tmp_path / "two.json").read_bytes() == (tmp_path / "one.json").read_bytes()
    pictures = [{path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "two")]
    assert pictures[0] == pictures[1] != {}


def test_wrong_input_gets_one_line(run: Path, shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fitting = ["fit", "--recipe", "maskrcnn_ce", "--run", str(tmp_path / "run")]
    assert "--data FOLDER" in fails(capsys, *fitting)
    assert "--data.root" in fails(capsys, *fitting, "--data", "lvis")
    assert "annotations/lvis_v1_train.json" in fails(capsys, *fitting, "--data", "lvis", "--data.root", str(shapes))
    assert "no boxes" in fails(capsys, *fitting, "--data", "digits_lt")
    args = [
        "fit",
        "--recipe",
        "ce",
        "--run",
        str(tmp_path / "run"),
        "--data",
        "coco",
        "--data.root",
        str(shapes),
        "--batch-size",
        "4",
    ]
    assert "is not for classification: give data with labels of images" in fails(capsys, *args)
    unmeasured = ["fit", "--recipe", "maskrcnn_cdb_w", "--run", str(tmp_path / "run"), "--data", str(shapes)]
    unmeasured += ["--data.val_as_test", "true", "--data.val_fraction", "0"]
    assert "--data.val_fraction" in fails(capsys, *unmeasured)
    options = ["--data", str(shapes), "--model.method.boxes", "longtail.methods.SigmoidBoxes"]
    assert "CrossEntropyLoss goes with longtail.methods.SoftmaxBoxes" in fails(capsys, *fitting, *options)
    assert "--data.masks true" in fails(capsys, *fitting, "--data", str(shapes), "--data.masks", "false")
    assert not (tmp_path / "run").exists()
    assert "--top-k is for runs of classification" in fails(capsys, "predict", str(run), str(shapes), "--top-k", "3")
    assert "--strength" in fails(capsys, "export", str(run), "--strength", "1")
    line = fails(capsys, "calibrate", str(run))
    assert "run is a run of detection: calibrations are for runs of classification" in line
    for option, value in (("--prior", "uniform"), ("--strength", "1")):
        line = fails(capsys, "test", str(run), option, value)
        assert f"{option} is for runs of classification, this one is of detection: leave it out" in line
    message = fails(capsys, "predict", str(run), str(shapes / "train"), "--annotations", str(tmp_path / "no.json"))
    assert "no.json" in message


def in_yolos_format(shapes: Path, root: Path) -> None:
    """The generated set, written as YOLO's polygons, here the boxes, with data.yaml."""
    for split in ("train", "val"):
        content = json.loads((shapes / f"annotations/instances_{split}.json").read_text())
        shutil.copytree(shapes / split, root / split / "images")
        (root / split / "labels").mkdir()
        numbers = {category["id"]: c for c, category in enumerate(content["categories"])}
        for image in content["images"]:
            lines = []
            for annotation in (entry for entry in content["annotations"] if entry["image_id"] == image["id"]):
                x, y, w, h = (value / 64 for value in annotation["bbox"])
                corners = (x, y, x + w, y, x + w, y + h, x, y + h)
                lines.append(" ".join(map(str, (numbers[annotation["category_id"]], *corners))))
            file = root / split / "labels" / Path(image["file_name"]).with_suffix(".txt").name
            file.write_text("\n".join(lines))
    names = [category["name"] for category in content["categories"]]
    (root / "data.yaml").write_text(f"train: ../train/images\nval: ../val/images\nnc: {len(names)}\nnames: {names}\n")


def test_a_set_in_yolos_format_is_trained_on_and_evaluated_in_cocos(shapes: Path, tmp_path: Path) -> None:
    in_yolos_format(shapes, tmp_path / "yolo")
    run = tmp_path / "run"
    assert fit(run, "maskrcnn_ce", tmp_path / "yolo", "--epochs", "1") == 0
    record = results(run)
    content = json.loads((shapes / "annotations/instances_train.json").read_text())
    names = {category["id"]: category["name"] for category in content["categories"]}
    counts = dict(zip(record["classes"], record["label_counts"], strict=True))
    labels = [names[annotation["category_id"]] for annotation in content["annotations"]]
    assert counts == {name: labels.count(name) for name in names.values()}
    assert main(["validate", str(run), "--data", str(shapes), "--workers", "0"]) == 0
    entries = [entry for entry in record["evaluations"] if entry["split"] == "val" and entry["checkpoint"] == "last"]
    evaluation = json.loads((run / "val-shapes.json").read_text())["evaluations"][0]
    expected = entries[0]["metrics"]["box_ap50"]
    assert evaluation["metrics"]["box_ap50"] == pytest.approx(expected, abs=1e-4)
    assert expected > 0
