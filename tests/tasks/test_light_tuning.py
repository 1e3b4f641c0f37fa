"""Runs of which a part of the network is trained: kept, resumed, averaged, used and exported beside the frozen rest."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from command import assert_same_epochs, assert_same_weights, fails, results, stopping
from pictures import photos
from PIL import Image
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

from longtail import models
from longtail.cli.main import main
from longtail.inference import load_run
from longtail.methods import TextFeatures
from longtail.models import Backbone
from longtail.models.trained_state import HASH, full_state
from longtail.tasks import Classification

OPTIONS = ["--batch-size", "4", "--workers", "0", "--trainer.accelerator", "cpu", "--precision", "32-true"]
OPTIONS += ["--trainer.enable_progress_bar", "false", "--image-size", "32", "--backbone", "test_vit"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("place")
    photos(folder / "photos", {"red": 8, "green": 6, "blue": 4}, (40, 56), 100)
    torch.manual_seed(0)
    torch.save(timm.create_model("test_vit").state_dict(), folder / "vit.pth")
    torch.save(timm.create_model("test_vit").state_dict(), folder / "other.pth")
    return folder


def fit(place: Path, run: str, *options: str, recipe: str = "lift", epochs: int = 2) -> int:
    weights = ["--weights", str(place / "vit.pth"), "--data.test_fraction", "0.25", "--epochs", str(epochs)]
    args = ["fit", "--recipe", recipe, "--data", str(place / "photos"), "--run", str(place / run)]
    return main([*args, *OPTIONS, *weights, *options])


@pytest.fixture(scope="module")
def lift(place: Path) -> Path:
    assert fit(place, "lift", "--ema", "0.5") == 0
    return place / "lift"


def tensors(run: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(run / "last.ckpt", weights_only=True)["state_dict"]
    return state


def test_a_checkpoint_holds_what_was_trained_and_the_hash_of_the_rest(place: Path, lift: Path) -> None:
    names = [name.removeprefix("method.backbone.") for name in tensors(lift) if name.startswith("method.backbone.")]
    parts = {name.split("mlp.")[-1] for name in names if name != HASH}
    kinds = {"adapter_norm.weight", "adapter_norm.bias", "scale"}
    assert parts == kinds | {f"{layer}.{kind}" for layer in ("down", "up") for kind in ("weight", "bias")}
    assert HASH in names
    assert (lift / "last.ckpt").stat().st_size < (place / "vit.pth").stat().st_size
    record = results(lift)["data"]["input"]
    assert (record["size"], record["crop"], record["interpolation"]) == (32, 0.9032258, "bicubic")


def test_a_stopped_run_goes_on_to_the_same_weights(place: Path, lift: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with stopping(Classification, 1, 1):
        assert fit(place, "stopped", "--ema", "0.5") == 130
    shutil.copytree(place / "stopped", place / "copy")
    line = fails(capsys, "fit", "--resume", str(place / "copy"), "--weights", str(place / "other.pth"))
    assert "the frozen weights are not those that this state was trained beside" in line
    assert main(["fit", "--resume", str(place / "stopped")]) == 0
    assert_same_weights(place / "stopped", lift)
    assert_same_epochs(place / "stopped", lift)


def logits_of(run: Path, images: torch.Tensor) -> torch.Tensor:
    """By timm's network and the formulas of adapter and classifier, from the two files alone."""
    classifier: Any = load_run(run, "last")
    state = {name.removeprefix("method."): value for name, value in tensors(run).items()}
    body = timm.create_model("test_vit", num_classes=0, img_size=32).eval()
    body.load_state_dict(
        {
            name: value if name.startswith("blocks.") else classifier.method.backbone.body.state_dict()[name]
            for name, value in torch.load(run.parent / "vit.pth", weights_only=True).items()
            if not name.startswith("head.")
        }
    )
    with torch.no_grad():
        x = body.norm_pre(body.patch_drop(body._pos_embed(body.patch_embed(images))))
        for i, block in enumerate(body.blocks):
            p = {k.split("mlp.")[-1]: v for k, v in state.items() if k.startswith(f"backbone.body.blocks.{i}.")}
            h = x + block.ls1(block.attn(block.norm1(x)))
            normal = F.layer_norm(h, h.shape[-1:], p["adapter_norm.weight"], p["adapter_norm.bias"])
            hidden = F.relu(F.linear(normal, p["down.weight"], p["down.bias"]))
            x = h + block.ls2(block.mlp(block.norm2(h))) + p["scale"] * F.linear(hidden, p["up.weight"], p["up.bias"])
        features = body.forward_head(body.norm(x))
    return 25.0 * F.normalize(features) @ F.normalize(state["classifier.weight"]).T


def test_it_is_used_as_it_was_trained(lift: Path) -> None:
    images = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    classifier: Any = load_run(lift, "last")
    assert torch.allclose(classifier.method.classify(images), logits_of(lift, images), atol=1e-3)
    adapters = [value for name, value in tensors(lift).items() if name.endswith("mlp.up.weight")]
    assert all(value.abs().max() > 0 for value in adapters)


def test_a_test_image_has_the_mean_of_five_crops(lift: Path) -> None:
    classifier: Any = load_run(lift, "last")
    from longtail.augment.preprocessing import Resize
    from longtail.files.images.crops import evaluation_crops
    from longtail.tasks.evaluation import open_run

    cli, _ = open_run("test", lift, [])
    data = cli.datamodule
    batch = next(iter(data.test_dataloader()))
    model = cli.model
    model.load_state_dict(torch.load(lift / "last.ckpt", weights_only=True)["state_dict"])
    logits = model.eval().logits(data.make_views(batch, False))
    for row, values in zip(batch["rows"].tolist(), logits, strict=True):
        image = Image.open(data._listings["test"].paths[row])
        views = torch.stack(evaluation_crops(image, 32, Resize("bicubic", 0.9032258), 5))
        with torch.no_grad():
            expected = classifier.method.classify((views / 255 - 0.5) / 0.5).mean(0)
        assert torch.allclose(values, expected, atol=1e-4)


def test_weights_that_are_gone_or_others_are_one_line(
    place: Path, lift: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    photo = str(next((place / "photos").rglob("*.png")))
    assert main(["predict", str(lift), photo, "--output", str(tmp_path / "before.csv")]) == 0
    (place / "vit.pth").rename(place / "kept.pth")
    try:
        assert "vit.pth" in fails(capsys, "predict", str(lift), photo)
        shutil.copy(place / "other.pth", place / "vit.pth")
        assert "another SHA-256" in fails(capsys, "predict", str(lift), photo)
        assert "another SHA-256" in fails(capsys, "test", str(lift))
    finally:
        (place / "kept.pth").replace(place / "vit.pth")
    line = fails(capsys, "fit", "--recipe", "ce", "--data", str(place / "photos"), *OPTIONS, "--run",
                 str(tmp_path / "run"), "--weights", str(lift / "last.ckpt"))  # fmt: skip
    assert "holds what was trained beside frozen weights, and not these" in line
    assert not (tmp_path / "run").exists()


def test_exports_hold_all_of_it(place: Path, lift: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    assert main(["export", str(lift), "--checkpoint", "last"]) == 0
    state = load_file(lift / "export/model.safetensors")
    classifier: Any = load_run(lift, "last")
    whole = full_state(classifier.method)
    assert state.keys() == whole.keys()
    assert all(torch.equal(state[name], value) for name, value in whole.items())
    assert "backbone.body.blocks.0.attn.qkv.weight" in state
    line = fails(capsys, "export", str(lift), "--format", "timm")
    assert "cosine classifier divides by the length of each feature" in line
    assert not (lift / "timm").exists()


@pytest.mark.parametrize("recipe", ["lift_bcl", "lift_gml", "finetune"])
def test_the_other_recipes_train(recipe: str, place: Path) -> None:
    assert fit(place, recipe, recipe=recipe, epochs=1) == 0
    names = [name for name in tensors(place / recipe) if "encoder" in name and name.endswith("up.weight")]
    assert len(names) == (len(timm.create_model("test_vit").blocks) if recipe == "lift_gml" else 0)
    load_run(place / recipe)


def test_names_are_for_a_start_from_text(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "names.txt").write_text("a\nb\nc\n")
    args = ["fit", "--recipe", "lift", "--data", str(place / "photos"), *OPTIONS, "--weights", str(place / "vit.pth")]
    names = ["--data.class_names", str(place / "names.txt"), "--run", str(place / "named")]
    assert "is read by a start from text alone" in fails(capsys, *args, *names)
    assert not (place / "named").exists()


def test_a_classifier_starts_from_better_names(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    open_clip = pytest.importorskip("open_clip")
    width = timm.create_model("test_vit", num_classes=0).num_features
    vision = {"image_size": 32, "layers": 1, "width": width, "head_width": width // 2, "patch_size": 16}
    text = {"context_length": 77, "vocab_size": 49408, "width": 8, "heads": 2, "layers": 1}
    config = {"embed_dim": 12, "vision_cfg": vision, "text_cfg": text}
    clip = place / "clip"
    clip.mkdir()
    (clip / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": {}}))
    save_file(
        {k: v.clone() for k, v in open_clip.CLIP(**config).state_dict().items()}, clip / "open_clip_model.safetensors"
    )
    (place / "names.csv").write_text("class,name\nred,a tomato\ngreen,a pea\nblue,a plum\n")
    start = ["--model.start", "longtail.methods.TextFeatures", "--model.start.model", f"local-dir:{clip}"]
    names = ["--data.class_names", str(place / "names.csv")]
    assert fit(place, "text", *start, *names, "--lr", "1e-12", epochs=1) == 0
    features = TextFeatures(f"local-dir:{clip}")
    expected = features(torch.zeros(0, width), torch.zeros(0, dtype=torch.long), ["a plum", "a pea", "a tomato"])
    assert torch.allclose(tensors(place / "text")["method.classifier.weight"], expected, atol=1e-6)
    assert results(place / "text")["classes"] == ["blue", "green", "red"]
    (place / "names.csv").write_text("class,name\nrad,a tomato\ngreen,a pea\nblue,a plum\n")
    capsys.readouterr()
    assert fit(place, "none", *start, *names) == 2
    assert "names.csv does not name 1 of 3 classes: red; it has rad instead" in capsys.readouterr().err
    assert not (place / "none").exists()


@pytest.mark.parametrize("tuning", ["AdaptFormer", "LoRA", "Prompts", "Biases"])
def test_a_tuned_network_goes_on_in_a_second_stage(
    tuning: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It keeps the network as it was tuned, and finds it again."""
    first, run = place / f"first-{tuning}", place / f"second-{tuning}"
    path = f"longtail.models.{tuning}"
    assert fit(place, first.name, "--model.method.backbone.tuning", path, "--lr", "0.5", epochs=1) == 0
    stage = ["--recipe", "second/crt", "--from", str(first), "--run", str(run), "--epochs", "2", "--batch-size", "4"]
    assert main(["fit", *stage]) == 0
    before, after = (full_state(load_run(folder, "last").method.backbone) for folder in (first, run))
    assert before.keys() == after.keys()
    assert all(torch.equal(value, before[name]) for name, value in after.items())
    backbone = Backbone("test_vit", weights=place / "vit.pth", image_size=32, tuning=getattr(models, tuning)())
    backbone.tune(3)
    names = {name for name, value in full_state(backbone).items() if not torch.equal(value, before[name])}
    assert names
    assert names <= {name for name, parameter in backbone.named_parameters() if parameter.requires_grad}
    kept = {name for name in tensors(run) if name.startswith("method.backbone.")}
    assert kept == {name for name in tensors(first) if name.startswith("method.backbone.")}
    torch.save({"state_dict": {}}, first / "last.ckpt")
    torch.save({"state_dict": {}}, first / "best.ckpt")
    again = ["--recipe", "second/tau", "--from", str(first), "--run", str(place / f"third-{tuning}")]
    assert "does not hold what is trained of the network" in fails(capsys, "fit", *again)


def test_a_second_stage_of_a_tuned_network_needs_the_first_no_more(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It holds what was tuned, and finds the weights beside which it was by --weights."""
    first, run = place / "stage-1", place / "stage-2"
    assert (
        fit(place, first.name, "--model.method.backbone.tuning", "longtail.models.LoRA", "--lr", "0.5", epochs=1) == 0
    )
    stage = ["--recipe", "second/crt", "--from", str(first), "--batch-size", "4"]
    assert main(["fit", *stage, "--epochs", "2", "--run", str(run)]) == 0
    with stopping(Classification, 1, 1):
        assert main(["fit", *stage, "--epochs", "2", "--run", str(place / "stage-stopped")]) == 130
    images = torch.randn(2, 3, 32, 32)
    expected = load_run(run, "last").method.classify(images)
    first.rename(tmp_path / "first")
    (place / "vit.pth").rename(tmp_path / "moved.pth")
    now = ["--weights", str(tmp_path / "moved.pth")]
    try:
        assert "stage-2 was trained beside the weights in" in fails(capsys, "validate", str(run))
        assert main(["validate", str(run), *now]) == 0
        assert main(["export", str(run), "--checkpoint", "last", *now]) == 0
        assert main(["fit", "--resume", str(place / "stage-stopped"), *now]) == 0
        further = ["fit", "--recipe", "second/lws", "--from", str(run), "--batch-size", "4", "--epochs", "1"]
        assert main([*further, "--run", str(place / "stage-3"), *now]) == 0
    finally:
        (tmp_path / "moved.pth").rename(place / "vit.pth")
    assert torch.equal(load_run(run, "last").method.classify(images), expected)
    assert_same_weights(place / "stage-stopped", run)


def test_weights_that_have_moved_are_told_where(
    place: Path, lift: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    photo = str(next((place / "photos").rglob("*.png")))
    assert main(["predict", str(lift), photo, "--output", str(tmp_path / "before.csv")]) == 0
    figures = [evaluation["metrics"] for evaluation in results(lift)["evaluations"]]
    target, other = tmp_path / "moved.pth", str(place / "other.pth")
    (place / "vit.pth").rename(target)
    now = ["--weights", str(target)]
    try:
        for args in (
            ["predict", str(lift), photo],
            ["export", str(lift)],
            ["test", str(lift)],
            ["tradeoff", str(lift)],
        ):
            line = fails(capsys, *args)
            assert "vit.pth, and there is no such file: say where it is now by --weights FILE" in line
            assert "another SHA-256" in fails(capsys, *args, "--weights", other)
        assert main(["predict", str(lift), photo, "--output", str(tmp_path / "after.csv"), *now]) == 0
        assert (tmp_path / "after.csv").read_text() == (tmp_path / "before.csv").read_text()
        for command in ("validate", "test"):
            assert main([command, str(lift), *now]) == 0
        assert main(["tradeoff", str(lift), "--output", str(tmp_path / "page.html"), *now]) == 0
        shutil.copytree(place / "photos", tmp_path / "others")
        assert main(["test", str(lift), "--data", str(tmp_path / "others"), *now]) == 0
        rerun = {(e["split"], e["checkpoint"]): e["metrics"] for e in results(lift)["evaluations"]}
        assert len(rerun) == len(figures)
        assert all(any(metrics == pytest.approx(old, abs=1e-4) for old in figures) for metrics in rerun.values())
    finally:
        target.rename(place / "vit.pth")


def test_a_run_that_holds_all_takes_no_weights(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit(place, "whole", recipe="ce", epochs=1) == 0
    photo, now = str(next((place / "photos").rglob("*.png"))), ["--weights", str(place / "vit.pth")]
    for args in (["predict", str(place / "whole"), photo], ["validate", str(place / "whole")]):
        assert "hold all of its weights: leave out --weights" in fails(capsys, *args, *now)
