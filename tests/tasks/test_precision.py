"""Which precision a run takes that asks for none."""

from pathlib import Path

import pytest
import torch
import yaml
from command import results
from torch import nn

from longtail.cli.main import main
from longtail.models.backbones import Backbone
from longtail.tasks import precision
from longtail.tasks.precision import choose_precision, is_depthwise

FIT = ["fit", "--recipe", "digits_lt/ce", "--epochs", "1", "--trainer.enable_progress_bar", "false"]
FIT += ["--trainer.accelerator", "cpu", "--trainer.limit_train_batches", "2"]


@pytest.mark.parametrize(
    ("name", "depthwise"), [("resnet20_cifar", False), ("test_resnet", False), ("test_efficientnet", True)]
)
def test_networks_with_depthwise_convolutions(name: str, depthwise: bool) -> None:
    assert is_depthwise(Backbone(name)) == depthwise


def test_a_convolution_of_one_channel_or_of_groups_is_not_depthwise() -> None:
    assert not is_depthwise(nn.Sequential(nn.Conv2d(1, 8, 3), nn.Conv3d(8, 8, 3, groups=4), nn.Linear(8, 8)))
    assert is_depthwise(nn.Sequential(nn.Conv3d(8, 16, 3, groups=8)))


@pytest.mark.parametrize(
    ("bfloat16", "depthwise", "expected"),
    [(True, False, "bf16-mixed"), (True, True, "32-true"), (False, False, "32-true"), (False, True, "32-true")],
)
def test_the_choice_on_a_processor(
    bfloat16: bool, depthwise: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "has_bfloat16", lambda: bfloat16)
    network = nn.Conv2d(8, 8, 3, groups=8 if depthwise else 1)
    weight, random = network.weight.clone(), torch.get_rng_state()
    assert choose_precision(network, "cpu")[0] == expected
    assert torch.equal(torch.get_rng_state(), random), "no random number is drawn"
    assert torch.equal(network.weight, weight)


@pytest.mark.parametrize(("has", "expected"), [(True, "bf16-mixed"), (False, "32-true")])
def test_the_choice_on_a_gpu(has: bool, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has)
    assert choose_precision(nn.Conv2d(8, 8, 3, groups=8))[0] == expected


def test_the_choice_is_told_once_recorded_and_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "r"

    def lines() -> list[str]:
        return [line for line in capsys.readouterr().err.splitlines() if line.startswith("precision")]

    monkeypatch.setattr(precision, "has_bfloat16", lambda: True)
    assert main([*FIT, "--run", str(run)]) == 0
    assert lines() == [
        "precision bf16-mixed, as this processor has instructions for bfloat16; --precision gives another"
    ]
    assert results(run)["hardware"]["precision"] == "bf16-mixed"
    assert yaml.safe_load((run / "config.yaml").read_text())["trainer"]["precision"] == "bf16-mixed"

    monkeypatch.setattr(precision, "has_bfloat16", lambda: False)  # as if resumed on another machine
    assert main(["fit", "--resume", str(run), "--epochs", "2"]) == 0
    assert lines() == []
    assert results(run)["hardware"]["precision"] == "bf16-mixed"
    assert [entry["epoch"] for entry in results(run)["history"]] == [1, 2]
