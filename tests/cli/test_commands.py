"""The command line as a user runs it."""

import csv
import errno
import itertools
import json
import multiprocessing
import os
import pickle
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
import torch
import yaml
from command import FIT_DIGITS, assert_same_epochs, assert_same_weights, fails, in_two_processes, results, stopping
from PIL import Image

from longtail import writing
from longtail.augment.preprocessing import Resize
from longtail.cli.main import main
from longtail.data.record import SplitRecord
from longtail.inference import load_run
from longtail.reports.results import weakest_classes
from longtail.tasks.classification import Classification

FAST = ["--epochs", "2", "--workers", "0", "--batch-size", "8", "--backbone", "resnet8_cifar", "--image-size", "16"]


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of 24, 9 and 4 images in several formats."""
    root = tmp_path_factory.mktemp("data") / "photos"
    random = np.random.default_rng(0)
    formats = [("RGB", "jpg"), ("L", "png"), ("RGBA", "png"), ("P", "gif"), ("CMYK", "jpg"), ("I;16", "png")]
    for c, n in enumerate((24, 9, 4)):
        folder = root / f"class {c}"
        folder.mkdir(parents=True)
        for i in range(n):
            mode, suffix = formats[i % len(formats)]
            pixels = np.clip(random.normal(60 + 60 * c, 20, (24, 20, 3)), 0, 255).astype(np.uint8)
            deep = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
            image = deep if mode == "I;16" else Image.fromarray(pixels).convert(mode)
            image.save(folder / f"{i}.{suffix}")
    return root


@pytest.fixture(scope="session")
def run(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run of BCL on the photos."""
    run = tmp_path_factory.mktemp("runs") / "bcl"
    assert main(["fit", "--recipe", "bcl", "--data", str(photos), "--run", str(run), *FAST]) == 0
    return run


def state(run: Path, name: str = "last") -> dict[str, Any]:
    content: dict[str, Any] = torch.load(run / f"{name}.ckpt", weights_only=True)["state_dict"]
    return content


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from longtail.cli.main import main; main(['--help']); main(['recipes']);"
        "sys.exit(any(m in sys.modules for m in ('torch', 'lightning', 'matplotlib', 'timm')))"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "longtail fit --recipe bcl --data photos/" in process.stdout
    assert "cifar100_lt/bcl" in process.stdout


def test_a_run_holds_what_it_took_and_what_it_found(run: Path) -> None:
    content = results(run)
    assert content["status"] == "finished"
    assert content["recipe"] == "bcl"
    assert content["classes"] == ["class 0", "class 1", "class 2"]
    assert content["train_counts"] == [19, 7, 3]
    assert content["data"]["images"] == {"train": 29, "val": 8}
    assert [entry["epoch"] for entry in content["history"]] == [1, 2]
    assert {"loss", "classifier", "contrastive", "top1"} <= content["history"][0]["train"].keys()
    assert {(e["split"], e["checkpoint"]) for e in content["evaluations"]} == {("val", "last"), ("val", "best")}
    assert content["evaluations"][0]["metrics"]["top1"] == content["history"][1]["val"]["top1"]
    assert content["versions"]["torch"] == torch.__version__
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["model"]["init_args"]["method"]["init_args"]["temperature"] == 0.07
    assert config["trainer"]["max_epochs"] == 2
    assert (run / "best.ckpt").is_file()


def test_the_saved_config_repeats_the_run(run: Path, tmp_path: Path) -> None:
    assert main(["fit", "--config", str(run / "config.yaml"), "--run", str(tmp_path / "again")]) == 0
    weights = state(tmp_path / "again")
    assert all(torch.equal(value, weights[name]) for name, value in state(run).items())


def test_report_and_compare(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(run), "--output", str(tmp_path / "r.html")]) == 0
    assert "class 2" in (tmp_path / "r.html").read_text()
    copy = tmp_path / "other"
    shutil.copytree(run, copy)
    assert main(["compare", str(run), str(copy), "--output", str(tmp_path / "c.html")]) == 0
    assert "<html" in (tmp_path / "c.html").read_text()


def test_the_classes_that_need_help_show_their_mistakes(run: Path) -> None:
    content = results(run)
    evaluation = content["evaluations"][0]
    weakest = weakest_classes(evaluation["per_class"]["accuracy"], content["train_counts"])
    assert weakest
    assert {mistake["true"] for mistake in evaluation["mistakes"]} == set(weakest)
    assert all(mistake["image"].startswith("data:image/png;base64,") for mistake in evaluation["mistakes"])


def test_validate_repeats_the_figures(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    assert main(["validate", str(copy)]) == 0
    assert results(copy)["evaluations"] == results(run)["evaluations"]


def test_evaluation_refuses_what_would_mix_the_splits(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "mix the splits" in fails(capsys, "test", str(run), "--data.test_fraction", "0.2")
    assert "no test split" in fails(capsys, "test", str(run))


def test_the_splits_of_a_run_stay_when_files_come_and_go(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, run = tmp_path / "photos", tmp_path / "run"
    shutil.copytree(photos, root)
    assert main(["fit", "--recipe", "ce", "--data", str(root), "--run", str(run), *FAST, "--epochs", "1"]) == 0
    before, record = results(run), SplitRecord.read(run)
    assert record is not None
    held_out = record.files["val"].names
    (root / held_out[0]).rename((root / held_out[0]).with_name("renamed.jpg"))
    shutil.copy(root / held_out[1], (root / held_out[1]).with_name("new.jpg"))
    assert main(["validate", str(run)]) == 0
    assert {evaluation["images"] for evaluation in results(run)["evaluations"]} == {len(held_out) - 1}
    assert "could mix the splits" in fails(capsys, "fit", "--resume", str(run), "--data.split_seed", "1")
    assert main(["fit", "--resume", str(run), "--epochs", "2"]) == 0
    after = results(run)
    assert after["train_counts"] == before["train_counts"]
    assert after["data"]["images"] == {"train": before["data"]["images"]["train"], "val": len(held_out) - 1}
    splits = SplitRecord.read(run)
    assert splits is not None
    assert splits.files["val"].names == held_out


def test_a_split_can_be_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, fitting = tmp_path / "run", [*FIT_DIGITS, "--epochs", "1", "--run"]
    without_val, without_test = ("--trainer.limit_val_batches", "0"), ("--trainer.limit_test_batches", "0")
    by_difficulty = ["--data.sampling", "longtail.data.DifficultySampling"]
    assert "difficulty" in fails(capsys, *fitting, str(run), *without_val, *by_difficulty)
    assert not run.exists()
    assert main([*fitting, str(run), *without_val]) == 0
    content = results(run)
    assert (content["history"][0]["val"], content["best_epoch"]) == (None, None)
    assert [(entry["split"], entry["checkpoint"]) for entry in content["evaluations"]] == [("test", "last")]
    assert "--trainer.limit_val_batches 1.0" in fails(capsys, "validate", str(run))
    assert main(["test", str(run)]) == 0
    assert "--trainer.limit_test_batches 1.0" in fails(capsys, "test", str(run), *without_test)
    assert main(["validate", str(run), "--trainer.limit_val_batches", "1.0"]) == 0
    assert {evaluation["split"] for evaluation in results(run)["evaluations"]} == {"val", "test"}
    capsys.readouterr()
    assert main([*fitting, str(tmp_path / "other"), *without_val, *without_test]) == 0
    assert "no split to evaluate" in capsys.readouterr().out
    assert results(tmp_path / "other")["evaluations"] == []


def test_predict(run: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["predict", str(run), str(photos / "class 1"), "--top-k", "2"]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert len(rows) == 9
    assert float(rows[0]["probability_1"]) >= float(rows[0]["probability_2"])
    for options, warning in (([], ""), (["--top-k", "9"], "--top-k 9 names all classes: there are 3\n")):
        assert main(["predict", str(run), str(photos / "class 1"), *options]) == 0
        out, err = capsys.readouterr()
        table = list(csv.reader(out.splitlines()))
        assert {len(row) for row in table} == {1 + 2 * 3}, "as wide as there are classes, in every row"
        assert err == warning
    output = tmp_path / "out.jsonl"
    path = str(photos / "class 0" / "0.jpg")
    assert main(["predict", str(run), path, "--format", "jsonl", "--output", str(output)]) == 0
    line = json.loads(output.read_text())
    assert line["path"] == path
    assert sum(entry["probability"] for entry in line["top"]) == pytest.approx(1, abs=1e-5)


def test_predict_names_a_bad_file_and_writes_nothing(
    run: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bad.jpg"
    file.write_bytes((photos / "class 0" / "0.jpg").read_bytes()[:200])
    output = tmp_path / "out.csv"
    assert "bad.jpg" in fails(capsys, "predict", str(run), str(file), "--output", str(output))
    assert sorted(tmp_path.iterdir()) == [file]
    good = str(photos / "class 0" / "0.jpg")
    assert main(["predict", str(run), str(file), good, "--output", str(output), "--skip-bad-images"]) == 0
    assert len(output.read_text().splitlines()) == 2


def test_export_agrees_with_torch(run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    from safetensors.torch import load_file

    assert main(["export", str(run), "--output", str(tmp_path)]) == 0
    files = [str(tmp_path / name) for name in ("model.onnx", "model.safetensors")]
    streams = capfd.readouterr()
    assert (streams.out.splitlines(), streams.err) == (files, ""), "by no exporter"
    classifier = load_run(run)
    images = torch.randint(0, 256, (3, 3, 16, 16), dtype=torch.uint8)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    logits = torch.from_numpy(session.run(None, {"images": classifier.normalise(images).numpy()})[0])
    torch.testing.assert_close(logits.softmax(1), classifier.probabilities(images), atol=1e-4, rtol=1e-3)
    assert json.loads(session.get_modelmeta().custom_metadata_map["classes"]) == classifier.classes
    tensors = load_file(tmp_path / "model.safetensors")
    assert all(torch.equal(value, tensors[name]) for name, value in classifier.method.state_dict().items())


def test_the_documented_way_to_the_exported_network_is_that_of_predict(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The lines of docs/export.md, on a photo that lies on its side, and on images of all shapes."""
    pytest.importorskip("onnxruntime")
    random = np.random.default_rng(0)
    assert main(["export", str(run), "--output", str(tmp_path)]) == 0
    exif = Image.Exif()
    exif[0x0112] = 6
    noise = Image.fromarray(random.integers(0, 256, (37, 83, 3), dtype=np.uint8))
    noise.save(tmp_path / "photo.jpg", exif=exif)
    capsys.readouterr()
    assert main(["predict", str(run), str(tmp_path / "photo.jpg"), "--format", "jsonl"]) == 0
    answer = json.loads(capsys.readouterr().out)["top"]
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[2] / "docs" / "export.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(code, "docs/export.md", "exec"), names)
    classifier = load_run(run)
    expected = [next(entry["probability"] for entry in answer if entry["class"] == c) for c in classifier.classes]
    assert names["probabilities"][0].tolist() == pytest.approx(expected, abs=2e-5)

    assert np.array_equal(names["pixels"].transpose(2, 0, 1), classifier.read("photo.jpg").numpy())
    ways = (("bilinear", "center"), ("bicubic", "center"), ("bicubic", "squash"))
    for size, way in itertools.product((16, 33, 64), ways):
        reader = replace(classifier, size=size, resize=Resize(way[0], 0.875, way[1]))  # type: ignore[arg-type]
        for width, height in ((37, 83), (83, 37), (16, 16), (200, 199), (9, 61), (150, 400), (64, 64), (73, 74)):
            image = Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8))
            image.save(tmp_path / "image.png")
            pixels = names["prepare"](image, size, 0.875, *way)
            assert np.array_equal(pixels.transpose(2, 0, 1), reader.read("image.png").numpy())


GML_BY_DIFFICULTY = ["--model.method", "longtail.methods.GML", "--data.sampling", "longtail.data.DifficultySampling"]


# in the last step of all, in an epoch with an average of the weights, and where images are remembered and drawn anew
@pytest.mark.parametrize(("options", "stop"), [([], (1, 4)), (["--ema", "0.9"], (0, 1)), (GML_BY_DIFFICULTY, (1, 2))])
def test_a_stopped_and_resumed_run_equals_an_uninterrupted_one(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    stop: tuple[int, int],
) -> None:
    args = [
        "fit",
        "--recipe",
        "digits_lt/bcl",
        "--backbone",
        "resnet8_cifar",
        "--epochs",
        "2",
        "--precision",
        "32-true",
        *options,
    ]
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert main([*args, "--run", str(whole)]) == 0
    with stopping(Classification, *stop):
        assert main([*args, "--run", str(stopped)]) == 130
    assert f"--resume {stopped}" in capsys.readouterr().err
    assert results(stopped)["status"] == "interrupted"
    assert main(["fit", "--resume", str(stopped)]) == 0

    for name in ("last", "best"):
        assert_same_weights(stopped, whole, name)
    assert results(stopped)["evaluations"] == results(whole)["evaluations"]
    assert_same_epochs(stopped, whole)
    assert results(stopped)["best_epoch"] == results(whole)["best_epoch"]

    before = results(stopped)
    assert main(["fit", "--resume", str(stopped)]) == 0  # nothing is left to do
    assert results(stopped) == before


@pytest.mark.parametrize("option", ["--lr", "--data", "--batch-size", "--seed", "--recipe", "--from", "--backbone"])
def test_what_a_checkpoint_decides_is_no_option_of_a_resumed_run(
    run: Path, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"leave out {option}" in fails(capsys, "fit", "--resume", str(run), option, "1")


def test_macro_f1_can_choose_the_epoch(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert main([*FIT_DIGITS, "--epochs", "3", "--monitor", "macro_f1", "--run", str(run)]) == 0
    content = results(run)
    scores = [entry["val"]["macro_f1"] for entry in content["history"]]
    assert content["best_epoch"] == 1 + scores.index(max(scores))
    (best,) = [entry for entry in content["evaluations"] if (entry["split"], entry["checkpoint"]) == ("val", "best")]
    assert best["metrics"]["macro_f1"] == pytest.approx(max(scores))


def test_seeds_differ_and_repeat(tmp_path: Path) -> None:
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        assert main([*FIT_DIGITS, "--epochs", "1", "--seed", seed, "--run", str(tmp_path / name)]) == 0
    a, b, c = (state(tmp_path / name) for name in "abc")
    assert all(torch.equal(value, b[key]) for key, value in a.items())
    assert not torch.equal(a["method.classifier.weight"], c["method.classifier.weight"])


def test_two_processes_measure_and_predict_what_one_does(photos: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert main([*FIT_DIGITS, "--epochs", "1", "--run", str(run)]) == 0
    before = results(run)
    predict = ["predict", str(run), str(photos), "--batch-size", "3", "--skip-bad-images", "--output"]
    in_two_processes(tmp_path, "test", str(run), then=[*predict, str(tmp_path / "two.csv")])
    for old, new in zip(before["evaluations"], results(run)["evaluations"], strict=True):
        assert new == old | {"mistakes": new["mistakes"]}
        assert [mistake["name"] for mistake in new["mistakes"]] == [mistake["name"] for mistake in old["mistakes"]]
    assert main([*predict, str(tmp_path / "one.csv")]) == 0
    assert (tmp_path / "two.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()


def test_a_table_trains(photos: Path, tmp_path: Path) -> None:
    lines = [f"{path.relative_to(photos)},{path.parent.name}" for path in sorted(photos.rglob("*.*"))]
    table = tmp_path / "t.csv"
    table.write_text("\n".join(["path,label", *lines]))
    args = ["--recipe", "logit_adjusted", "--data", str(table), "--data.root", str(photos), *FAST, "--epochs", "1"]
    assert main(["fit", *args, "--run", str(tmp_path / "run")]) == 0
    assert results(tmp_path / "run")["train_counts"] == [19, 7, 3]


BAD_OPTIONS = [
    (["--recipe", "nope"], 'unknown recipe "nope".*digits_lt/bcl'),
    (["--recipe", "blc"], 'did you mean "bcl"'),
    ([], "--recipe"),
    (["--recipe", "bcl"], "--data"),
    (["--recipe", "bcl", "--data", "/nowhere/at/all"], "/nowhere/at/all"),
    (["--recipe", "bcl", "--data", "nowhere"], "digits_lt"),
    (["--recipe", "digits_lt/ce", "--backbone", "resnet5"], 'unknown backbone "resnet5".*resnet50'),
    (
        ["--recipe", "digits_lt/ce", "--backbone", "resnet18.foo"],
        'no weights "resnet18.foo": there are .*; resnet18 alone',
    ),
    (["--recipe", "digits_lt/ce", "--model.method", "Foo"], '"Foo".*BCL, .*Plain'),
    (["--recipe", "digits_lt/ce", "--monitor", "f1"], 'unknown metric "f1".*top1'),
    (["--recipe", "digits_lt/ce", "--batch-size", "100000"], "batch_size 100000 is larger"),
    (["--recipe", "digits_lt/ce", "--epochs", "0"], "--epochs 0 trains nothing"),
    (["--recipe", "digits_lt/ce", "--trainer.limit_train_batches", "0"], "limit_train_batches 0 trains nothing"),
    (["--recipe", "digits_lt/ce", "--epochs", "many"], "max_epochs.*many"),
    (["--recipe", "digits_lt/ce", "--nonsense", "1"], "--nonsense"),
    (["--recipe", "digits_lt/ce", "--trainer.limit_val_batches", "1.5"], "1.5 for limit_val_batches"),
    (["--recipe", "digits_lt/ce", "--seed"], "seed"),
    (["--recipe", "digits_lt/ce", "--trainer.devices", "999", "--trainer.accelerator", "cpu"], "for 999 processes"),
    (["--recipe", "digits_lt/ce", "--workers", "2"], "DigitsLT has no option num_workers"),
    (["--recipe", "digits_lt/ce", "--ema", "2"], "--ema"),
    (["--recipe", "digits_lt/ce", "--model.few", "200"], "few"),
    (["--recipe", "digits_lt/bcl", "--data.views", "[longtail.augment.PlainView]"], "3 views"),
    (["--recipe", "digits_lt/ce", "--weights", "/nowhere.pt"], "/nowhere.pt"),
    (["--recipe", "cifar100_lt/ce", "--data", "."], "cifar-100-python"),
]


@pytest.mark.parametrize(
    ("args", "message"), BAD_OPTIONS, ids=lambda value: " ".join(value)[-40:] if isinstance(value, list) else ""
)
def test_wrong_options_are_one_line_and_write_nothing(
    args: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    line = fails(capsys, "fit", *args, "--run", str(tmp_path / "run"))
    assert re.search(message, line), line
    assert [path.name for path in tmp_path.iterdir()] == ["here"]


def break_folder(root: Path, fault: str) -> None:
    first = root / "class 0" / "0.jpg"
    if fault == "empty":
        shutil.rmtree(root)
        root.mkdir()
    elif fault == "single class":
        shutil.rmtree(root / "class 1")
        shutil.rmtree(root / "class 2")
    elif fault == "truncated":
        first.write_bytes(first.read_bytes()[:-80])
    elif fault == "zero-byte":
        first.write_bytes(b"")
    elif fault == "not an image":
        first.write_text("hello")
    elif fault == "unknown class in val":
        for path in sorted(root.iterdir()):
            shutil.copytree(path, root / "train" / path.name)
            shutil.move(path, root / "val" / path.name)
        (root / "val" / "class 2").rename(root / "val" / "wolf")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("empty", "no "),
        ("single class", "class 0"),
        ("truncated", "0.jpg"),
        ("zero-byte", "0.jpg"),
        ("not an image", "0.jpg"),
        ("unknown class in val", "wolf"),
    ],
)
def test_bad_folders(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str, message: str
) -> None:
    root = tmp_path / "photos"
    shutil.copytree(photos, root)
    break_folder(root, fault)
    run = tmp_path / "run"
    assert message in fails(capsys, "fit", "--recipe", "ce", "--data", str(root), "--run", str(run), *FAST)
    assert not run.exists()


def test_bad_images_are_left_out_on_request(photos: Path, tmp_path: Path) -> None:
    root, run = tmp_path / "photos", tmp_path / "run"
    shutil.copytree(photos, root)
    break_folder(root, "truncated")
    args = ["--recipe", "ce", "--data", str(root), "--run", str(run), "--skip-bad-images", *FAST, "--epochs", "1"]
    assert main(["fit", *args]) == 0
    assert sum(results(run)["data"]["images"].values()) == 36


def test_a_file_that_breaks_while_training_is_named(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "photos"
    shutil.copytree(photos, root)
    break_folder(root, "truncated")
    args = ["--recipe", "ce", "--data", str(root), "--run", str(tmp_path / "run"), *FAST]
    options = ["--data.check_images", "false", "--data.val_fraction", "0"]
    assert "0.jpg" in fails(capsys, "fit", *args, *options)


def test_a_run_folder_that_exists_is_kept(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (run / "results.json").read_bytes()
    assert "exists" in fails(capsys, "fit", "--recipe", "digits_lt/ce", "--run", str(run))
    assert (run / "results.json").read_bytes() == before


class Evil:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, ("touch pwned",)


@pytest.mark.parametrize("fault", ["truncated", "code", "another model", "missing"])
def test_bad_checkpoints(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    path = copy / "last.ckpt"
    if fault == "truncated":
        path.write_bytes(path.read_bytes()[:1000])
    elif fault == "code":
        torch.save({"state_dict": Evil()}, path)
    elif fault == "another model":
        torch.save({"state_dict": {"method.weight": torch.zeros(3)}}, path)
    else:
        path.unlink()
    monkeypatch.chdir(tmp_path)
    for command in (["fit", "--resume", str(copy)], ["validate", str(copy)]):
        assert "last.ckpt" in fails(capsys, *command)
    assert "last.ckpt" in fails(capsys, "predict", str(copy), ".", "--checkpoint", "last")
    assert not Path("pwned").exists()


def test_a_plain_pickle_is_never_executed(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    (copy / "best.ckpt").write_bytes(pickle.dumps(Evil()))
    monkeypatch.chdir(tmp_path)
    assert "best.ckpt" in fails(capsys, "predict", str(copy), ".")
    assert not Path("pwned").exists()


def test_a_full_disk_keeps_the_previous_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    save = torch.save
    files: list[BinaryIO] = []

    def full(content: Any, file: BinaryIO) -> None:
        files.append(file)
        if len(files) > 2:
            file.write(b"half a checkpoint")
            raise OSError(errno.ENOSPC, "No space left on device")
        save(content, file)

    monkeypatch.setattr(torch, "save", full)
    line = fails(capsys, "fit", "--recipe", "digits_lt/ce", "--epochs", "3", "--run", str(run))
    assert "No space left" in line
    assert "previous one is kept" in line
    monkeypatch.setattr(torch, "save", save)
    assert not list(run.glob("*.part"))
    assert all(file.closed for file in files)  # one that is open keeps the space of its removed file
    assert results(run)["status"] == "interrupted"
    assert main(["fit", "--resume", str(run)]) == 0
    assert len(results(run)["history"]) == 3


PLAIN = ["--trainer.logger", "false", "--precision", "32-true"]


def test_a_run_whose_worker_dies_is_saved_and_goes_on(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fitting = ["fit", "--recipe", "ce", "--data", str(photos), *FAST, *PLAIN, "--run"]
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert main([*fitting, str(whole)]) == 0
    step = Classification.training_step

    def kill(self: Any, batch: dict[str, Any], batch_idx: int) -> Any:
        for process in multiprocessing.active_children():
            process.kill()
        return step(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(Classification, "training_step", kill)
        line = fails(capsys, *fitting, str(stopped), "--workers", "1")
    assert "was killed by SIGKILL" in line
    assert "saved, go on by: longtail fit --resume" in line
    assert results(stopped)["status"] == "interrupted"
    assert main(["fit", "--resume", str(stopped), "--workers", "0"]) == 0
    assert_same_weights(stopped, whole)


def test_a_run_killed_before_its_first_checkpoint_begins_again(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "killed"
    folder.mkdir()
    (folder / ".config.yaml.0123.tmp").touch()
    shutil.copy(run / "config.yaml", folder)
    assert "--resume" in fails(capsys, "fit", "--recipe", "digits_lt/ce", "--run", str(folder))
    assert main(["fit", "--resume", str(folder)]) == 0
    assert_same_weights(folder, run)
    assert not list(folder.glob("*.tmp"))


def test_a_folder_in_use_is_refused(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(writing, "LOCK_PATIENCE", 0)
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    with writing.locked(copy):
        assert "in use by another process" in fails(capsys, "fit", "--resume", str(copy))


def test_what_the_system_refuses_is_one_line(
    run: Path, tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "shorter name" in fails(capsys, "fit", "--recipe", "digits_lt/ce", "--run", "x" * 300)

    def refuse(*args: Any, **options: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(run / "best.ckpt"))

    with monkeypatch.context() as patch:
        patch.setattr(torch, "load", refuse)
        assert "best.ckpt cannot be read (Permission denied)" in fails(capsys, "predict", str(run), str(photos))

    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("longtail.inference.classification.write_answers", full)
        assert "standard output: No space left" in fails(capsys, "predict", str(run), str(photos))


def test_a_loss_of_one_s_own_that_is_not_there_is_named(
    run: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    for name in ("config.yaml", "results.json"):
        text = (copy / name).read_text()
        (copy / name).write_text(re.sub(r"longtail\.losses\.\w+", "own_losses.Own", text))
    for command in (["predict", str(copy), str(photos)], ["validate", str(copy)]):
        assert "own_losses" in fails(capsys, *command)
