"""Networks with weights as they are published. ``LONGTAIL_WEIGHTS=FOLDER pytest`` runs them, with the files in it."""

import os
from pathlib import Path

import pytest
import timm
import torch
from command import results
from safetensors.torch import load_file

from longtail.cli.main import main
from longtail.models import Backbone
from longtail.models.inputs import timm_input

FOLDER = os.environ.get("LONGTAIL_WEIGHTS")
FILES = {  # of the timm network of the same name
    "tf_efficientnet_lite0": "efficientnet_lite0.safetensors",
    "vit_small_patch14_dinov2": "vit_small_patch14_dinov2.safetensors",
}

pytestmark = pytest.mark.skipif(FOLDER is None, reason="LONGTAIL_WEIGHTS names no folder of published weights")


def weights(name: str) -> Path:
    assert FOLDER is not None
    return Path(FOLDER) / FILES[name]


@pytest.mark.parametrize("name", FILES)
def test_features_are_those_of_timm(name: str) -> None:
    overlay = {"file": str(weights(name))}
    sized = {"img_size": 112} if timm_input(name, True).fixed else {}
    theirs = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay, num_classes=0, **sized).eval()
    ours = Backbone(name, weights=weights(name), image_size=112 if sized else None).eval()
    images = torch.randn(2, 3, 112, 112, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(ours(images), theirs(images))


@pytest.mark.parametrize(("name", "least"), [("tf_efficientnet_lite0", 0.6), ("vit_small_patch14_dinov2", 0.4)])
def test_a_head_on_them_knows_digits_it_never_saw(name: str, least: float, tmp_path: Path) -> None:
    """By the command, from the images to the figures; logit adjustment gives the rare ones their part."""
    network = ["--backbone", name, "--weights", str(weights(name)), "--image-size", "56", "--precision", "32-true"]
    figures = {}
    for loss in ("ce", "logit_adjusted"):
        run = tmp_path / loss
        assert main(["fit", "--recipe", f"probe/{loss}", "--data", "digits_lt", *network, "--run", str(run)]) == 0
        figures[loss] = results(run)["evaluations"][-1]["metrics"]
    record = results(run)["data"]["input"]
    expected = timm_input(name, True).preprocessing
    assert (tuple(record["mean"]), tuple(record["std"])) == (expected.mean, expected.std)
    assert figures["logit_adjusted"]["balanced_accuracy"] > max(least, figures["ce"]["balanced_accuracy"])


def test_a_classifier_goes_on_where_its_weights_end(tmp_path: Path) -> None:
    """The export of a tuned network in timm's layout, back in by its folder, with what the published file holds."""
    name = "tf_efficientnet_lite0"
    args = ["--recipe", "finetune", "--data", "digits_lt", "--backbone", name, "--weights", str(weights(name))]
    run = tmp_path / "run"
    linear = ["--model.method.classifier", "torch.nn.Linear", "--image-size", "32", "--epochs", "1"]
    assert main(["fit", *args, *linear, "--run", str(run)]) == 0
    assert main(["export", str(run), "--format", "timm", "--output", str(tmp_path / "timm")]) == 0
    assert load_file(tmp_path / "timm" / "model.safetensors").keys() == load_file(weights(name)).keys()
    assert Backbone(f"local-dir:{tmp_path / 'timm'}").num_features == 1280
