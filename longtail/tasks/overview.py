"""The first minute of a run: what it is trained on and how, and after some steps how long it will take."""

import math
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
        if trainer.is_global_zero and (epochs := _epochs(trainer)) is not None:
            assert isinstance(pl_module, Task)
            done = trainer.current_epoch + (i + 1) / trainer.num_training_batches
            before = max(0.0, done - steps / trainer.num_training_batches)
            seconds_each = seconds / work(trainer, before, done)
            tqdm.write(_expected(pl_module, seconds_each * work(trainer, done, epochs)))


def _epochs(trainer: pl.Trainer) -> float | None:
    """Epochs of the run, the last perhaps in part; None where nobody knows."""
    epochs, steps = trainer.max_epochs or -1, trainer.max_steps * trainer.accumulate_grad_batches
    ends = [float(epochs)] if epochs > 0 else []
    ends += [steps / trainer.num_training_batches] if steps > 0 else []
    return min(ends, default=None)


def work(trainer: pl.Trainer, start: float, end: float) -> float:
    """What the part of a run between two points costs, in epochs of its dearest steps; the points are in epochs."""
    task = trainer.lightning_module
    assert isinstance(task, Task)
    spans = ((epoch, min(end, epoch + 1) - max(start, epoch)) for epoch in range(int(start), math.ceil(end)))
    return sum(span * task.data.step_cost(epoch, trainer.max_epochs or 1) for epoch, span in spans)


def _expected(task: Task[Any], seconds: float) -> str:
    """How long a run takes, and on a CPU what makes a long one shorter."""
    text = f"the training will take about {duration(seconds)}, its validations not counted"
    if seconds <= HOUR or task.device.type != "cpu":
        return text
    return f"{text}; it gets shorter by {', '.join(task.time_options)}, or on a GPU"
