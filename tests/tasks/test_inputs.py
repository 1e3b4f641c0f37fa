"""A run shows its network the images that its weights expect, and keeps to it."""

import json
from pathlib import Path

import pytest
import timm
import torch
import yaml
from command import fails, results
from jsonargparse import Namespace
from PIL import Image

from longtail.augment.preprocessing import Resize
from longtail.cli.main import main
from longtail.cli.starts import start_as_given
from longtail.errors import InputError
from longtail.files.images.crops import prepare
from longtail.inference import load_run
from longtail.models.inputs import timm_input
from longtail.recipes import load_recipe
from longtail.tasks.inputs import fit_to_network


def photos(folder: Path) -> Path:
    generator = torch.Generator().manual_seed(0)
    for c, name in enumerate(("red", "green", "blue")):
        (folder / name).mkdir(parents=True)
        for i in range(6):
            pixels = torch.randint(0, 120, (40, 56, 3), generator=generator, dtype=torch.uint8)
            pixels[..., c] += 100
            Image.fromarray(pixels.numpy()).save(folder / name / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("place")
    photos(folder / "photos")
    torch.manual_seed(0)
    for name in ("test_vit", "test_efficientnet"):
        torch.save(timm.create_model(name).state_dict(), folder / f"{name}.pth")
    return folder


OPTIONS = ["--epochs", "1", "--batch-size", "4", "--workers", "0", "--trainer.accelerator", "cpu"]


def fit(place: Path, run: str, *options: str) -> Path:
    data = str(place / "photos")
    assert main(["fit", "--recipe", "ce", "--data", data, "--run", str(place / run), *OPTIONS, *options]) == 0
    return place / run


def test_weights_bring_their_preprocessing_and_their_size(place):
    weights = str(place / "test_vit.pth")
    run = fit(place, "vit", "--backbone", "test_vit", "--weights", weights, "--image-size", "80")
    half = [0.5, 0.5, 0.5]
    assert results(run)["data"]["input"] == {
        "size": 80,
        "mean": half,
        "std": half,
        "interpolation": "bicubic",
        "crop": 0.95,
        "crop_mode": "center",
    }
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["model"]["init_args"]["method"]["init_args"]["backbone"]["init_args"]["image_size"] == 80
    classifier = load_run(run)
    file = next((place / "photos").rglob("*.png"))
    expected = prepare(Image.open(file), 80, Resize("bicubic", 0.95))
    assert torch.equal(classifier.read(str(file)), expected)
    logits = classifier.method.classify((expected[None] / 255 - 0.5) / 0.5)
    assert torch.allclose(classifier.probabilities(expected[None]), logits.softmax(1), atol=1e-6)
    weights = str(run / "last.ckpt")  # of the run: what that one expected holds on
    rerun = fit(place, "again", "--backbone", "test_vit", "--weights", weights, "--data.preprocessing.crop", "0.9")
    assert results(rerun)["data"]["input"] == {**results(run)["data"]["input"], "crop": 0.9}


def test_without_weights_the_set_says_how(place):
    record = results(fit(place, "scratch", "--backbone", "test_efficientnet", "--image-size", "32"))["data"]["input"]
    assert record["mean"] == [0.485, 0.456, 0.406]
    assert (record["interpolation"], record["crop"], record["size"]) == ("bilinear", 0.875, 32)


def test_the_size_of_the_weights_is_the_default(place):
    weights = str(place / "test_efficientnet.pth")
    record = results(fit(place, "sized", "--backbone", "test_efficientnet", "--weights", weights))["data"]["input"]
    assert (record["size"], record["interpolation"], record["crop"]) == (160, "bicubic", 0.95)


def test_a_size_that_does_not_fit_is_one_line_and_nothing_is_written(place, capsys):
    weights = str(place / "test_vit.pth")
    message = fails(
        capsys,
        *("fit", "--recipe", "ce", "--data", str(place / "photos"), "--run", str(place / "wrong"), *OPTIONS),
        *("--backbone", "test_vit", "--weights", weights, "--image-size", "100"),
    )
    assert "give --image-size 96, 112 or 160" in message
    assert not (place / "wrong").exists()


def test_images_in_memory_are_resized_for_the_network(place):
    weights = str(place / "test_vit.pth")
    run = place / "digits"
    options = ["--recipe", "digits_lt/ce", "--run", str(run), "--epochs", "1", "--trainer.accelerator", "cpu"]
    assert main(["fit", *options, "--backbone", "test_vit", "--weights", weights, "--image-size", "32"]) == 0
    assert results(run)["data"]["input"]["size"] == 32
    assert results(run)["data"]["input"]["mean"] == [0.5, 0.5, 0.5]


def input_size(recipe: str, name: str | None, weights: Path, size: int | None = None, data: str = "Folder") -> int:
    """Side of the images that a run of a recipe shows its network, by what is parsed."""
    config = load_recipe(recipe)
    weight_options = {"--model.method.backbone.weights": str(weights)}
    start_as_given(config, weight_options if name is None else {**weight_options, "--model.method.backbone.name": name})
    options = config["model"]["init_args"]["method"]["init_args"]["backbone"]["init_args"]
    options |= {"weights": str(weights)} if name is None else {"weights": str(weights), "name": name}
    backbone = Namespace(class_path="longtail.models.Backbone", init_args=Namespace(**options))
    images = Namespace(image_size=size or config["data"]["init_args"].get("image_size"))
    namespace = Namespace(
        model=Namespace(init_args=Namespace(method=Namespace(init_args=Namespace(backbone=backbone)))),
        data=Namespace(class_path=f"longtail.data.{data}", init_args=images),
    )
    fit_to_network(namespace)
    if timm_input(str(options["name"]), True).fixed:
        assert backbone.init_args.image_size == images.image_size
    return int(images.image_size)


@pytest.mark.parametrize("recipe", ["probe/ncm", "probe/ce", "finetune", "lift"])
def test_short_recipes_take_the_size_of_the_weights_that_are_given(recipe, tmp_path):
    weights = tmp_path / "weights.pth"
    name = "test_efficientnet" if recipe == "finetune" else "test_vit"
    assert input_size(recipe, name, weights) == 160
    assert input_size(recipe, name, weights, data="DigitsLT") == 160  # it keeps what it has learned of images
    assert input_size(recipe, name, weights, size=80) == 80
    content = {"architecture": name, "pretrained_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3, "crop_pct": 1.0}}
    content["pretrained_cfg"] |= {"interpolation": "bicubic", "input_size": [3, 64, 64]}
    (tmp_path / "config.json").write_text(json.dumps(content))
    assert input_size(recipe, name, weights) == 64
    assert input_size("cifar100_lt/finetune", name, weights, data="CIFAR100LT") == 112
    for fault, words in (({"mean": None}, "cannot be read"), ({}, "lacks 'mean'")):
        broken = {key: value for key, value in content["pretrained_cfg"].items() if key != "mean"} | fault
        (tmp_path / "config.json").write_text(json.dumps(content | {"pretrained_cfg": broken}))
        with pytest.raises(InputError, match=rf"config\.json: its pretrained_cfg, .*, {words}: repair it"):
            input_size(recipe, name, weights)
    (tmp_path / "config.json").write_text("[1, 2")  # of something else
    assert input_size(recipe, name, weights) == 160


def test_the_network_of_the_probes_has_a_size_of_its_own(tmp_path):
    assert input_size("probe/ce", None, tmp_path / "vit.pth") == 224
    assert input_size("probe/ncm", "vit_small_patch14_dinov2", tmp_path / "vit.pth") == 224
    assert input_size("probe/ce", "vit_base_patch14_dinov2", tmp_path / "vit.pth") == 518
