"""Minutes of one core that whole CIFAR-100-LT runs take: ``python -m benchmarks.minutes [RECIPE ...] [--json FILE]``.

Some training steps of every recipe, as ``longtail fit`` runs them, are timed in turn on the processor's clock, at every
size that its images grow through, and counted up to the steps of the whole run at factor 0.01, all training images.
Validation, the test and the ends of epochs are not counted.
"""

import argparse
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import lightning.pytorch as pl
import torch

from benchmarks.measure import CPU, save, table
from benchmarks.training import command_line
from longtail.augment import ProgressiveResizing
from longtail.recipes import load_recipe

RECIPES = ("bcl", "gml", "logit_adjusted", "cdb_w")
WARM_UP = 2  # steps before the timed ones


class Clock(pl.Callback):
    """Processor seconds of the steps of a run."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._last = 0.0

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        """Note the time of a step, from the fetching of its batch on."""
        now = time.process_time()
        if trainer.global_step > WARM_UP:
            self.seconds.append(now - self._last)
        self._last = time.process_time()


def sizes_of(recipe: str) -> tuple[int, dict[float, int]]:
    """Epochs of a recipe, and how many of them each part of the side of the images is shown in."""
    content = load_recipe(f"cifar100_lt/{recipe}")
    epochs, resizing = content["trainer"]["max_epochs"], content["model"]["init_args"].get("resizing")
    if resizing is None:
        return epochs, {1.0: epochs}
    growing = ProgressiveResizing(**resizing.get("init_args", {}) if isinstance(resizing, dict) else {})
    sizes = [growing.size_in(epoch, epochs) for epoch in range(epochs)]
    return epochs, {size: sizes.count(size) for size in sorted(set(sizes))}


class Step(NamedTuple):
    """A training step: its least processor seconds, its images, and how many such are in an epoch."""

    seconds: float
    images: int
    in_epoch: int


def step(recipe: str, size: float, steps: int) -> Step:
    """Measure a training step with images of a part of their side."""
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        options = {"trainer.max_steps": str(WARM_UP + steps), "trainer.limit_val_batches": "0"}
        if size < 1:
            growing = {"sizes": f"[{size}]", "milestones": "[1.0]"}
            options["model.resizing"] = "longtail.augment.ProgressiveResizing"
            options |= {f"model.resizing.{name}": value for name, value in growing.items()}
        else:
            options["model.resizing"] = "null"
        cli = command_line(Path(folder) / "run", CPU, 1, WARM_UP + steps, f"cifar100_lt/{recipe}", **options)
        cli.trainer.callbacks = [clock]
        cli.trainer.fit(cli.model, datamodule=cli.datamodule)
    return Step(min(clock.seconds), cli.datamodule.batch_size, len(cli.datamodule.batches("train")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", default=list(RECIPES), help="of cifar100_lt; bcl comes with them")
    parser.add_argument("--steps", type=int, default=6, help="timed steps of a turn")
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", module="lightning.*")
    torch.set_num_threads(1)
    recipes = list(dict.fromkeys(["bcl", *options.recipes]))
    least: dict[tuple[str, float], Step] = {}
    for _ in range(options.turns):
        for recipe in recipes:
            for size in sizes_of(recipe)[1]:
                figures = step(recipe, size, options.steps)
                least[recipe, size] = min(least.get((recipe, size), figures), figures)
    result = {}
    for recipe in recipes:
        epochs, shares = sizes_of(recipe)
        steps = {size: least[recipe, size] for size in shares}
        minutes = sum(steps[size].seconds * steps[size].in_epoch * count for size, count in shares.items()) / 60
        rates = {str(size): one.images / one.seconds for size, one in steps.items()}
        result[recipe] = {"epochs": epochs, "minutes": minutes, "images_per_second": rates}
    save(options.json, CPU, minutes=result)
    bcl = result["bcl"]["minutes"]
    rows = [
        [
            recipe,
            str(row["epochs"]),
            ", ".join(f"{rate:.0f}" for rate in row["images_per_second"].values()),
            f"{row['minutes']:.0f}",
            f"{row['minutes'] / bcl:.2f}",
        ]
        for recipe, row in result.items()
    ]
    print(table(["Recipe", "Epochs", "Images per second, by size", "Minutes", "Of BCL's"], rows))


if __name__ == "__main__":
    main()
