"""A head on frozen features: ``python -m benchmarks.heads [--epochs 5] [--images 10000] [--recipe probe/...]``.

The head of a probe recipe as ``longtail fit`` trains it, on random features, beside the same steps in a bare loop of
torch: features and labels of a batch by index, classifier, loss, backward, step of the optimizer. Times are of the
processor, all threads together, so that other work on the machine changes them little.
"""

import argparse
import sys
import tempfile
import warnings
from pathlib import Path

import torch
import yaml

from benchmarks.features import cost
from benchmarks.measure import machine
from longtail.counts import exponential_counts
from longtail.data import CIFAR100LT
from longtail.data.images.features import FeatureData
from longtail.data.images.memory import TensorImages
from longtail.data.splits import Split, Splits
from longtail.methods import Probe
from longtail.models import Backbone
from longtail.recipes import load_recipe
from longtail.tasks.training_cli import TrainingCLI, configure

BACKBONE = "tf_efficientnet_lite0"
CLASSES, LARGEST, SMALLEST = 100, 464, 0.01  # of the largest class, which makes 10,000 images


class RandomImages(CIFAR100LT):
    """Long-tailed labels, and no images: their features are there."""

    def read(self) -> Splits:
        targets = torch.arange(CLASSES).repeat_interleave(exponential_counts(LARGEST, CLASSES, SMALLEST))
        images = torch.zeros(1, 3, 32, 32, dtype=torch.uint8).expand(len(targets), -1, -1, -1)
        train = Split(TensorImages(images, targets), targets.numpy())
        return Splits([str(c) for c in range(CLASSES)], train, None, None)


def command_line(run: Path, recipe: str, epochs: int, options: list[str]) -> TrainingCLI:
    """What ``longtail fit`` builds."""
    values = load_recipe(recipe)
    del values["about"]
    weights = run.parent / "weights.pt"  # random, and frozen as any: a checkpoint holds the head alone
    torch.save(Backbone(BACKBONE).body.state_dict(), weights)
    backbone = {"name": BACKBONE, "pretrained": False, "weights": str(weights), "tuning": "none"}
    values["model"]["init_args"]["method"]["init_args"]["backbone"]["init_args"] = backbone
    own = ["--data=benchmarks.heads.RandomImages", "--trainer.accelerator=cpu", f"--trainer.max_epochs={epochs}"]
    return configure(["--config", yaml.safe_dump(values), *own, f"--run={run}", *options])


def bare_loop(method: Probe, cli: TrainingCLI, features: torch.Tensor, targets: torch.Tensor, epochs: int) -> None:
    """The same steps in a loop."""
    optimizer = cli.model.optimizer([p for p in method.parameters() if p.requires_grad])
    steps = epochs * -(-len(targets) // cli.datamodule.batch_size)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(epochs):
        for rows in torch.randperm(len(targets)).split(cli.datamodule.batch_size):
            optimizer.zero_grad()
            method.loss(method.classifier(features[rows]), targets[rows]).backward()
            optimizer.step()
            scheduler.step()


def main() -> int:
    """Print the seconds and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", default="probe/logit_adjusted")
    parser.add_argument("--epochs", type=int, default=5)
    known, options = parser.parse_known_args()
    warnings.filterwarnings("ignore")
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        run.mkdir()
        cli = command_line(run, known.recipe, known.epochs, options)
        method, targets = cli.model.method, torch.from_numpy(cli.datamodule.splits.train.targets)
        features = torch.randn(len(targets), method.num_features)
        data = FeatureData(cli.datamodule, {"train": features[:, None]})
        bare_loop(method, cli, features, targets, 1)  # warms up
        bare = cost(lambda: bare_loop(method, cli, features, targets, known.epochs))
        whole = cost(lambda: cli.trainer.fit(cli.model, datamodule=data))
    print(machine(torch.device("cpu")))
    print(f"{len(targets):,} images, {known.epochs} epochs: {whole:.2f} s, in a bare loop {bare:.2f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
