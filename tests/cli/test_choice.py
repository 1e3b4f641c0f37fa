"""``longtail fit --data photos/`` without a recipe: what is picked, why, and what stands beside it."""

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from command import fails, results
from PIL import Image

from longtail.cli import choice
from longtail.cli.choice import about_lists, choose
from longtail.cli.main import main
from longtail.data.images.folder import Folder
from longtail.errors import InputError

SMALL = ["--epochs", "2", "--batch-size", "8", "--workers", "0", "--trainer.accelerator", "cpu", "--image-size", "32"]
COUNTS = {"cat": 12, "dog": 8, "owl": 5}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("place") / "photos"
    random = np.random.default_rng(0)
    for name, count in COUNTS.items():
        (folder / name).mkdir(parents=True)
        for i in range(count):
            Image.fromarray(random.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(folder / name / f"{i}.png")
    rows = [f"{file},{file.parent.name}" for file in sorted(folder.rglob("*.png"))]
    (folder.parent / "photos.csv").write_text("\n".join(["file,label", *rows]))
    torch.save(timm.create_model("test_efficientnet").state_dict(), folder.parent / "weights.pth")
    return folder


@pytest.fixture(autouse=True)
def same_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longtail.cli.fit.run_command", main)


def test_weights_give_a_classifier_on_frozen_features_beside_cross_entropy(photos, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    weights = ["--backbone", "test_efficientnet", "--weights", str(photos.parent / "weights.pth")]
    assert main(["fit", "--data", str(photos), *weights, *SMALL]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        "recipe probe/logit_adjusted: 25 training images of 3 classes on a CPU, pretrained weights; test_efficientnet "
        "stays as it is and its features are computed once; another by --recipe (longtail recipes lists them)"
    )
    assert any("photos-logit_adjusted-ce" in line and "photos-logit_adjusted " in line for line in lines[-30:])
    adjusted, plain = (results(Path("runs") / f"photos-logit_adjusted{end}") for end in ("", "-ce"))
    assert (adjusted["recipe"], plain["recipe"]) == ("probe/logit_adjusted", "probe/ce")
    assert len(list(Path("runs/features").glob("*.f32"))) == 2  # train and val: the second run used those of the first
    Path("runs/photos-logit_adjusted-ce").rename("runs/other-ce")
    assert "runs/other-ce" in fails(capsys, "fit", "--data", str(photos), *weights, *SMALL, "--run", "runs/other")
    assert not Path("runs/other").exists()


def test_without_weights_a_network_is_trained_and_its_features_compared(photos, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("longtail.models.downloads.obtainable", lambda name: False)
    network = ["--backbone", "test_efficientnet"]
    assert main(["fit", "--data", str(photos), "--run", str(tmp_path / "mine"), *network, *SMALL]) == 0
    text = capsys.readouterr().out
    assert text.startswith(
        "recipe logit_adjusted: 25 training images of 3 classes on a CPU, and no pretrained weights: those of "
        "test_efficientnet cannot be fetched from here; --weights FILE with --backbone NAME gives others; another by"
    )
    assert results(tmp_path / "mine-ce")["recipe"] == "second/ce"
    head = next(line for line in text.partition("Comparison")[2].splitlines() if "mine" in line)
    assert [word for word in head.split() if "mine" in word] == ["mine-ce", "mine"]  # what is gained over it


@pytest.mark.parametrize(
    ("online", "gpu", "enough", "many", "work", "recipe", "options"),
    [
        (True, False, 26, 10_000, 1e18, "probe/logit_adjusted", ("vit_small_patch14_dinov2.lvd142m",)),
        (True, False, 26, 25, 1e18, "probe/logit_adjusted", ("tf_efficientnet_lite0.in1k",)),
        (True, False, 25, 25, 1e11, "probe/logit_adjusted", ("tf_efficientnet_lite0.in1k",)),
        (True, False, 25, 10_000, 1e18, "finetune", ("tf_efficientnet_lite0.in1k",)),
        (True, True, 26, 25, 1e18, "probe/logit_adjusted", ("vit_small_patch14_dinov2.lvd142m",)),
        (True, True, 25, 25, 0, "finetune", ("tf_efficientnet_lite0.in1k",)),
        (False, False, 26, 10_000, 1e18, "logit_adjusted", ()),
        (False, True, 26, 10_000, 1e18, "bcl", ()),
    ],
)
def test_the_choice_follows_from_what_is_there(photos, monkeypatch, online, gpu, enough, many, work, recipe, options):
    monkeypatch.setattr("longtail.models.downloads.obtainable", lambda name: online)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(choice, "ENOUGH", enough)
    monkeypatch.setattr(choice, "MANY", many)
    monkeypatch.setattr(choice, "HALF_AN_HOUR", work)  # 25 images of 224 pixels in five epochs: 2.9e11
    suggestion = choose(["--data", str(photos)])
    assert suggestion.recipe == recipe
    names = tuple(f"--model.method.backbone.name={name}" for name in options)
    scratch = suggestion.recipe in ("logit_adjusted", "bcl")
    assert suggestion.options == (*names, *(["--data.batch_size=3"] if scratch else []))  # of 25 images
    assert choose(["--data", str(photos), "--data.batch_size=8"]).options == names
    table = ["--data", str(photos.parent / "photos.csv"), "--data.path_column=file"]
    assert choose(table).recipe == recipe
    by_option = choose([*table, "--trainer.accelerator=cpu"]).recipe
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose(table).recipe == by_option


def test_what_cannot_be_picked_for_gets_one_line(photos, tmp_path, capsys, monkeypatch):
    assert "give --recipe NAME (longtail recipes lists them), or --data FOLDER" in fails(capsys, "fit", "--epochs", "3")
    weights = str(photos.parent / "weights.pth")
    assert "give the network" in fails(capsys, "fit", "--data", str(photos), "--weights", weights)
    for name in ("digits_lt", "VideoFolder", "MultiLabelTable"):
        assert f"--data {name} has recipes of its own" in fails(capsys, "fit", "--data", name)
    assert "no folder or table at" in fails(capsys, "fit", "--data", str(tmp_path / "gone"))
    for options, words in (
        (["--data.nothing", "2"], "--data: longtail.data.Folder has no option nothing"),
        (["--data.val_fraction", "2"], "val_fraction must be in [0, 1), got 2"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(Folder, "list_images", None)  # nothing is read before the options are
            assert words in fails(capsys, "fit", "--data", str(photos), *options)
    (tmp_path / "boxes").mkdir()
    (tmp_path / "boxes" / "a.json").write_text('{"images": [], "annotations": [], "categories": []}')
    fails(capsys, "fit", "--data", str(tmp_path / "boxes"))


def test_weights_that_are_asked_for_and_cannot_be_had_are_told_of_the_network_that_wants_them(
    photos, monkeypatch, capsys
):
    monkeypatch.setattr(choice, "_there", lambda backbone: False)
    line = fails(capsys, "fit", "--data", str(photos), "--pretrained", "--backbone", "test_efficientnet")
    assert "--pretrained: the weights of test_efficientnet cannot be fetched from here: give a file by" in line


def test_what_is_read_to_choose_is_said_once_and_counted_as_trained(photos, tmp_path, monkeypatch, log):
    """Rows that are left out when it trains are no mistake when it chooses."""
    monkeypatch.setattr("longtail.models.downloads.obtainable", lambda name: True)
    rows = (photos.parent / "photos.csv").read_text() + f"\n{tmp_path}/gone.png,cat"
    (photos.parent / "gone.csv").write_text(rows)
    table = ["--data", str(photos.parent / "gone.csv"), "--data.path_column=file"]
    with pytest.raises(InputError, match=r"no such file|is not inside"):
        choose(table)
    log.clear()
    rows = (photos.parent / "photos.csv").read_text() + "\nphotos/cat/gone.png,cat"
    (photos.parent / "gone.csv").write_text(rows)
    assert choose([*table, "--data.skip_bad_images=true"]).reason.startswith("25 training images of 3 classes")
    assert not log.records


def test_classes_that_look_like_lists_are_told():
    line = about_lists(["a", "a;b", "b;c", "c"])
    assert line is not None
    assert "classes such as a;b look like several labels" in line
    assert "give --recipe multilabel/bce, with | between the labels" in line
    assert str(about_lists(["a|b", "b|a", "c"])).endswith("give --recipe multilabel/bce")
    for classes in (["cat", "dog"], ["crane, bird", "crane, machine", *"abcdefgh"], ["Smith, J", "Jones, K", "x"]):
        assert about_lists(classes) is None
