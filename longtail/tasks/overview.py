"""The first minute of a run: what it is trained on and how, and after some steps how long it will take."""

import sys
import time
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
from tqdm import tqdm

from longtail.messages import duration
from longtail.reports.terminal import said
from longtail.tasks.base import Task

HOUR = 3600.0
ENOUGH = ((10, 3.0), (2, 30.0))  # so many steps in so many seconds: an estimate waits for one of the two


class Overview(pl.Callback):
    """Says what a run is before its first step, and after some steps how long it will take.

    Where that is more than an hour on a CPU, the options that make it shorter are named.

    Args:
        clock: gives the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._last: float | None = None  # end of the step before, in the same epoch
        self._spans: list[float] = []
        self._is_done = False

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say how it is trained; of what data has been said before."""
        assert isinstance(pl_module, Task)
        if trainer.is_global_zero:
            sys.stdout.write(said(pl_module.summary()))
            sys.stdout.flush()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The first step of an epoch does not count: workers start, and the network may be compiled."""
        self._last = None

    def on_train_batch_end(  # Lightning's hook, whatever the batch
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, out: object, batch: object, i: int
    ) -> None:
        """Measure a step, and say once how long the run will take."""
        now = self._clock()
        if self._last is not None:
            self._spans.append(now - self._last)
        self._last = now
        seconds, steps = sum(self._spans), len(self._spans)
        if self._is_done or not any(steps >= least and seconds >= span for least, span in ENOUGH):
            return
        self._is_done = True
        if trainer.is_global_zero and (left := _batches_left(trainer, i)) is not None:
            assert isinstance(pl_module, Task)
            tqdm.write(_expected(pl_module, left * seconds / steps))


def _batches_left(trainer: pl.Trainer, i: int) -> float | None:
    """Batches of the run after batch ``i`` of the epoch; None where nobody knows."""
    per_epoch = float(trainer.num_training_batches)
    done = trainer.current_epoch * per_epoch + i + 1
    epochs = trainer.max_epochs or -1
    ends = [epochs * per_epoch] if epochs > 0 else []
    ends += [float(trainer.max_steps * trainer.accumulate_grad_batches)] if trainer.max_steps > 0 else []
    return min(ends) - done if ends else None


def _expected(task: Task[Any], seconds: float) -> str:
    """How long a run takes, and on a CPU what makes a long one shorter."""
    text = f"the training will take about {duration(seconds)}, its validations not counted"
    if seconds <= HOUR or task.device.type != "cpu":
        return text
    return f"{text}; it gets shorter by {', '.join(task.time_options)}, or on a GPU"
