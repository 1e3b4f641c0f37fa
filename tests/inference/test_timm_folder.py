"""A run as a folder of timm, by timm's own reader."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from command import fails, results
from PIL import Image

from longtail.cli.main import main
from longtail.errors import InputError
from longtail.export.timm_folder import linear_head
from longtail.inference import load_run
from longtail.models import Backbone, CosineClassifier
from longtail.models.classifiers import ScaledClassifier, TauClassifier

OPTIONS = ["--epochs", "1", "--batch-size", "4", "--workers", "0", "--trainer.accelerator", "cpu"]
OPTIONS += ["--precision", "32-true", "--trainer.enable_progress_bar", "false"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("place")
    random = np.random.default_rng(0)
    for name in ("rot", "grün", "blau"):
        (folder / "photos" / name).mkdir(parents=True)
        for i in range(6):
            noise = random.integers(0, 256, (40, 56, 3), dtype=np.uint8)
            Image.fromarray(noise).save(folder / "photos" / name / f"{i}.png")
    torch.manual_seed(0)
    torch.save(timm.create_model("test_vit").state_dict(), folder / "vit.pth")
    return folder


def fit(place: Path, run: str, *options: str) -> Path:
    data = str(place / "photos")
    assert main(["fit", "--recipe", "ce", "--data", data, "--run", str(place / run), *OPTIONS, *options]) == 0
    return place / run


VIT = ["--backbone", "test_vit", "--image-size", "48", "--model.method.backbone.tuning", "longtail.models.LoRA"]


@pytest.fixture(scope="module")
def runs(place: Path) -> dict[str, Path]:
    return {
        "vit": fit(place, "vit", *VIT, "--weights", str(place / "vit.pth"), "--lr", "0.5"),
        "efficientnet": fit(place, "efficientnet", "--backbone", "test_efficientnet", "--image-size", "40"),
    }


@pytest.mark.parametrize(("name", "size"), [("vit", 48), ("efficientnet", 40)])
@pytest.mark.parametrize("strength", [0.0, 1.5])
def test_timm_gives_the_logits_of_the_run(name: str, size: int, strength: float, runs: dict[str, Path]) -> None:
    folder = runs[name] / f"timm-{strength}"
    args = ["--format", "timm", "--strength", str(strength), "--output", str(folder)]
    assert main(["export", str(runs[name]), *args]) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    usual = folder / "usual"
    usual.touch()
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {usual.stat().st_mode & 0o777}
    usual.unlink()
    network: Any = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    images = torch.randn(3, 3, size, size, generator=torch.Generator().manual_seed(1))
    classifier: Any = load_run(runs[name])
    counts = torch.tensor(results(runs[name])["train_counts"])
    with torch.no_grad():
        expected = classifier.method.cpu().classify(images) - strength * (counts / counts.sum()).log()
        assert torch.allclose(network(images), expected, atol=1e-4)
    record = results(runs[name])["data"]["input"]
    config = timm.data.resolve_data_config(model=network)
    assert tuple(config["input_size"]) == (3, size, size)
    assert list(config["mean"]) == pytest.approx(record["mean"])
    assert list(config["std"]) == pytest.approx(record["std"])
    assert (config["interpolation"], config["crop_pct"]) == (record["interpolation"], record["crop"])
    assert network.pretrained_cfg["label_names"] == ["blau", "grün", "rot"]


def test_it_goes_back_in(place: Path, runs: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(runs["vit"]), "--format", "timm"]) == 0
    folder = runs["vit"] / "timm"
    home = place / "moved"
    folder.rename(home)
    file = home / "model.safetensors"
    backbone = Backbone(f"local-dir:{home}", image_size=48).eval()
    images = torch.randn(2, 3, 48, 48)
    classifier: Any = load_run(runs["vit"])
    with torch.no_grad():
        assert torch.allclose(backbone(images), classifier.method.cpu().backbone(images), atol=1e-5)
    fits = [fit(place, "again", "--backbone", f"local-dir:{home}", "--trainer.max_steps", "1", "--lr", "1e-9")]
    fits += [fit(place, "again-2", "--backbone", "test_vit", "--weights", str(file), "--trainer.max_steps", "1")]
    for run in fits:
        assert results(run)["data"]["input"] == results(runs["vit"])["data"]["input"]
    with torch.no_grad():
        features = load_run(fits[0]).method.cpu().backbone(images)  # type: ignore[attr-defined]
        assert torch.allclose(features, backbone(images), atol=1e-4)
    config = json.loads((home / "config.json").read_text())
    (home / "config.json").unlink()
    load_run(fits[0])  # is whole without the folder
    common = ["fit", "--recipe", "ce", "--data", str(place / "photos"), "--run", str(place / "no"), *OPTIONS]
    line = fails(capsys, *common, "--backbone", f"local-dir:{home}")
    assert "config.json" in line
    (home / "config.json").write_text(json.dumps({"num_classes": config["num_classes"]}))
    assert "is no folder of timm" in fails(capsys, *common, "--backbone", f"local-dir:{home}")
    assert not (place / "no").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--backbone", "resnet20_cifar"], "is for a backbone of timm"),
        (
            [*VIT[:4], "--model.method.classifier", "longtail.models.CosineClassifier"],
            "a cosine classifier divides by the length of each feature",
        ),
        ([*VIT[:5], "longtail.models.AdaptFormer"], "no place for adapters or prompts"),
        ([*VIT[:5], "longtail.models.Prompts"], "no place for adapters or prompts"),
    ],
)
def test_what_timm_has_no_place_for_is_one_line(
    options: list[str], message: str, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    limits = ["--trainer.max_steps", "1", "--trainer.limit_val_batches", "1", "--image-size", "48"]
    assert main(["fit", "--recipe", "ce", "--data", str(place / "photos"), "--run", str(tmp_path / "run"), *OPTIONS,
                 *limits, *options]) == 0  # fmt: skip
    line = fails(capsys, "export", str(tmp_path / "run"), "--format", "timm")
    assert message in line
    assert "export without --format timm" in line
    assert not (tmp_path / "run/timm").exists()


def test_classifiers_that_are_linear_are_folded() -> None:
    torch.manual_seed(0)
    scaled, tau = ScaledClassifier(5, 3), TauClassifier(5, 3)
    scaled.scales.data.copy_(torch.tensor([2.0, 0.5, 1.0]))
    tau.tau.fill_(0.5)
    weight, bias = linear_head(scaled, 5)
    assert torch.allclose(weight, scaled.first.weight * torch.tensor([[2.0], [0.5], [1.0]]))
    assert torch.allclose(bias, scaled.first.bias * torch.tensor([2.0, 0.5, 1.0]))
    weight, bias = linear_head(tau, 5)
    assert torch.allclose(weight, torch.stack([w / w.norm().sqrt() for w in tau.first.weight]))
    assert not bias.any()
    with pytest.raises(InputError, match="CosineClassifier is not linear in the features"):
        linear_head(CosineClassifier(5, 3), 5)
