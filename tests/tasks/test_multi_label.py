"""Several labels an image as the command line does it, on generated shapes: train, resume, evaluate, use."""

import csv
import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from command import assert_same_epochs, assert_same_weights, fails, results, stopping
from PIL import Image
from sklearn.metrics import average_precision_score

from longtail.cli.main import main
from longtail.data import Folder, MultiLabelTable
from longtail.data.images.base import ImageData
from longtail.difficulty import ClassDifficulty
from longtail.errors import InputError
from longtail.generated.shapes import write_shapes
from longtail.inference import load_run
from longtail.inference.multi_label import Labeller
from longtail.losses import BinaryCrossEntropyLoss, BinaryDifficultyLoss, CrossEntropyLoss, DistributionBalancedLoss
from longtail.losses.base import Loss
from longtail.methods import Plain
from longtail.models import Backbone
from longtail.recipes import recipe_names
from longtail.tasks import Classification, MultiLabel
from longtail.tasks.images import ImageTask

SMALL = [
    *("--backbone", "resnet8_cifar", "--image-size", "32", "--batch-size", "8", "--workers", "0", "--epochs", "2"),
    *("--precision", "32-true", "--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"),
    *("--model.many", "12", "--model.few", "5", "--data.test_fraction", "0.2"),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of several shapes: COCO's files, and a table of those of training."""
    place = tmp_path_factory.mktemp("place")
    write_shapes(place / "shapes", train=40, val=10, size=32, factor=0.2)
    content = json.loads((place / "shapes" / "annotations" / "instances_train.json").read_text())
    names = {category["id"]: category["name"] for category in content["categories"]}
    labels: dict[int, set[str]] = {image["id"]: set() for image in content["images"]}
    for annotation in content["annotations"]:
        labels[annotation["image_id"]].add(names[annotation["category_id"]])
    rows = [f"train/{image['file_name']},{'|'.join(sorted(labels[image['id']]))}" for image in content["images"]]
    (place / "shapes" / "train.csv").write_text("\n".join(["path,labels", *rows]))
    return place


def fit(place: Path, run: str, *options: str) -> Path:
    data = ["--data", str(place / "shapes" / "train.csv"), "--run", str(place / run)]
    assert main(["fit", "--recipe", "multilabel/cdb_w", *data, *SMALL, *options]) == 0
    return place / run


@pytest.fixture(scope="module")
def run(place: Path) -> Path:
    return fit(place, "run")


def test_the_results_have_the_figures_of_each_class(run: Path) -> None:
    content = results(run)
    assert (content["task"], content["accuracy_of"]) == ("several labels", "average precision")
    last = next(entry for entry in content["evaluations"] if (entry["split"], entry["checkpoint"]) == ("val", "last"))
    ap = [value for value in last["per_class"]["ap"] if value is not None]
    assert last["metrics"]["mean_ap"] == pytest.approx(sum(ap) / len(ap))
    rows = [
        c for c, count in enumerate(content["train_counts"]) if count < 5 and last["per_class"]["ap"][c] is not None
    ]
    assert last["metrics"]["mean_ap_few"] == pytest.approx(np.mean([last["per_class"]["ap"][c] for c in rows]))
    epoch = content["history"][-1]
    assert epoch["val"]["mean_ap"] == pytest.approx(last["metrics"]["mean_ap"], abs=1e-6)
    assert epoch["class_accuracy"] == pytest.approx([round(value, 4) for value in last["per_class"]["ap"]], abs=1e-4)


def test_average_precision_is_that_of_what_is_predicted(run: Path, place: Path) -> None:
    """By the table of the test images, through the predictor."""
    evaluation = next(e for e in results(run)["evaluations"] if (e["split"], e["checkpoint"]) == ("test", "best"))
    assert evaluation["images"] == 8
    model = load_run(run)
    assert isinstance(model, Labeller)
    files = json.loads(gzip.decompress((run / "splits.json.gz").read_bytes()))["files"]["test"]["names"]
    with (place / "shapes" / "train.csv").open() as stream:
        truth = {row["path"]: set(row["labels"].split("|")) for row in csv.DictReader(stream)}
    logits = model.network.logits(torch.stack([model.network.read(str(place / "shapes" / name)) for name in files]))
    for c, name in enumerate(model.network.classes):
        labels = [name in truth[file] for file in files]
        expected = average_precision_score(labels, logits[:, c].numpy()) if any(labels) else None
        assert evaluation["per_class"]["ap"][c] == pytest.approx(expected), name


def test_thresholds_are_those_of_the_checkpoint(run: Path) -> None:
    thresholds = {}
    for evaluation in results(run)["evaluations"]:
        thresholds.setdefault(evaluation["checkpoint"], []).append(evaluation["per_class"]["threshold"])
    for name, (val, test) in thresholds.items():
        assert val == test, "those of the test split were chosen on validation"
        labeller = load_run(run, name)
        assert isinstance(labeller, Labeller)
        assert labeller.limits.sigmoid().tolist() == pytest.approx(val)


def test_averaged_weights_have_the_thresholds_of_their_validation() -> None:
    task = MultiLabel(Plain([5, 2], Backbone("resnet20_cifar"), BinaryCrossEntropyLoss()), [5, 2])
    task.limits.copy_(torch.tensor([0.5, -1.0]))
    checkpoint = {"state_dict": {"limits": torch.zeros(2)}}  # as averaging leaves them
    task.on_save_checkpoint(checkpoint)
    assert checkpoint["state_dict"]["limits"].tolist() == [0.5, -1.0]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    (tmp_path / "new").mkdir()
    for i in range(3):
        pixels = np.random.default_rng(i).integers(0, 255, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "new" / f"{i}.png")
    return tmp_path / "new"


def test_it_names_the_labels_above_their_thresholds(run: Path, pictures: Path, tmp_path: Path) -> None:
    assert main(["predict", str(run), str(pictures), "--output", str(tmp_path / "a.csv")]) == 0
    rows = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))
    labeller = load_run(str(run))
    assert isinstance(labeller, Labeller)
    labeller.predict([str(pictures)], str(tmp_path / "b.csv"))
    assert (tmp_path / "b.csv").read_bytes() == (tmp_path / "a.csv").read_bytes()
    logits = labeller.network.logits(torch.stack([labeller.network.read(str(pictures / f"{i}.png")) for i in range(3)]))
    for row, values in zip(rows, logits, strict=True):
        names = {labeller.network.classes[c] for c in torch.nonzero(values >= labeller.limits)[:, 0].tolist()}
        assert {name for name in row["labels"].split("|") if name} == names
        numbers = [float(value) for value in row["probabilities"].split("|") if value]
        assert numbers == sorted(numbers, reverse=True)
        assert len(numbers) == len(names)


def test_a_threshold_of_ones_own_and_json_lines(run: Path, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for threshold, count in (("0", 8), ("1", 0)):
        assert main(["predict", str(run), str(pictures), "--threshold", threshold, "--format", "jsonl"]) == 0
        answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [len(answer["labels"]) for answer in answers] == [count] * 3
    assert "a probability, from 0 to 1" in fails(capsys, "predict", str(run), str(pictures), "--threshold", "2")
    assert "--top-k is for runs of classification" in fails(capsys, "predict", str(run), str(pictures), "--top-k", "2")


def test_it_is_evaluated_again_and_on_another_set(run: Path, place: Path) -> None:
    before = results(run)["evaluations"]
    assert main(["test", str(run)]) == 0
    assert sorted(results(run)["evaluations"], key=str) == sorted(before, key=str)
    annotations = place / "shapes" / "annotations" / "instances_val.json"
    args = ["--data", str(annotations), "--data.root", str(place / "shapes" / "val")]
    assert main(["test", str(run), *args]) == 0
    content = json.loads((run / "test-instances_val.json").read_text())
    assert content["evaluations"][0]["images"] == 10


def test_the_pages_have_its_words(run: Path, tmp_path: Path) -> None:
    assert main(["report", str(run), "--output", str(tmp_path / "report.html")]) == 0
    page = (tmp_path / "report.html").read_text()
    assert "the mean AP is" in page
    assert "Threshold" in page
    assert "As recorded" not in page
    assert main(["compare", str(run), str(run), "--output", str(tmp_path / "compare.html")]) == 0


def test_the_export_says_that_probabilities_are_sigmoids(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written is that of a classifier, whose own tests compare it with torch."""
    calls = []
    monkeypatch.setattr("longtail.inference.multi_label.write_classifier", lambda *args: calls.append(args) or [])
    assert main(["export", str(run), "--output", str(tmp_path)]) == 0
    _, shape, scale, adjustment, metadata, output = calls[0]
    assert (shape, scale, adjustment, output) == ((3, 32, 32), None, None, tmp_path)
    assert metadata["probabilities"] == "sigmoid"
    assert len(json.loads(metadata["thresholds"])) == len(json.loads(metadata["classes"])) == 8


def test_a_run_that_was_stopped_and_resumed_is_as_one_that_was_not(run: Path, place: Path) -> None:
    data = ["--data", str(place / "shapes" / "train.csv"), "--run", str(place / "stopped")]
    with stopping(MultiLabel, 1, 1):
        assert main(["fit", "--recipe", "multilabel/cdb_w", *data, *SMALL]) == 130
    assert main(["fit", "--resume", str(place / "stopped")]) == 0
    assert_same_weights(place / "stopped", run)
    assert_same_epochs(place / "stopped", run)


@pytest.mark.parametrize(("command", "use"), [("tradeoff", "trade-offs"), ("calibrate", "calibrations")])
def test_what_is_for_one_label_alone_is_refused(
    command: str, use: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"is a run of several labels: {use} are for runs of classification" in fails(capsys, command, str(run))


def task_of(kind: type[ImageTask], data: ImageData, loss: Loss) -> ImageTask:
    method = Plain(data.label_counts, Backbone("resnet20_cifar"), loss)
    return kind(method, data.label_counts)  # type: ignore[call-arg]  # the others have defaults


def test_data_and_losses_of_the_other_kind_are_refused(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = tmp_path / "photos"
    for name in "ab":
        (photos / name).mkdir(parents=True)
        for i in range(8):
            Image.new("RGB", (32, 32)).save(photos / name / f"{i}.png")
    args = ["--run", str(tmp_path / "run"), *SMALL]
    message = fails(capsys, "fit", "--recipe", "multilabel/bce", "--data", str(photos), *args)
    assert "has folders for classes, and each image one label: give --data TABLE with a column of labels" in message
    assert not (tmp_path / "run").exists()
    options = {"batch_size": 4, "num_workers": 0}
    folder = Folder(root=photos, **options)
    table = MultiLabelTable(table=place / "shapes" / "train.csv", **options)
    for kind, data, loss, message in (
        (MultiLabel, folder, BinaryCrossEntropyLoss(), "has one label an image: give a recipe for those"),
        (MultiLabel, table, CrossEntropyLoss(), "CrossEntropyLoss is for one label an image: give one of several"),
        (Classification, table, CrossEntropyLoss(), "has several labels an image, .* give --recipe multilabel/bce"),
        (Classification, folder, BinaryCrossEntropyLoss(), "BinaryCrossEntropyLoss is for several labels an image"),
    ):
        with pytest.raises(InputError, match=message):
            task_of(kind, data, loss).check(data)


def test_the_recipes() -> None:
    names = {name for name in recipe_names() if name.startswith("multilabel/")}
    assert names == {f"multilabel/{name}" for name in ("asymmetric", "balanced", "bce", "cdb_s", "cdb_w")}


def test_the_losses_are_told_the_images(place: Path) -> None:
    data = MultiLabelTable(table=place / "shapes" / "train.csv", batch_size=8, num_workers=0)
    loss = DistributionBalancedLoss(data.label_counts, bias=1.0)
    task_of(MultiLabel, data, BinaryDifficultyLoss(ClassDifficulty(len(data.classes)), loss)).check(data)
    rest = data.size("train") / torch.tensor(data.label_counts) - 1
    torch.testing.assert_close(loss.offsets, rest.log())
