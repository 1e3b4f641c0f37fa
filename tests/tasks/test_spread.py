"""Images of a step over processes and accumulated batches, batch statistics of all, and weights that are split."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning.pytorch as pl
import pytest
import timm
import torch
from command import FIT_DIGITS, fails, in_two_processes
from torch import nn

from longtail.cli.main import main
from longtail.errors import InputError
from longtail.tasks.schedules import StepSchedule
from longtail.tasks.spread import SyncedNorms, batch_of_process, check_strategy

FIT = [*FIT_DIGITS, "--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"]


def trainer(processes: int, batches: int = 1) -> Any:
    return SimpleNamespace(world_size=processes, accumulate_grad_batches=batches)


@pytest.mark.parametrize(("total", "processes", "batches", "batch"), [(64, 1, 1, 64), (64, 4, 1, 16), (64, 4, 2, 8)])
def test_a_step_is_shared_equally(total: int, processes: int, batches: int, batch: int) -> None:
    assert batch_of_process(total, 1000, trainer(processes, batches)) == batch


@pytest.mark.parametrize(
    ("total", "processes", "batches", "words"),
    [
        (64, 3, 1, "64 cannot be shared by 3 processes: give 63, or another multiple of 3"),
        (8, 2, 3, "8 cannot be shared by 2 processes of 3 accumulated batches: give 6, or another multiple of 6"),
        (2, 4, 1, "give 4, or another multiple of 4"),
        (0, 1, 1, "give 1, or another multiple of 1"),
        (2000, 4, 1, "larger than the training set of 1,000 images: give 500 or less"),
    ],
)
def test_a_step_that_cannot_be_shared_is_refused(total: int, processes: int, batches: int, words: str) -> None:
    with pytest.raises(InputError, match=words):
        batch_of_process(total, 1000, trainer(processes, batches))


def test_steps_and_warmup_count_accumulated_batches(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run of one process and one of two take the same steps of as many images, at the same rates."""
    args = ["--total-batch-size", "64", "--trainer.accumulate_grad_batches", "2", "--epochs", "3"]
    warmup = ["--model.schedule.init_args.warmup", "1"]
    assert main([*FIT, *args, *warmup, "--run", str(tmp_path / "one")]) == 0
    assert "3 epochs of 5 steps, 64 images a step" in capsys.readouterr().out
    in_two_processes(tmp_path, *FIT, *args, *warmup, LONGTAIL_RUN=str(tmp_path / "two"))
    for name in ("one", "two"):
        state = torch.load(tmp_path / name / "last.ckpt", weights_only=True)
        assert state["global_step"] == state["lr_schedulers"][0]["last_epoch"] == 15
        (rate,), (first,) = (state["lr_schedulers"][0][key] for key in ("_last_lr", "base_lrs"))
        assert rate == pytest.approx(first * StepSchedule(warmup=1.0)(15, 15, 5))


def test_what_a_user_can_get_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = ["--run", str(tmp_path / "run")]
    assert "one of them" in fails(capsys, *FIT, *run, "--total-batch-size", "64", "--batch-size", "32")
    assert "larger than the training set of 294" in fails(capsys, *FIT, *run, "--total-batch-size", "1000")
    assert "splits the weights" in fails(capsys, *FIT, *run, "--trainer.strategy", "fsdp")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["fsdp", "fsdp_cpu_offload", "deepspeed_stage_3"])
def test_split_weights_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} splits the weights .* give --trainer.strategy ddp"):
        check_strategy(name)
    for whole in ("auto", "ddp", "ddp_find_unused_parameters_true", "single_device"):
        check_strategy(whole)


class Attached(pl.LightningModule):
    """A network in a trainer whose device is told."""

    def __init__(self, network: nn.Module, device: str) -> None:
        super().__init__()
        self.network, self.place = network, SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device(device)))

    @property
    def trainer(self) -> Any:
        return self.place


def test_synchronised_layers_keep_weights_and_activations() -> None:
    images = torch.randn(2, 3, 32, 32)
    network = timm.create_model("test_efficientnet").eval()  # whose layers of normalisation hold activations
    before, parameters, keys = network(images), [*network.parameters()], [*network.state_dict()]
    assert SyncedNorms().apply(Attached(network, "cpu")).network is network
    assert not any(isinstance(module, nn.SyncBatchNorm) for module in network.modules())
    SyncedNorms().apply(Attached(network, "cuda"))
    kinds = [type(module) for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    assert {issubclass(kind, nn.SyncBatchNorm) for kind in kinds} == {True}
    assert [*map(id, network.parameters())] == [*map(id, parameters)]
    assert [*network.state_dict()] == keys
    assert torch.equal(network(images), before)
