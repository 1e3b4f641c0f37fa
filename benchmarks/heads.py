"""A head on frozen features: ``python -m benchmarks.heads [--epochs 12] [--recipe probe/ce] [--batch-size 512]``.

The head of a probe recipe as ``longtail fit`` trains it, on random features of 10,000 images, beside the same steps in
a bare loop of torch: features and labels of a batch by index, classifier, loss, backward, step of the optimizer. Times
are of the processor, all threads together, and the least of the epochs counts: other work on the machine adds to them.
"""

import argparse
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
import yaml

from benchmarks.measure import CPU, machine
from benchmarks.training import RandomImages
from longtail.cli.options import short_options
from longtail.data.images.features import FeatureData
from longtail.methods import Probe
from longtail.models import Backbone
from longtail.recipes import load_recipe
from longtail.tasks.training_cli import TrainingCLI, configure, quiet

BACKBONE = "tf_efficientnet_lite0"


class FewerImages(RandomImages):
    """Ten thousand of them, of which the labels count: their features are there."""

    largest = 464


class Epochs(pl.Callback):
    """Seconds of the processor from the end of an epoch to that of the next one, records and checkpoint included."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_epoch_start(self, trainer: pl.Trainer, *args: Any) -> None:
        """Note the time."""
        self.ends.append(time.process_time())


def command_line(run: Path, recipe: str, epochs: int, options: list[str]) -> TrainingCLI:
    """What ``longtail fit`` builds."""
    values = load_recipe(recipe)
    del values["about"]
    weights = run.parent / "weights.pt"  # random, and frozen as any: a checkpoint holds the head alone
    torch.save(Backbone(BACKBONE).body.state_dict(), weights)
    backbone = {"name": BACKBONE, "pretrained": False, "weights": str(weights), "tuning": "none"}
    values["model"]["init_args"]["method"]["init_args"]["backbone"]["init_args"] = backbone
    own = ["--data=benchmarks.heads.FewerImages", "--trainer.accelerator=cpu", f"--trainer.max_epochs={epochs}"]
    return configure(["--config", yaml.safe_dump(values), *own, f"--run={run}", *short_options(options)])


def bare_epochs(method: Probe, cli: TrainingCLI, features: torch.Tensor, targets: torch.Tensor) -> list[float]:
    """Seconds of the processor of each epoch of the same steps in a loop."""
    optimizer = cli.model.optimizer([p for p in method.parameters() if p.requires_grad])
    size, epochs = cli.datamodule.batch_size, cli.trainer.max_epochs
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * -(-len(targets) // size))
    seconds = []
    for _ in range(epochs):
        started = time.process_time()
        for rows in torch.randperm(len(targets)).split(size):  # type: ignore[no-untyped-call]
            optimizer.zero_grad()
            method.loss(method.classifier(features[rows]), targets[rows]).backward()
            optimizer.step()
            scheduler.step()
        seconds.append(time.process_time() - started)
    return seconds


def main() -> int:
    """Print the seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", default="probe/logit_adjusted")
    parser.add_argument("--epochs", type=int, default=12)
    known, options = parser.parse_known_args()
    quiet()
    warnings.filterwarnings("ignore")
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        run.mkdir()
        cli = command_line(run, known.recipe, known.epochs, options)
        method, targets = cli.model.method, torch.from_numpy(cli.datamodule.splits.train.targets)
        features = torch.randn(len(targets), method.num_features)
        bare = bare_epochs(method, cli, features, targets)
        watch = Epochs()
        cli.trainer.callbacks.append(watch)  # type: ignore[attr-defined]  # Lightning has it
        cli.trainer.fit(cli.model, datamodule=FeatureData(cli.datamodule, {"train": features[:, None]}))
    epochs = [after - before for before, after in zip(watch.ends, watch.ends[1:], strict=False)]
    print(machine(CPU))
    for name, seconds in (("as longtail fit trains it", min(epochs)), ("in a bare loop", min(bare))):
        print(f"50 epochs of {len(targets):,} images {name}: {50 * seconds:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
