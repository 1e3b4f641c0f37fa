"""Checkpoints: written whole or not at all, read without unpickling, saved before a run stops."""

import contextlib
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.plugins.io import CheckpointIO
from torch import Tensor

from longtail.checkpoint import first_not_finite, read_checkpoint
from longtail.distributed import gather_to_first
from longtail.errors import InputError, causes
from longtail.figures import Metric
from longtail.files.threads import NoAnswer
from longtail.messages import first_line
from longtail.tasks.divergence import diverged
from longtail.tasks.stops import Stops, interval, loaders


class TrainingStopped(Exception):
    """Training was stopped and its state saved; the message says why, and is empty where it was asked for."""


class AtomicCheckpointIO(CheckpointIO):
    """Writes beside the target and renames, so that a full disk or a crash leaves the previous checkpoint whole."""

    def save_checkpoint(  # the signature of Lightning
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint.

        Raises:
            InputError: if it cannot be written; the previous file is kept.
        """
        target = Path(path)
        part = target.with_name(target.name + ".part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:  # closed before it is removed, which gives its space back
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(target)
        except (OSError, RuntimeError) as error:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            previous = "the previous one is kept" if target.exists() else "there is none yet"
            raise InputError(
                f"cannot write the checkpoint {target} ({_reason(error)}); {previous}: free some space"
            ) from error

    def load_checkpoint(
        self, path: Any, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:  # the signature of Lightning
        """Read a checkpoint; see ``read_checkpoint``."""
        return read_checkpoint(Path(path))

    def remove_checkpoint(self, path: Any) -> None:  # Lightning's signature
        """Remove a checkpoint file."""
        Path(path).unlink(missing_ok=True)


def _reason(error: Exception) -> str:
    """What the system refused, which torch reports as an error of its own in the place of the system's."""
    for cause in causes(error):
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
    return first_line(error)


class RunCheckpoints(pl.Callback):
    """Keeps ``last.ckpt``, and ``best.ckpt`` by a metric on the validation split, in the run's folder.

    The best score, its epoch and the states of the random generators of all processes are part of the checkpoint. The
    first Ctrl-C (or SIGTERM) saves after the running step, or after the validation that follows it, and stops; a second
    one stops at once. A worker process that dies stops the run in the same way. With several processes all of them stop
    at the same step, whichever was asked.

    Weights that are not finite are never written.

    Args:
        folder: where the files go.
        monitor: the metric.
        metrics: those of the task, by name; they say which way is better.

    Raises:
        InputError: for an unknown metric, or one of which nobody can say which way is better.
    """

    def __init__(self, folder: Path, monitor: str, metrics: Mapping[str, Metric]) -> None:
        names = [name for name, metric in metrics.items() if metric.better]
        if monitor not in names:
            why = "which way is better is not known of" if monitor in metrics else "unknown metric"
            raise InputError(f'{why} "{monitor}": choose from {", ".join(names)}')
        self.folder = folder
        self.monitor = f"val/{monitor}"
        self.sign = metrics[monitor].better
        self.best_score: float | None = None
        self.best_epoch: int | None = None
        self._random: list[dict[str, Tensor]] = []
        self.stops = Stops()
        self._saved: int | None = None  # the step that the last checkpoint was taken after

    @property
    def last(self) -> Path:
        """The newest checkpoint."""
        return self.folder / "last.ckpt"

    @property
    def best(self) -> Path:
        """The checkpoint best on validation."""
        return self.folder / "best.ckpt"

    def state_dict(self) -> dict[str, Any]:  # Lightning's signature
        """The best score and epoch, and the random states of all processes."""
        states = {"cpu": torch.get_rng_state()}
        if torch.cuda.is_available():
            states["cuda"] = torch.cuda.get_rng_state()
        # when a checkpoint is saved, every process makes it and the first one writes
        random = gather_to_first([states])
        return {"best_score": self.best_score, "best_epoch": self.best_epoch, "random": random}

    def load_state_dict(self, state: dict[str, Any]) -> None:  # Lightning's signature
        """Restore what ``state_dict`` holds."""
        self.best_score, self.best_epoch = state["best_score"], state["best_epoch"]
        self._random = state["random"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Restore the random state, as the last thing before the first step; from here on a stop is saved."""
        if self._random:
            state = self._random[trainer.global_rank % len(self._random)]
            torch.set_rng_state(state["cpu"].cpu())
            if torch.cuda.is_available() and "cuda" in state:
                torch.cuda.set_rng_state(state["cuda"].cpu())
            self._random = []
        self._saved = trainer.global_step
        self.stops.training = True
        self.on_validation_start(trainer, pl_module)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Listen for signals, as Lightning has begun to; let the loaders go on without their workers in training, as
        it is stopped soon after."""
        self.stops.listen()
        for loader in loaders(trainer):
            loader.goes_on = self.stops.training

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Listen for signals, as Lightning has begun to."""
        self.stops.listen()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
    ) -> None:
        """Save and stop if the run has to; after the last batch the end of the epoch does it, validation included."""
        if trainer.is_last_batch or (batch_idx + 1) % interval(trainer):
            return
        reason = self.stops.reason(trainer)
        if reason is not None:
            self._save(trainer, pl_module, self.last)
            raise TrainingStopped(reason)

    def _save(self, trainer: pl.Trainer, pl_module: pl.LightningModule, path: Path) -> None:
        """Save a checkpoint, unless the weights of a process are no longer finite; then raise InputError."""
        name = first_not_finite(pl_module)
        if trainer.strategy.reduce_boolean_decision(name is not None, all=False):
            what = f"after step {trainer.global_step} {name or 'a weight'} is NaN or infinite"
            raise diverged(trainer, what, self.last)
        trainer.save_checkpoint(path)
        self._saved = trainer.global_step

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save, the best first so that the last one knows of it."""
        score = trainer.callback_metrics.get(self.monitor)
        signed = math.nan if score is None else self.sign * float(score)  # nan is above nothing
        is_best = signed > (-math.inf if self.best_score is None else self.best_score)
        if is_best:
            self.best_score, self.best_epoch = signed, trainer.current_epoch + 1
        self._save(trainer, pl_module, self.last)
        if is_best:
            trainer.save_checkpoint(self.best)
        reason = self.stops.reason(trainer)
        if reason is not None:
            raise TrainingStopped(reason)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """From here on a stop ends the run at once: all is saved."""
        self.stops.training = False

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Save the steps since the last checkpoint if it was the next batch that did not come."""
        self.stops.training = False
        between_steps = trainer.training and trainer.world_size == 1 and self._saved not in (None, trainer.global_step)
        if isinstance(exception, NoAnswer) and between_steps:
            self._save(trainer, pl_module, self.last)
