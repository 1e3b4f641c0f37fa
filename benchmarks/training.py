"""Training on CIFAR-100-LT: ``python -m benchmarks.training [--device cuda] [--batches 8] [--json FILE]``.

Balanced contrastive learning with ResNet-32, three views and a batch of 256, as ``longtail fit`` runs it, beside the
bare passes of the same network, forward and backward, and beside the same training written the usual way.
"""

import argparse
import copy
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import lightning.pytorch as pl
import torch
import yaml
from torch.nn.functional import normalize

from benchmarks.measure import save, synchronise, table
from benchmarks.rival import UsualTraining, balanced_contrastive
from longtail.counts import exponential_counts
from longtail.data import CIFAR100LT
from longtail.data.images.memory import TensorImages
from longtail.data.splits import Split, Splits
from longtail.losses import BalancedContrastiveLoss
from longtail.methods import Method
from longtail.recipes import load_recipe
from longtail.tasks.training_cli import TrainingCLI, configure

BATCH = 256


class RandomImages(CIFAR100LT):
    """Random images with the class counts of CIFAR-100-LT."""

    largest: ClassVar[int] = 500

    def read(self) -> Splits:
        counts = exponential_counts(self.largest, 100, self.factor)
        targets = torch.arange(100).repeat_interleave(counts)
        images = torch.randint(256, (len(targets), 3, 32, 32), dtype=torch.uint8)
        train = Split(TensorImages(images, targets), targets.numpy())
        return Splits([str(c) for c in range(100)], train, None, None)


class SideBySide(pl.Callback):
    """Times the steps of a run, with bare passes between any two of them, and usual training between two epochs.

    Args:
        bare: forward and backward passes alone.
        usual: the same training written the usual way; returns the seconds of its steps.
    """

    def __init__(self, bare: Callable[[], object], usual: Callable[[], list[float]]) -> None:
        self.bare, self.usual = bare, usual
        self.seconds: dict[str, list[float]] = {"step": [], "end_of_epoch": [], "bare": [], "usual": []}
        self._start = 0.0

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        """Note the time of a step, from the fetching of its batch on."""
        now = self._now(trainer)
        if trainer.current_epoch > 0:  # the first one is a warm-up
            self.seconds["step"].append(now - self._start)
            self._start = self._now(trainer)
            self.bare()
            self.seconds["bare"].append(self._now(trainer) - self._start)
        self._start = self._now(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        """Note the time since the last step."""
        if trainer.current_epoch > 0:
            self.seconds["end_of_epoch"].append(self._now(trainer) - self._start)
            self.seconds["usual"] += self.usual()
        self._start = self._now(trainer)

    def _now(self, trainer: pl.Trainer) -> float:
        synchronise(trainer.strategy.root_device)
        return time.perf_counter()


def command_line(run: Path, device: torch.device, epochs: int, batches: int, name: str, **more: str) -> TrainingCLI:
    """What ``longtail fit --recipe NAME`` builds, on random images; ``more`` are options by their full names."""
    recipe = load_recipe(name)
    del recipe["about"]
    options = {
        "--config": yaml.safe_dump(recipe),
        "--recipe": name,
        "--data": "benchmarks.training.RandomImages",
        "--trainer.accelerator": "gpu" if device.type == "cuda" else "cpu",
        "--trainer.devices": "1",
        "--trainer.max_epochs": str(epochs),
        "--trainer.limit_train_batches": str(batches),
        "--trainer.enable_progress_bar": "false",  # its figures would count what runs between the steps
        "--run": str(run),
        **{f"--{option}": value for option, value in more.items()},
    }
    return configure([word for pair in options.items() for word in pair])


def bare_passes(method: Method, precision: str, device: torch.device) -> Callable[[], None]:
    """Forward and backward passes of a copy of the method on views that are ready; no step of an optimizer."""
    method = copy.deepcopy(method).to(device)
    views = torch.randn(3, BATCH, 3, 32, 32, device=device)
    ready = [view.contiguous(memory_format=torch.channels_last) for view in views]
    targets = torch.randint(100, (BATCH,), device=device)

    def run() -> None:
        method.zero_grad()
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16-mixed"):
            loss = method(ready, targets)["loss"]
        loss.backward()

    run()
    return run


def same_loss() -> None:
    """Check that the rival's loss is the same."""
    z = normalize(torch.randn(32, 2, 16), dim=2)
    p, y = normalize(torch.randn(10, 16)), torch.randint(10, (32,))
    torch.testing.assert_close(balanced_contrastive(z, y, p, 0.1), BalancedContrastiveLoss(0.1)(z, y, p))


def measure(device: torch.device, batches: int, epochs: int, workers: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        run.mkdir()
        cli = command_line(run, device, epochs + 1, batches, "cifar100_lt/bcl", **{"data.batch_size": str(BATCH)})
        data = cli.datamodule
        images = data.splits.train.images.images.permute(0, 2, 3, 1).contiguous().numpy()
        targets = data.splits.train.targets.tolist()
        usual = UsualTraining(images, targets, (data.normalise.mean, data.normalise.std), BATCH, workers, device)
        precision = str(cli.trainer.precision)
        watch = SideBySide(bare_passes(cli.model.method, precision, device), usual.seconds)
        cli.trainer.callbacks.append(watch)
        cli.trainer.fit(cli.model, datamodule=data)
    whole = len(data.batches("train"))

    def figures(of: Callable[[list[float]], float]) -> dict[str, float]:
        step, end, bare, usual = (of(watch.seconds[name]) for name in ("step", "end_of_epoch", "bare", "usual"))
        return {
            "step_seconds": step,
            "end_of_epoch_seconds": end,
            "bare_seconds": bare,
            "usual_step_seconds": usual,
            "epoch_over_bare": (whole * step + end) / (whole * bare),
            "images_per_second": BATCH / (step + end / whole),
            "usual_images_per_second": BATCH / usual,
            "speedup": usual / (step + end / whole),
        }

    settings = {"precision": precision, "batches": batches, "epochs": epochs, "usual_workers": workers}
    return {**settings, "least": figures(min), "median": figures(statistics.median)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--batches", type=int, default=8, help="batches of an epoch")
    parser.add_argument("--epochs", type=int, default=3, help="epochs that are timed")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes of the usual training")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    options = parser.parse_args()
    device = torch.device(options.device)
    warnings.filterwarnings("ignore", module="lightning.*")
    torch.manual_seed(0)
    same_loss()
    result = measure(device, options.batches, options.epochs, options.workers)
    least, median = result["least"], result["median"]
    save(options.json, device, training=result)
    print({key: value for key, value in result.items() if value not in (least, median)})
    names = {
        "step_seconds": "seconds of a step",
        "bare_seconds": "seconds of the bare passes",
        "usual_step_seconds": "seconds of a step, the usual way",
        "end_of_epoch_seconds": "seconds at the end of an epoch",
        "epoch_over_bare": "an epoch, over its bare passes",
        "images_per_second": "images per second",
        "usual_images_per_second": "images per second, the usual way",
        "speedup": "times as fast as the usual way",
    }
    print(table(["", "Least", "Median"], [[names[k], f"{least[k]:.3g}", f"{median[k]:.3g}"] for k in names]))


if __name__ == "__main__":
    main()
