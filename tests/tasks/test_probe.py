"""Heads on frozen features, and second stages: the same figures as by the images, from features computed once."""

import json
import shutil
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path

import pytest
import timm
import torch
import yaml
from command import FIT_DIGITS, fails, results
from pictures import photos
from processes import two_processes
from torch import nn
from torch.nn import functional as F

from longtail.cli.main import main
from longtail.cli.stages import check_can_freeze, second_stage
from longtail.data import Folder
from longtail.errors import InputError
from longtail.inference import load_run
from longtail.methods.start import ClassMeans, first_rows
from longtail.models import Backbone, ScaledClassifier, TauClassifier
from longtail.models.trained_state import structure_hash
from longtail.recipes import load_recipe
from longtail.tasks import features
from longtail.tasks.feature_files import CHECKSUM, Part, part_of
from longtail.tasks.features import Extraction

CLASSES = {"red": 12, "green": 8, "blue": 5}
OPTIONS = ["--batch-size", "8", "--workers", "0", "--trainer.accelerator", "cpu", "--image-size", "32"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("place")
    photos(folder / "photos", CLASSES, (32, 32), 60)
    torch.manual_seed(0)
    torch.save(timm.create_model("test_efficientnet").state_dict(), folder / "weights.pth")
    return folder


def probe(place: Path, recipe: str, run: str, *options: str) -> Path:
    weights = ["--backbone", "test_efficientnet", "--weights", str(place / "weights.pth"), *OPTIONS, *options]
    data = ["--data", str(place / "photos"), "--run", str(place / run)]
    assert main(["fit", "--recipe", recipe, *data, *weights]) == 0
    return place / run


def stages(place: Path) -> set[str]:
    return {file.name for file in (place / "features").iterdir()}


@pytest.fixture(scope="module")
def adjusted(place: Path) -> Path:
    return probe(place, "probe/logit_adjusted", "adjusted", "--epochs", "3")


def test_a_probe_is_used_as_any_run(place, adjusted, capsys):
    """What evaluation gave on the features is what the images give."""
    figures = results(adjusted)["evaluations"]
    assert {evaluation["split"] for evaluation in figures} == {"val"}
    classifier = load_run(adjusted, "last")
    config = yaml.safe_load((adjusted / "config.yaml").read_text())
    assert config["model"]["init_args"]["method"]["class_path"] == "longtail.methods.Probe"
    files = sorted(map(str, (place / "photos").rglob("*.png")))
    images = torch.stack([classifier.read(file) for file in files])
    embeddings = classifier.method.backbone(classifier.normalise(images))
    assert torch.allclose(
        classifier.probabilities(images), classifier.method.classify(embeddings).softmax(1), atol=1e-6
    )
    assert main(["validate", str(adjusted)]) == 0  # by the images
    rerun = {e["checkpoint"]: e["metrics"] for e in results(adjusted)["evaluations"]}
    assert rerun == {e["checkpoint"]: pytest.approx(e["metrics"], abs=1e-4) for e in figures}


def test_a_second_method_starts_from_the_features_that_are_there(place, adjusted, log):
    names = stages(place)
    times = {name: (place / "features" / name).stat().st_mtime_ns for name in names}
    probe(place, "probe/cdb_s", "sampled", "--epochs", "2")
    probe(place, "probe/ncm", "means")
    assert stages(place) == names
    assert {name: (place / "features" / name).stat().st_mtime_ns for name in names} == times


def test_other_images_weights_or_sizes_have_features_of_their_own(place, adjusted):
    names = stages(place)
    probe(place, "probe/ce", "small", "--epochs", "1", "--image-size", "24")
    superset = stages(place)
    assert names < superset
    torch.manual_seed(1)
    torch.save(timm.create_model("test_efficientnet").state_dict(), place / "other.pth")
    probe(place, "probe/ce", "other", "--epochs", "1", "--weights", str(place / "other.pth"))
    assert superset < stages(place)


@pytest.mark.parametrize(
    ("damage", "blocks"),
    [
        (lambda content: content, 3),
        (lambda content: content + b"half of a batch", 3),
        (lambda content: content[:-4], 0),
        (lambda content: content[:8] + b"\xff\xff" + content[10:], 0),
    ],
    ids=["whole", "cut short", "truncated", "changed"],
)
def test_features_that_were_interrupted_go_on_unless_they_are_damaged(place, log, monkeypatch, damage, blocks, request):
    monkeypatch.setattr(features, "BATCH", 4)
    extraction, data = extraction_of(place, request.node.callspec.id, Backbone("test_efficientnet"))
    batches, append, sizes = [*range(3)], Part.append, []

    def count(part: Part, content: bytes) -> None:
        if not batches:
            raise KeyboardInterrupt
        batches.pop()
        sizes.append(len(content))
        append(part, content)

    monkeypatch.setattr(Part, "append", count)
    with pytest.raises(KeyboardInterrupt):
        extraction.of_split(data, "train", 1)
    (part,) = extraction.folder.glob("*.part")
    part.write_bytes(damage(part.read_bytes()))
    batches += range(9)
    rows = extraction.of_split(data, "train", 1).clone()
    assert sum(sizes[3:]) == rows.numel() * 4 - blocks * 4 * 4 * extraction.width
    assert ("the extraction starts over" in log.text) == (blocks == 0)
    assert {file.suffix for file in extraction.folder.iterdir()} <= {".f32", ".lock"}
    extraction.folder = None
    assert torch.equal(rows, extraction.of_split(data, "train", 1))


def test_what_cannot_be_kept_is_not_promised_to_go_on(place):
    (place / "file").touch()
    extraction, data = extraction_of(place, "file/below", Backbone("test_efficientnet"))
    with pytest.raises(InputError, match=r"cannot keep the features \(.*by --features$"):
        extraction.of_split(data, "val", 1)


@pytest.mark.parametrize("broken", [b"\0", b"\xff"], ids=["zeros", "NaN"])
def test_features_that_are_not_those_written_are_computed_anew(place, broken, log):
    extraction, data = extraction_of(place, f"broken{broken[0]}", Backbone("test_efficientnet"))
    expected = extraction.of_split(data, "val", 1).clone()
    (file,) = (place / f"broken{broken[0]}").glob("val*.f32")
    whole = file.read_bytes()
    file.write_bytes(broken * (len(whole) - CHECKSUM) + whole[-CHECKSUM:])
    assert torch.equal(extraction.of_split(data, "val", 1), expected)
    assert file.read_bytes() == whole
    assert "are computed anew" in log.text


def test_features_under_the_name_of_others_are_not_taken(place, log):
    networks = [Backbone("test_efficientnet"), Backbone("test_efficientnet")]
    kept = []
    for network in networks:
        extraction, data = extraction_of(place, "swapped", network)
        kept.append(extraction.of_split(data, "val", 1).clone())
    first, second = (place / "swapped").glob("val*.f32")
    first.write_bytes(second.read_bytes())
    for network, expected in zip(networks, kept, strict=True):
        extraction, data = extraction_of(place, "swapped", network)
        assert torch.equal(extraction.of_split(data, "val", 1), expected)
    assert "are computed anew" in log.text


def test_another_network_of_the_same_weights_has_features_of_its_own(place):
    networks = [Backbone("test_vit"), Backbone("test_vit")]
    networks[1].load_state_dict(networks[0].state_dict())
    networks[1].body.global_pool = "avg"
    extractions = [extraction_of(place, "same", network) for network in [*networks, networks[0]]]
    tokens, pooled, copy = (extraction.of_split(data, "val", 1).clone() for extraction, data in extractions)
    assert not torch.allclose(tokens, pooled)
    assert torch.equal(tokens, copy)
    assert len(list((place / "same").glob("*.f32"))) == 2


def test_networks_are_told_apart_beside_their_weights():
    relu, gelu = nn.Sequential(nn.Linear(2, 2), nn.ReLU()), nn.Sequential(nn.Linear(2, 2), nn.GELU())
    assert structure_hash(relu) == structure_hash(nn.Sequential(nn.Linear(2, 2), nn.ReLU()).eval())
    assert structure_hash(relu) != structure_hash(gelu)
    assert structure_hash(nn.ConstantPad2d(1, 0.0)) != structure_hash(nn.ConstantPad2d(1, 1.0))


def extraction_of(place: Path, name: str, network: Backbone) -> tuple[Extraction, Folder]:
    data = Folder(place / "photos", image_size=160, num_workers=0, batch_size=8)
    return Extraction(network.eval(), place / name, torch.device("cpu"), nullcontext, "32-true", True), data


def extract(place: Path, name: str, rank: int) -> list[torch.Tensor]:
    """Features of the training images, of two augmented copies of each, and of some that are not kept."""
    torch.manual_seed(0)
    data = Folder(place / "photos", image_size=32, num_workers=0, batch_size=8)
    network = Backbone("test_efficientnet").eval()
    extraction = Extraction(network, place / name, torch.device("cpu"), nullcontext, "32-true", True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features, "BATCH", 4)
        rows = extraction.of_rows(data, torch.tensor([5, 3, 0, 7, 9, 2]))
        return [rows, *(extraction.of_split(data, "train", copies).clone() for copies in (1, 2))]


def test_two_processes_share_the_images_of_features(place):
    """They go on where the extraction was cut, and have what one process has to the bit."""
    alone = extract(place, "one", 0)
    whole = {file.name: file.read_bytes() for file in (place / "one").glob("*.f32")}
    (place / "both").mkdir()
    rest = min(map(len, whole.values())) - CHECKSUM - 2 * 4 * 4 * 256  # but for two batches of the last copy
    for name, content in whole.items():
        with suppress(KeyboardInterrupt), part_of(place / "both" / name) as part:
            part.append(content[: len(content) - CHECKSUM - rest])
            raise KeyboardInterrupt
    for result in two_processes(partial(extract, place, "both"), place):
        assert all(torch.equal(row, reference) for row, reference in zip(result, alone, strict=True))
    assert {file.name: file.read_bytes() for file in (place / "both").glob("*.f32")} == whole


def test_a_test_image_has_the_mean_of_five_crops(place):
    """The features are of all five, and the evaluation by the images again gives the same."""
    crops = ["--data.test_crops", "5", "--data.preprocessing.crop", "0.8"]
    run = probe(place, "probe/ce", "crops", "--epochs", "2", "--data.test_fraction", "0.3", *crops)
    before = {e["checkpoint"]: e["metrics"] for e in results(run)["evaluations"] if e["split"] == "test"}
    width, images = load_run(run).method.num_features, results(run)["data"]["images"]["test"]
    sizes = {file.stat().st_size for file in (place / "features").iterdir() if file.name.startswith("test")}
    assert 5 * images * width * 4 + CHECKSUM in sizes
    assert main(["test", str(run)]) == 0
    after = {e["checkpoint"]: e["metrics"] for e in results(run)["evaluations"] if e["split"] == "test"}
    assert after == {name: pytest.approx(metrics, abs=1e-4) for name, metrics in before.items()}


def test_class_means_are_those_of_a_loop(place):
    run = probe(place, "probe/ncm", "ncm", "--data.val_fraction", "0")
    classifier = load_run(run)
    means = []
    for name in sorted(CLASSES):
        images = [classifier.read(str(file)) for file in sorted((place / "photos" / name).iterdir())]
        embeddings = classifier.method.backbone(classifier.normalise(torch.stack(images)))
        means.append(F.normalize(embeddings.double().mean(0), dim=0))
    assert torch.allclose(classifier.method.classifier.weight.double(), torch.stack(means), atol=1e-5)


def test_augmented_copies_are_drawn(place):
    run = probe(place, "probe/ce", "copies", "--epochs", "2", "--model.method.copies", "3")
    rows = sum(results(run)["train_counts"])
    size = max(file.stat().st_size for file in (place / "features").iterdir())
    width = load_run(run).method.num_features
    assert size == 3 * rows * width * 4 + CHECKSUM


def test_a_checkpoint_holds_the_head_and_finds_the_rest(place, adjusted, capsys):
    assert (adjusted / "last.ckpt").stat().st_size < 60_000 < (place / "weights.pth").stat().st_size
    weights, hidden = place / "weights.pth", place / "hidden.pth"
    weights.rename(hidden)
    try:
        assert "weights.pth" in fails(capsys, "predict", str(adjusted), str(place / "photos"))
        torch.save(timm.create_model("test_efficientnet").state_dict(), weights)
        assert "SHA-256" in fails(capsys, "predict", str(adjusted), str(place / "photos"))
    finally:
        hidden.rename(weights)


def test_a_probe_of_a_network_that_is_trained_is_refused(place, capsys):
    data = ["--data", str(place / "photos"), "--run", str(place / "wrong"), *OPTIONS]
    options = ["--backbone", "test_efficientnet", "--model.method.backbone.pretrained", "false"]
    message = fails(capsys, "fit", "--recipe", "probe/ce", *data, *options, "--model.method.backbone.tuning", "all")
    assert "tuning none" in message


@pytest.fixture(scope="module")
def first(place: Path) -> Path:
    run = place / "first"
    assert main([*FIT_DIGITS, "--epochs", "2", "--run", str(run), "--trainer.accelerator", "cpu"]) == 0
    return run


@pytest.mark.parametrize("stage", ["crt", "lws", "tau", "ncm"])
def test_a_second_stage_goes_on_from_a_run(first, stage, capsys):
    run = first.with_name(f"second-{stage}")
    assert main(["fit", "--recipe", f"second/{stage}", "--from", str(first), "--run", str(run), "--epochs", "2"]) == 0
    assert stage in capsys.readouterr().out
    assert results(run)["train_counts"] == results(first)["train_counts"]
    before, after = load_run(first), load_run(run)
    state = before.method.backbone.state_dict()
    assert all(
        torch.equal(value, state[key]) for key, value in after.method.backbone.body.named_parameters(prefix="body")
    )


@pytest.mark.parametrize("recipe", ["bcl", "cibl", "gml"])
def test_factors_stand_on_the_classifier_of_any_method(place, recipe):
    run, data = place / f"stage-{recipe}", ["--data", str(place / "photos"), "--backbone", "resnet8_cifar"]
    assert main(["fit", "--recipe", recipe, *data, *OPTIONS, "--epochs", "1", "--run", str(run)]) == 0
    check_factors(run)


def test_factors_stand_on_class_means(place):
    check_factors(probe(place, "probe/ncm", "stage-ncm"))


def test_a_linear_classifier_starts_from_random_weights(place):
    linear = ["--model.method.classifier", "torch.nn.Linear", "--epochs", "1"]
    assert type(load_run(probe(place, "probe/ce", "linear", *linear)).method.classifier) is torch.nn.Linear


def test_the_first_steps_of_a_few_do_not_spoil_a_head(place):
    """Its rows, of length 1 at the start, hardly turn any more once they are long."""
    weight = load_run(probe(place, "probe/ce", "few"), "last").method.classifier.weight
    assert weight.norm(dim=1).max() < 2


def check_factors(run: Path) -> None:
    """Factors are learned on the classifier of a run, which stays."""
    scaled = run.with_name(f"{run.name}-lws")
    assert main(["fit", "--recipe", "second/lws", "--from", str(run), "--run", str(scaled), "--batch-size", "8"]) == 0
    before, after = load_run(run).method.classifier, load_run(scaled).method.classifier.first
    assert torch.equal(before.weight, after.weight)
    assert before.scale == after.scale


def test_second_stages_are_what_their_formulas_say(first):
    linear = load_run(first).method.classifier
    features = torch.randn(5, linear.in_features, dtype=torch.float32)
    scaled = ScaledClassifier(linear.in_features, 10, weights=first / "last.ckpt")
    scaled.scales.data.copy_(torch.arange(10.0))
    assert torch.allclose(scaled(features), torch.arange(10.0) * scaled.first(features))
    assert {name for name, p in scaled.named_parameters() if p.requires_grad} == {"scales"}
    tau = TauClassifier(linear.in_features, 10, weights=first / "last.ckpt")
    tau.set_epoch(1, 3)
    weight = tau.first.weight
    expected = torch.stack([features @ (row / row.square().sum().sqrt() ** 0.5) for row in weight], 1)
    assert torch.allclose(tau(features), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--recipe", "second/crt"], "--from RUN"),
        (["--recipe", "ce", "--from", "x"], "--from RUN"),
        (["--recipe", "second/crt", "--from", "nowhere"], "no such folder"),
    ],
)
def test_a_second_stage_wants_a_finished_run(args, words, capsys):
    assert words in fails(capsys, "fit", *args)


def test_a_second_stage_keeps_the_classes(place, adjusted, capsys):
    for name in ("cat", "dog"):
        (place / "others" / name).mkdir(parents=True)
        for i, file in enumerate(sorted((place / "photos" / "red").iterdir())):
            (place / "others" / name / f"{i}.png").write_bytes(file.read_bytes())
    run = place / "other-classes"
    args = ["--recipe", "second/crt", "--from", str(adjusted), "--data", str(place / "others"), "--run", str(run)]
    assert "others has other classes than" in fails(capsys, "fit", *args, "--batch-size", "4")
    assert not run.exists()


def test_what_goes_on_from_a_run_keeps_its_splits(first, capsys):
    run, before = first.with_name("other-splits"), results(first)
    for way in (["--resume", str(first)], ["--recipe", "second/crt", "--from", str(first), "--run", str(run)]):
        error = fails(capsys, "fit", *way, "--data.factor", "0.5", "--epochs", "2")
        assert f"--data.factor could mix the splits of {first}" in error
        assert (results(first), run.exists()) == (before, False)
        assert main(["fit", *way, "--data.test_crops", "1", "--epochs", "2"]) == 0


def test_a_set_that_keeps_no_record_has_the_counts_of_the_run(first, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(first, run)
    content = json.loads((run / "results.json").read_text())
    content["train_counts"][0] += 1
    (run / "results.json").write_text(json.dumps(content))
    for way in (["--resume", str(run)], ["--recipe", "second/crt", "--from", str(run), "--run", str(tmp_path / "new")]):
        assert "is not what the run was trained on" in fails(capsys, "fit", *way)
    assert not (tmp_path / "new").exists()


def test_rows_of_a_start():
    targets = torch.tensor([1, 0, 1, 1, 0, 2])
    assert first_rows(targets, 2).tolist() == [0, 1, 2, 4, 5]
    assert first_rows(targets, None).tolist() == [0, 1, 2, 3, 4, 5]
    with pytest.raises(ValueError, match="images must be at least 1"):
        ClassMeans(0)


def test_the_table_of_a_second_stage_is_of_the_epoch_that_was_chosen(first, capsys):
    run = first.with_name("chosen")
    assert main(["fit", "--recipe", "second/tau", "--from", str(first), "--run", str(run), "--epochs", "3"]) == 0
    table = capsys.readouterr().out.partition("Comparison")[2]
    best = {e["checkpoint"]: e["metrics"]["calibration_error"] for e in results(run)["evaluations"]}
    line = next(line for line in table.splitlines() if "alibration error" in line)
    assert f"{100 * best['best']:.1f}" in line
    assert "best on validation" in " ".join(table.split())


def test_tau_wants_a_validation_split(place, capsys):
    run = place / "unchosen"
    data = """
model: {class_path: longtail.tasks.Classification, init_args: {method: {class_path: longtail.methods.Plain,
  init_args: {loss: longtail.losses.CrossEntropyLoss, classifier: longtail.models.TauClassifier,
  backbone: {class_path: longtail.models.Backbone, init_args: {name: resnet8_cifar}}}}}}
data: {class_path: longtail.data.Folder, init_args: {val_fraction: 0.0}}
"""
    (place / "tau.yaml").write_text(data)
    options = ["--data", str(place / "photos"), "--run", str(run), *OPTIONS]
    message = fails(capsys, "fit", "--recipe", str(place / "tau.yaml"), *options)
    assert "tau is chosen on validation images, and there are none" in message
    assert not run.exists()


def test_a_network_that_cannot_be_frozen_has_no_second_stage():
    for options, words in (({}, "no option tuning and no weights"), ({"weights": None}, "no option tuning")):
        with pytest.raises(InputError, match=words):
            check_can_freeze("torch.nn.Identity", options, Path("run"))
    check_can_freeze("longtail.models.VideoBackbone", {}, Path("run"))  # of runs that were before it had the option
    check_can_freeze("longtail.models.FrameMean", {"weights": None, "tuning": "all"}, Path("run"))


def test_names_for_a_text_start_stay_with_the_first_run(first, tmp_path):
    text = (first / "results.json").read_text()
    assert "class_names: null" in text
    for file in ("last.ckpt", "best.ckpt"):
        (tmp_path / file).symlink_to(first / file)
    (tmp_path / "results.json").write_text(text.replace("class_names: null", "class_names: names.csv"))
    assert "class_names" not in second_stage(load_recipe("second/crt"), tmp_path)["data"]["init_args"]
