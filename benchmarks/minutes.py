"""Minutes of one core that whole CIFAR-100-LT runs take: ``python -m benchmarks.minutes [--rows ROW ...]``.

Some training steps of the rows of the table, as ``longtail fit`` runs them, are timed in turn on the processor's clock,
at every size that their images grow through, and counted up to the steps of the whole run at factor 0.01, all training
images. Validation, the test and the ends of epochs are not counted.
"""

import argparse
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import lightning.pytorch as pl
import torch

from benchmarks.measure import CPU, save, table
from benchmarks.tables import CIFAR100_LT, Row
from benchmarks.training import command_line
from longtail.augment import ProgressiveResizing
from longtail.tasks.training_cli import TrainingCLI

ROWS = {row.key: row for row in CIFAR100_LT.rows if not row.teachers}  # what others have to teach first cannot begin
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


class Step(NamedTuple):
    """A training step: its least processor seconds, its images, and how many such are in an epoch."""

    seconds: float
    images: int
    in_epoch: int


def build(row: Row, run: Path, steps: int) -> TrainingCLI:
    """What ``longtail fit`` builds for a row, on random images."""
    options = {name.removeprefix("--"): value for name, value in row.options.items()}
    options |= {"trainer.max_steps": str(steps), "trainer.limit_val_batches": "0"}
    return command_line(run, CPU, 1, steps, f"{CIFAR100_LT.name}/{row.recipe}", **options)


def epochs_by_size(row: Row) -> dict[float, int]:
    """Epochs of a run in which the images have each part of their side."""
    with tempfile.TemporaryDirectory() as folder:
        resizing = build(row, Path(folder) / "run", WARM_UP).model.resizing or ProgressiveResizing((), ())
    return dict(Counter(resizing.size_in(epoch, row.epochs) for epoch in range(row.epochs)))


def step(row: Row, size: float, steps: int) -> Step:
    """Measure a training step with images of a part of their side."""
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        cli = build(row, Path(folder) / "run", WARM_UP + steps)
        cli.model.resizing = ProgressiveResizing((size,), (1.0,))
        cli.trainer.callbacks = [clock]
        cli.trainer.fit(cli.model, datamodule=cli.datamodule)
    return Step(min(clock.seconds), cli.datamodule.batch_size, len(cli.datamodule.batches("train")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    help = "of the table; bcl comes with them"
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=["ce_first_stage"], help=help)
    parser.add_argument("--steps", type=int, default=6, help="timed steps of a turn")
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", module="lightning.*")
    torch.set_num_threads(1)
    parts = {name: epochs_by_size(ROWS[name]) for name in dict.fromkeys(["bcl", *options.rows])}
    least: dict[tuple[str, float], Step] = {}
    for _ in range(options.turns):
        for name, epochs in parts.items():
            for size in epochs:
                measured = step(ROWS[name], size, options.steps)
                least[name, size] = min(least.get((name, size), measured), measured)
    result = {
        name: {
            "epochs": epochs,
            "images_per_second": {size: least[name, size].images / least[name, size].seconds for size in epochs},
            "minutes": sum(least[name, size].seconds * least[name, size].in_epoch * n for size, n in epochs.items())
            / 60,
        }
        for name, epochs in parts.items()
    }
    save(options.json, CPU, minutes=result)
    heads = ["Row", "Part of the side", "Epochs", "Images per second", "Minutes of the run", "Of BCL's"]
    rows = []
    for name, figures in result.items():
        minutes, whole = figures["minutes"], result["bcl"]["minutes"]
        for size, rate in figures["images_per_second"].items():
            part = [name, f"{size:g}", str(figures["epochs"][size]), f"{rate:.0f}"]
            rows.append([*part, f"{minutes:.0f}", f"{minutes / whole:.2f}"])
    print(table(heads, rows))


if __name__ == "__main__":
    main()
