"""Writes the results of a run as it goes, and shows its progress."""

import contextlib
import os
import platform
import sys
import time
from collections.abc import Mapping, Sized
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import TQDMProgressBar
from tqdm import tqdm

from longtail.distributed import gather_to_first
from longtail.errors import InputError
from longtail.messages import duration
from longtail.plain import JSON
from longtail.reports.results import Results, save_results
from longtail.reports.wording import words_of
from longtail.tasks.base import Task
from longtail.tasks.overview import work

PACKAGES = ("longtail", "lightning", "timm", "numpy")


def hardware(trainer: pl.Trainer) -> dict[str, JSON]:
    """What a run runs on."""
    device = trainer.strategy.root_device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor_name()
    return {
        "device": device.type,
        "name": name,
        "processes": trainer.world_size,
        "threads": torch.get_num_threads(),
        "precision": str(trainer.precision),
    }


def processor_name() -> str:
    """The processor's model name where the system tells it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return f"{line.split(':', 1)[1].strip()}, {os.cpu_count()} cores"
    return f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"


def new_results(name: str, recipe: str | None, seed: int, config: str) -> dict[str, JSON]:
    """The results of a run that has not begun."""
    versions = {"python": platform.python_version(), "torch": torch.__version__}
    versions |= {package: version(package) for package in PACKAGES}
    return {
        "format": 1,
        "name": name,
        "recipe": recipe,
        "status": "running",
        "seed": seed,
        "data": {"name": "", "source": "", "images": {}},
        "classes": [],
        "train_counts": [],
        "thresholds": {"many": 0, "few": 0},
        "versions": versions,
        "hardware": {},
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "seconds": 0.0,
        "epochs": 0,
        "images_per_second": 0.0,
        "parameters": 0,
        "history": [],
        "best_epoch": None,
        "evaluations": [],
        "config": config,
    }


class Recorder(pl.Callback):
    """Appends an entry to the history after every epoch and writes results.json.

    Args:
        run: folder of the run.
        results: the results so far; those of a resumed run go on.
    """

    def __init__(self, run: Path, results: dict[str, JSON]) -> None:
        self.run, self.results = run, results
        self._before: dict[str, Any] = {}  # of an epoch that was stopped in the middle

    def save(self, trainer: pl.Trainer) -> None:
        """Write the results, from one process."""
        if trainer.is_global_zero:
            save_results(self.run, cast(Results, self.results))

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the data, the model and the hardware."""
        assert isinstance(pl_module, Task)
        data = pl_module.data
        self.results["data"] = {
            "name": type(data).__name__,
            "source": data.source,
            "images": {name: data.size(name) for name in data.split_names},
            "input": {**data.input, **pl_module.input},
        }
        self.results["classes"], self.results["train_counts"] = data.classes, data.group_counts
        self.results |= pl_module.record()
        self.results["hardware"] = hardware(trainer)
        self.results["epochs"] = trainer.max_epochs or 0
        self.results["parameters"] = sum(p.numel() for p in pl_module.parameters())
        self.results["status"] = "running"
        self.save(trainer)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forget what a resumed run wrote after its checkpoint, and start the clock; it may begin inside an epoch."""
        epoch = trainer.current_epoch
        self.results["history"] = [entry for entry in self.results["history"] if entry["epoch"] <= epoch]
        self._start_clock()
        assert isinstance(pl_module, Task)
        means = self._before.get("means", [])[trainer.global_rank :][:1]
        pl_module.means.begin(means[0] if means else {}, pl_module.device)
        self._start -= self._before.get("seconds", 0.0)
        self._images = self._before.get("images", 0)

    def on_save_checkpoint(  # the signature of Lightning
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Inside an epoch, keep what it has logged, and how long it took."""
        if not trainer.is_last_batch:
            assert isinstance(pl_module, Task)
            means = gather_to_first([pl_module.means.state()])
            seconds = time.perf_counter() - self._start
            checkpoint["epoch_so_far"] = {"means": means, "seconds": seconds, "images": self._images}

    def on_load_checkpoint(  # the signature of Lightning
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Take it up again."""
        self._before = checkpoint.get("epoch_so_far", {})

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock, and the means: the last step of a run may have ended an epoch before its last batch."""
        assert isinstance(pl_module, Task)
        pl_module.means.begin({}, pl_module.device)
        self._start_clock()

    def _start_clock(self) -> None:
        self._start = self._end = time.perf_counter()
        self._images = 0
        self._validated = False

    def on_train_batch_end(  # the signature of Lightning
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, out: object, batch: Mapping[str, Sized], i: int
    ) -> None:
        """Count the images of a batch."""
        self._images += len(batch["targets"]) * trainer.world_size
        self._end = time.perf_counter()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note that the epoch was validated; of one that was not, Lightning still has the figures of an earlier one."""
        self._validated = True

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Append the epoch to the history."""
        assert isinstance(pl_module, Task)
        pl_module.log_means()  # Lightning asks callbacks before the module
        figures = {name: float(value) for name, value in trainer.callback_metrics.items()}
        seconds = self._end - self._start

        def of(split: str) -> dict[str, float]:
            return {name.split("/", 1)[1]: value for name, value in figures.items() if name.startswith(f"{split}/")}

        history = self.results["history"]
        history.append(
            {
                "epoch": trainer.current_epoch + 1,
                "seconds": seconds,
                "images_per_second": self._images / max(seconds, 1e-9),
                "learning_rate": max((float(group["lr"]) for group in trainer.optimizers[0].param_groups), default=0.0),
                "train": of("train"),
                "val": of("val") if self._validated else None,
                "class_accuracy": pl_module.class_accuracy if self._validated else None,
            }
        )
        self.results["seconds"] += time.perf_counter() - self._start
        rates = sorted(entry["images_per_second"] for entry in history)
        self.results["images_per_second"] = rates[len(rates) // 2]
        self.save(trainer)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Mark the run finished."""
        self.results["status"] = "finished"
        self.save(trainer)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Mark the run interrupted, if it had begun."""
        if self.results["classes"]:
            self.results["status"] = "interrupted"
            with contextlib.suppress(InputError):  # what stopped the run is to be told
                self.save(trainer)


class Progress(TQDMProgressBar):
    """A bar for the epoch, with images per second and the time left of the run, and one line for every epoch."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(refresh_rate=1 if sys.stderr.isatty() else 0)
        self._recorder = recorder

    def on_train_epoch_start(self, trainer: pl.Trainer, *args: Any) -> None:  # Lightning's hook
        """Count epochs from 1, as everything else does."""
        super().on_train_epoch_start(trainer, *args)
        self.train_progress_bar.set_description(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}")

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:  # Lightning's type
        """Throughput and time left beside the bar."""
        recorder = self._recorder
        seconds = time.perf_counter() - recorder._start
        epoch, batches = trainer.current_epoch, max(trainer.fit_loop.epoch_loop.batch_idx + 1, 1)
        now = epoch + batches / trainer.num_training_batches
        left = seconds / work(trainer, epoch, now) * work(trainer, now, trainer.max_epochs or 1)
        return {"images/s": f"{recorder._images / max(seconds, 1e-9):,.0f}", "left": duration(left)}

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """One line for the epoch."""
        super().on_train_epoch_end(trainer, pl_module)
        if not trainer.is_global_zero:
            return
        results = self._recorder.results
        entry = results["history"][-1]
        epochs = results["epochs"]
        figures = [f"loss {entry['train'].get('loss', float('nan')):.3f}"]
        val = entry["val"] or {}
        for key, metric in words_of(cast(Results, results)).items():
            if metric.short and key in val:
                value = 100 * val[key] if metric.fraction else val[key]
                figures.append(f"{metric.short} {value:4.1f}" if value == value else f"{metric.short}   - ")
        done = entry["epoch"]
        left = results["seconds"] / work(trainer, done - len(results["history"]), done) * work(trainer, done, epochs)
        rate = f"{entry['images_per_second']:,.0f} images/s"
        epoch = f"{entry['epoch']:>{len(str(epochs))}}/{epochs}"
        tqdm.write(f"epoch {epoch}  {'  '.join(figures)}  {rate}  {duration(left)} left")
        sys.stdout.flush()
