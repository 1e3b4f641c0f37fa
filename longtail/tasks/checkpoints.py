"""Checkpoints: written whole or not at all, read without unpickling, saved on Ctrl-C."""

import math
import signal
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.plugins.io import CheckpointIO
from torch import Tensor

from longtail.checkpoint import first_not_finite, read_checkpoint
from longtail.distributed import gather_to_first
from longtail.errors import InputError
from longtail.figures import Metric
from longtail.tasks.divergence import diverged


class TrainingStopped(Exception):
    """Training was interrupted and its state saved."""


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
            torch.save(checkpoint, part)
            part.replace(target)
        except (OSError, RuntimeError) as error:
            part.unlink(missing_ok=True)
            previous = "the previous one is kept" if target.exists() else "there is none yet"
            reason = str(error).splitlines()[0]
            raise InputError(f"cannot write the checkpoint {target} ({reason}); {previous}: free some space") from error

    def load_checkpoint(
        self, path: Any, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:  # the signature of Lightning
        """Read a checkpoint; see ``read_checkpoint``."""
        return read_checkpoint(Path(path))

    def remove_checkpoint(self, path: Any) -> None:  # Lightning's signature
        """Remove a checkpoint file."""
        Path(path).unlink(missing_ok=True)


class RunCheckpoints(pl.Callback):
    """Keeps ``last.ckpt``, and ``best.ckpt`` by a metric on the validation split, in the run's folder.

    The best score, its epoch and the states of the random generators of all processes are part of the checkpoint. The
    first Ctrl-C (or SIGTERM) saves after the running step, or after the validation that follows it, and stops; a second
    one stops at once.

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
        self._signal: int | None = None
        self._previous: dict[int, Any] = {}

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
        """Restore the random state, as the last thing before the first step; listen for signals."""
        if self._random:
            state = self._random[trainer.global_rank % len(self._random)]
            torch.set_rng_state(state["cpu"].cpu())
            if torch.cuda.is_available() and "cuda" in state:
                torch.cuda.set_rng_state(state["cuda"].cpu())
            self._random = []
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._signal is not None:
            raise KeyboardInterrupt
        self._signal = number

    def _restore_signals(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        *args: Any,  # outputs, batch, number
    ) -> None:
        """Save and stop if a signal came; after the last batch the end of the epoch does it, validation included."""
        if self._signal is not None and not trainer.is_last_batch:
            self._save(trainer, pl_module, self.last)
            raise TrainingStopped

    def _save(self, trainer: pl.Trainer, pl_module: pl.LightningModule, path: Path) -> None:
        """Save a checkpoint, unless the weights of a process are no longer finite; then raise InputError."""
        name = first_not_finite(pl_module)
        if trainer.strategy.reduce_boolean_decision(name is not None, all=False):
            what = f"after step {trainer.global_step} {name or 'a weight'} is NaN or infinite"
            raise diverged(trainer, what, self.last)
        trainer.save_checkpoint(path)

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
        if self._signal is not None:
            raise TrainingStopped

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop listening for signals."""
        self._restore_signals()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Stop listening for signals."""
        self._restore_signals()
