"""Training on mixed images: the batches, their labels and figures, and what is refused."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from command import FIT_DIGITS, fails, results

from longtail.augment.mixing import CMO, CutMix, Mixing
from longtail.cli.main import main
from longtail.data.images.digits import DigitsLT
from longtail.inference.posterior import Posterior
from longtail.losses.cross_entropy import CrossEntropyLoss
from longtail.methods.plain import Plain
from longtail.models.backbones import Backbone
from longtail.tasks.classification import Classification

FIT = [*FIT_DIGITS, "--model.mixing"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mixing") / "run"
    options = ["--model.mixing.r", "0.5", "--model.method.loss", "longtail.losses.ClassDifficultyLoss"]
    assert main([*FIT, "longtail.augment.CMO", *options, "--epochs", "1", "--run", str(folder)]) == 0
    return folder


def test_a_difficulty_is_measured_on_validation_as_ever(run: Path) -> None:
    (epoch,) = results(run)["history"]
    assert len(epoch["class_accuracy"]) == 10
    assert 0 < epoch["train"]["top1"] < 1
    assert not {"CMO", "ClassDifficultyLoss"} - set(re.findall(r"\w+", results(run)["config"]))


def test_mixing_leaves_the_implied_class_frequencies_unknown(run: Path) -> None:
    method, content = Plain([1] * 10, Backbone("resnet8_cifar"), CrossEntropyLoss), results(run)
    assert Posterior.of_run(run, content, method, "last").trained_prior is None
    config = yaml.safe_load(content["config"])
    config["model"]["init_args"]["mixing"] = None
    assert Posterior.of_run(run, content | {"config": yaml.safe_dump(config)}, method, "last").trained_prior is not None


def set_up(mixing: Mixing | None, **options: Any) -> DigitsLT:
    data = DigitsLT(batch_size=32, **options)
    data.mixing = mixing
    return data


def batches(data: DigitsLT, start: int = 0) -> list[dict[str, Any]]:
    """Training batches of the second epoch, as the task gets them."""
    loader = data.make_loader(data.splits.train.images, data.batches("train"))
    loader.sampler.set_epoch(1)
    loader.load_state_dict({"position": start})
    return [dict(data.make_views(batch, training=True)) for batch in loader]


@pytest.mark.parametrize("mixing", [CutMix(), CMO()], ids=["cutmix", "cmo"])
def test_an_epoch_goes_on_with_the_batches_of_the_uninterrupted_one(mixing: Mixing) -> None:
    whole, rest = batches(set_up(mixing)), batches(set_up(mixing), start=4)
    plain = batches(set_up(None))
    assert len(whole) == len(plain)
    for ours, theirs in zip(whole[4:], rest, strict=True):
        assert torch.equal(ours["views"][0], theirs["views"][0])
        assert torch.equal(ours["targets"], theirs["targets"])
    for ours, theirs in zip(whole, plain, strict=True):
        assert torch.equal(ours["rows"], theirs["rows"])
        assert ours["views"][0].shape == theirs["views"][0].shape
        assert ours["targets"].shape == (len(theirs["targets"]), 10)
        share = ours["targets"].gather(1, theirs["targets"][:, None])
        assert share.min() >= 0
        assert 0 < share.mean() < 1


def test_partners_are_drawn_for_the_tail() -> None:
    data = set_up(CMO())
    rows = torch.tensor([row for batch in data.batches("train") for row, _ in batch[len(batch) // 2 :]])
    counts = torch.from_numpy(data.splits.train.targets)[rows].bincount(minlength=10)
    assert len(rows) == len(data.splits.train)
    assert counts.max() < 2.5 * counts.min(), "of all classes alike, which have 120 to 1 images"
    views = data.make_views(next(iter(data.make_loader(data.splits.train.images, data.batches("train")))), False)
    assert views["targets"].ndim == 1, "nothing is mixed out of training"


def test_the_label_decides_how_right_an_answer_is(monkeypatch: pytest.MonkeyPatch) -> None:
    task = Classification(Plain([5, 3, 2], Backbone("resnet20_cifar"), CrossEntropyLoss), [5, 3, 2])
    logits = torch.tensor([[5.0, 0, 0], [0, 5, 0]])
    monkeypatch.setattr(task.method, "forward", lambda views, targets: {"loss": logits.sum(), "logits": logits})
    soft = torch.tensor([[0.7, 0.3, 0], [0, 0, 1]])
    task.training_step({"views": [torch.zeros(2, 3, 8, 8)], "targets": soft, "rows": torch.arange(2)}, 0)
    assert float(task.parts["top1"]) == pytest.approx(0.35)
    labels = torch.tensor([0, 2])
    task.training_step({"views": [torch.zeros(2, 3, 8, 8)], "targets": labels, "rows": torch.arange(2)}, 0)
    assert float(task.parts["top1"]) == 0.5


def test_what_cannot_be_mixed_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = ["--run", str(tmp_path / "run")]
    bcl = ["fit", "--recipe", "digits_lt/bcl", "--model.mixing", "longtail.augment.MixUp", *place]
    assert "mixed images have soft targets, and BCL takes none: leave out --model.mixing" in fails(capsys, *bcl)
    seesaw = [*FIT, "longtail.augment.MixUp", "--model.method.loss", "longtail.losses.SeesawLoss", *place]
    assert "and Plain with SeesawLoss takes none" in fails(capsys, *seesaw)
    unknown = fails(capsys, *FIT, "longtail.augment.Mixup", *place)
    assert "there is no class" in unknown
    assert "choose from CMO, CutMix, MixUp, Remix" in unknown
    assert "expected alpha above 0" in fails(
        capsys, *FIT, "longtail.augment.MixUp", "--model.mixing.alpha", "0", *place
    )
    assert not (tmp_path / "run").exists()
