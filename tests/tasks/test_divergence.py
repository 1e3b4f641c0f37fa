"""A run that diverges, and the use of a network whose outputs are not finite."""

import math
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from command import FIT_DIGITS, fails, results
from lightning.pytorch.plugins import MixedPrecision
from PIL import Image
from torch import Tensor, nn

from longtail.checkpoint import first_not_finite
from longtail.cli.main import main
from longtail.data.images.digits import DigitsLT
from longtail.difficulty import ClassDifficulty
from longtail.errors import InputError
from longtail.losses.cross_entropy import CrossEntropyLoss
from longtail.methods.plain import Plain
from longtail.tasks import divergence
from longtail.tasks.classification import Classification
from longtail.tasks.divergence import Divergence

FIT = [*FIT_DIGITS, "--precision", "32-true", "--trainer.limit_train_batches", "3"]
FIT += ["--trainer.enable_progress_bar", "false"]


@contextmanager
def poison(step: int, terms: tuple[str, ...] = (), times: int = 1, value: float = math.nan) -> Iterator[None]:
    """The loss is not finite in a step, counted from 1, and perhaps in some after it; nor are some of its terms."""
    whole = Classification.training_step

    def training_step(self: Classification, batch: Any, batch_idx: int) -> Tensor:
        loss = whole(self, batch, batch_idx)
        if step <= self.global_step + 1 < step + times:
            self.parts |= {term: loss.detach() * value for term in terms}
            return loss * value
        return loss

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Classification, "training_step", training_step)
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch, with a test split."""
    run = tmp_path_factory.mktemp("runs") / "ce"
    assert main([*FIT, "--epochs", "1", "--run", str(run)]) == 0
    return run


@pytest.mark.parametrize(
    ("period", "terms", "words"),
    [
        (1, ("contrastive",), 'the loss term "contrastive" of step 5 was'),
        (50, (), "the loss of step 5 was"),  # as on an accelerator: the host looks before the validation
        (50, ("contrastive", "distillation"), 'the loss terms "contrastive" and "distillation" of step 5 was'),
    ],
)
def test_a_run_that_diverges_says_where_and_what_helps(
    period: int,
    terms: tuple[str, ...],
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Steps 4 to 6 are the second epoch: the first one stays."""
    monkeypatch.setattr(divergence, "interval", lambda trainer, device: period)
    with poison(5, terms):
        line = fails(capsys, *FIT, "--epochs", "3", "--run", str(tmp_path / "r"))
    file = tmp_path / "r" / "last.ckpt"
    assert f"training diverged in epoch 2: {words} NaN or infinite; {file} is from before it" in line
    assert "What helps: a lower rate (--lr, now 0.15), or clipped gradients (--clip 1)" in line
    content = results(tmp_path / "r")
    assert content["status"] == "interrupted"
    assert [entry["epoch"] for entry in content["history"]] == [1]
    for name in ("last", "best"):
        checkpoint = torch.load(tmp_path / "r" / f"{name}.ckpt", weights_only=True)
        assert (checkpoint["epoch"], checkpoint["global_step"]) == (0, 3)
        weights = [value for name, value in checkpoint["state_dict"].items() if name.startswith("method")]
        assert all(value.isfinite().all() for value in weights)


def test_what_fails_after_such_a_loss_is_told_as_such(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a network that raises on NaN, before the host has looked at the device."""
    monkeypatch.setattr(divergence, "interval", lambda trainer, device: 50)
    whole = Plain.forward

    def forward(self: Plain, views: Any, targets: Tensor) -> dict[str, Tensor]:
        if first_not_finite(self) is not None:
            raise IndexError("index out of range")
        return whole(self, views, targets)

    monkeypatch.setattr(Plain, "forward", forward)
    with poison(2):
        line = fails(capsys, *FIT, "--epochs", "1", "--run", str(tmp_path / "r"))
    assert "the loss of step 2 was NaN or infinite; no checkpoint was written before it" in line
    assert not (tmp_path / "r" / "last.ckpt").exists()


def test_weights_that_are_not_finite_are_never_saved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The last step of an epoch overflows by its update alone: its loss was finite."""
    whole = Classification.on_train_batch_end if hasattr(Classification, "on_train_batch_end") else None

    def on_train_batch_end(self: Classification, *args: Any) -> None:
        if whole is not None:
            whole(self, *args)
        if self.global_step == 6:
            with torch.no_grad():
                self.method.classifier.weight[0, 0] = math.inf

    options = ["--epochs", "2", "--run", str(tmp_path / "r"), "--trainer.limit_val_batches", "0"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Classification, "on_train_batch_end", on_train_batch_end)
        line = fails(capsys, *FIT, *options)
    assert "training diverged in epoch 2: after step 6 method.classifier.weight is NaN or infinite" in line
    assert torch.load(tmp_path / "r" / "last.ckpt", weights_only=True)["global_step"] == 3


class Pixels(nn.Flatten):
    """The pixels of an image as its features."""

    num_features = 3 * 16**2


def trained(times: int, scaled: bool, folder: Path, steps: int = 4) -> Classification:
    """A small classifier after some steps, of which some from the second on have a loss that is not finite."""
    torch.manual_seed(0)
    method = Plain([5] * 10, Pixels(), CrossEntropyLoss)
    task = Classification(method, [5] * 10)
    plugins = []
    if scaled:  # the scale is such that the first step overflows, as with float16, and is left out
        gradients = torch.amp.GradScaler("cpu", init_scale=2.0**126, growth_interval=1000)
        plugins = [MixedPrecision("16-mixed", "cpu", gradients)]
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=1, limit_train_batches=steps, limit_val_batches=0, logger=False, plugins=plugins,
        callbacks=[Divergence(folder / "last.ckpt")], enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0,
    )  # fmt: skip
    with poison(2, times=times):
        trainer.fit(task, datamodule=DigitsLT(batch_size=8))
    return task


@pytest.mark.filterwarnings("ignore")  # of Lightning
def test_steps_that_a_scaler_leaves_out_are_no_divergence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = trained(1, True, tmp_path)
    assert first_not_finite(task) is None
    with pytest.raises(InputError, match="the loss of step 2 was NaN or infinite"):
        trained(1, False, tmp_path)
    monkeypatch.setattr(divergence, "SKIPS", 2)
    with pytest.raises(InputError, match=r"the loss of step 2 .*--precision 32-true, now 16-mixed"):
        trained(2, True, tmp_path)


def test_between_two_looks_the_host_reads_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every way from a tensor to a value of Python is counted; on an accelerator each would wait for the device."""
    reads: list[str] = []

    def spy(name: str) -> Callable[..., Any]:
        whole = getattr(Tensor, name)

        def read(self: Tensor, *args: Any) -> Any:
            reads.append(name)
            return whole(self, *args)

        return read

    for name in ("tolist", "item", "__bool__", "__int__", "__float__", "__index__", "cpu", "numpy"):
        monkeypatch.setattr(Tensor, name, spy(name))
    monkeypatch.setattr(divergence, "interval", lambda trainer, device: 50)
    task = Classification(Plain([5] * 10, Pixels(), CrossEntropyLoss), [5] * 10)
    monkeypatch.setattr(task, "all_gather", lambda row: row)
    task.parts = {"loss": torch.tensor(1.0), "contrastive": torch.tensor(0.5)}
    callback, trainer = Divergence(tmp_path / "last.ckpt"), SimpleNamespace(global_step=0, precision_plugin=None)
    reads.clear()
    for step in range(50):
        trainer.global_step = step + 1
        assert reads == [], step
        callback.on_train_batch_end(trainer, task, task.parts, {}, step)  # type: ignore[arg-type]
    assert reads == ["tolist"], "the look itself"


def test_which_values_are_weights() -> None:
    """The accuracy of a class never seen is NaN by design; a statistic of a normalisation is none."""
    module = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), ClassDifficulty(2))
    assert first_not_finite(module) is None
    assert module[2].accuracy.isnan().all()
    module[1].running_var[1] = math.inf
    assert first_not_finite(module) == "1.running_var"
    with torch.no_grad():
        module[0].bias[0] = math.nan
    assert first_not_finite(module) == "0.bias"


@pytest.fixture(scope="module")
def broken_run(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Callable[[Tensor], None]], Path]:
    """Makes a copy of the run with other weights in its classifier."""

    def spoil(change: Callable[[Tensor], None]) -> Path:
        copy = tmp_path_factory.mktemp("spoiled") / "ce"
        shutil.copytree(run, copy)
        for name in ("last", "best"):
            checkpoint = torch.load(copy / f"{name}.ckpt", weights_only=True)
            change(checkpoint["state_dict"]["method.classifier.bias"])
            torch.save(checkpoint, copy / f"{name}.ckpt")
        return copy

    return spoil


COMMANDS = ("validate", "test", "tradeoff", "predict", "export")


def lines(capsys: pytest.CaptureFixture[str], run: Path, folder: Path) -> dict[str, str]:
    """What each command says that uses a run."""
    Image.new("RGB", (16, 16)).save(folder / "x.png")
    options = {"tradeoff": ["--output", str(folder / "t.html")], "predict": [str(folder / "x.png")]}
    return {name: fails(capsys, name, str(run), *options.get(name, [])) for name in COMMANDS}


def test_a_checkpoint_that_is_not_finite_is_refused(
    broken_run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = broken_run(lambda bias: bias.fill_(math.nan))
    before = results(run)
    for command, line in lines(capsys, run, tmp_path).items():
        assert f"{run}/" in line, command
        assert "of a run that diverged, its" in line, command
        assert "classifier.bias is NaN or infinite: use another one, or train again" in line, command
    assert results(run) == before
    assert "of a run that diverged" in fails(capsys, "fit", "--resume", str(run))


def test_outputs_that_are_not_finite_are_refused(
    broken_run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Weights that are finite, of which float32 makes infinity."""
    run = broken_run(lambda bias: bias.fill_(torch.finfo(torch.float32).max))
    method = "longtail.methods.plain.Plain.classify"
    whole = Plain.classify
    before = results(run)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(method, lambda self, images: whole(self, images) * 2)
        for command, line in lines(capsys, run, tmp_path).items():
            assert "are not finite (NaN or infinity), and predict nothing: train again with a lower rate" in line, (
                command
            )
    assert results(run) == before
    assert not list((run / "export").glob("*"))
