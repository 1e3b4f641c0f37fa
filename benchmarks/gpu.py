"""What only an accelerator can tell, unattended: ``python -m benchmarks.gpu --data DIR [--out DIR]``.

1. Training steps of every CIFAR-100-LT recipe that needs neither a teacher nor pretrained weights, eager and compiled:
   time, peak memory, and how often a step makes the host wait for the device.
2. The losses (``benchmarks.losses``).
3. BCL, GML and CDB-W at their published length, side by side as they share the device (``benchmarks.reproduce``).

Every figure is written to ``OUT/gpu.json`` at once, the runs to ``OUT/results``. Given again, it goes on where it was
cut. ``--tiny`` tries all of it at a small size, on a CPU as well.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch

from benchmarks.measure import MIB, machine, synchronise, table
from benchmarks.training import RandomImages, command_line
from longtail.data.splits import Splits
from longtail.recipes import load_recipe, recipe_names
from longtail.writing import write_atomically

RUNS = ("bcl", "gml", "cdb_w")
WARM_UP = 5  # steps before the timed ones; compiling is among them
WAITS = "called a synchronizing CUDA operation"  # how torch warns of one


class Held(RandomImages):
    """Random images with some held out, for the methods that go by difficulty."""

    def read(self) -> Splits:
        splits = super().read()
        return Splits(splits.classes, splits.train, splits.train, None)


class Watch(pl.Callback):
    """Times the steps of a run after some of warm-up, and counts on how many occasions one waits for the device."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.seconds = 0.0
        self.waits: list[str] = []
        self._start = 0.0

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any) -> None:
        """Start the clock, read it, or listen for waits."""
        device, step = trainer.strategy.root_device, trainer.global_step
        if step == WARM_UP:
            synchronise(device)
            if device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(device)
            self._start = time.perf_counter()
        elif step == WARM_UP + self.steps:
            synchronise(device)
            self.seconds = (time.perf_counter() - self._start) / self.steps
            if device.type == "cuda":
                torch.cuda.set_sync_debug_mode("warn")


def steps_of(recipe: str, compiled: bool, device: torch.device, steps: int) -> dict[str, Any]:
    """Milliseconds and peak memory of a training step, and where it waits."""
    watch, listened = Watch(steps), 5
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        options = {"model.compile": str(compiled).lower(), "trainer.max_steps": str(WARM_UP + steps + listened)}
        options |= {
            "data": "benchmarks.gpu.Held",
            "trainer.limit_val_batches": "0",
            "trainer.check_val_every_n_epoch": "1000000",
            "model.resizing": "null",  # a step with whole images
        }
        cli = command_line(Path(folder) / "run", device, 1000000, 1000000, f"cifar100_lt/{recipe}", **options)
        cli.trainer.callbacks = [
            callback for callback in cli.trainer.callbacks if callback not in (cli.recorder, cli.checkpoints)
        ]
        cli.trainer.callbacks.append(watch)
        try:
            cli.trainer.fit(cli.model, datamodule=cli.datamodule)
        finally:
            if device.type == "cuda":
                torch.cuda.set_sync_debug_mode("default")
    where = [f"{Path(warning.filename).name}:{warning.lineno}" for warning in caught if WAITS in str(warning.message)]
    memory = torch.cuda.max_memory_allocated(device) / MIB if device.type == "cuda" else None
    return {
        "milliseconds": watch.seconds * 1e3,
        "peak_mib": memory,
        "waits_a_step": len(where) / listened,
        "waits": sorted(set(where)),
    }


def parts(options: argparse.Namespace, device: torch.device) -> Iterator[tuple[str, Any]]:
    """What is to be measured, by name, and how; a figure that is there is not measured again."""
    prefix, steps = "cifar100_lt/", 2 if options.tiny else 50
    recipes = [name.removeprefix(prefix) for name in recipe_names() if name.startswith(prefix)]
    recipes = [name for name in recipes if not _wants_weights(load_recipe(prefix + name))]
    recipes = recipes[: 2 if options.tiny else None]
    for compiled in (False, True):
        for recipe in recipes:
            name = f"{recipe} {'compiled' if compiled else 'eager'}"
            yield name, lambda recipe=recipe, compiled=compiled: steps_of(recipe, compiled, device, steps)
    yield "losses", lambda: losses(options, device)


def _wants_weights(recipe: dict[str, Any]) -> bool:
    """Whether a recipe starts from weights or has a teacher, which a machine without a network cannot get."""
    method = recipe["model"]["init_args"]["method"]["init_args"]
    return "teacher" in recipe or bool(method["backbone"]["init_args"].get("pretrained"))


def losses(options: argparse.Namespace, device: torch.device) -> Any:
    """The table of ``benchmarks.losses``; not tried at a tiny size."""
    if options.tiny:
        return None
    file = options.out / "losses.json"
    command = [sys.executable, "-m", "benchmarks.losses", "--device", str(device), "--compiled", "--json", str(file)]
    subprocess.run(command, check=True)
    return json.loads(file.read_text())


def trained(options: argparse.Namespace, device: torch.device) -> dict[str, int]:
    """Run the published lengths side by side; return the exit code of each."""
    short = ["--epochs", "1"] if options.tiny else []
    words = ["--columns", "0.01", "--seeds", "1", "--data", str(options.data), "--device", str(device), *short]
    words += ["--results", str(options.out / "results")]
    few = ["--", "--trainer.limit_train_batches=2", "--trainer.limit_test_batches=2"] if options.tiny else []
    command = [sys.executable, "-m", "benchmarks.reproduce", "cifar100_lt", *words]
    processes = {
        row: subprocess.Popen([*command, "--only", row, "--runs", str(options.out / f"runs-{row}"), *few])
        for row in RUNS
    }
    return {row: process.wait() for row, process in processes.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of CIFAR-100; without it no run is trained")
    parser.add_argument("--out", type=Path, default=Path("runs/gpu"), help="folder for gpu.json and the runs")
    parser.add_argument("--device", default="cuda", help="cuda, or cpu to try it")
    parser.add_argument("--tiny", action="store_true", help="a few steps of everything")
    options = parser.parse_args()
    device = torch.device(options.device)
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / "gpu.json"
    figures = json.loads(file.read_text()) if file.is_file() else {"machine": machine(device)}
    for name, measure in parts(options, device):
        if name not in figures:
            figures[name] = measure()
            write_atomically(file, json.dumps(figures, indent=1) + "\n")
    if options.data is not None:
        figures["exit codes"] = trained(options, device)
        write_atomically(file, json.dumps(figures, indent=1) + "\n")
    rows = [
        [
            name,
            f"{step['milliseconds']:.2f}",
            _mib(step["peak_mib"]),
            f"{step['waits_a_step']:g}",
            next(iter(step["waits"]), "-"),
        ]
        for name, step in figures.items()
        if isinstance(step, dict) and "milliseconds" in step
    ]
    print(figures["machine"])
    print(table(["Recipe", "ms a step", "MiB at most", "Waits a step", "First"], rows))
    print("runs:", figures.get("exit codes", "not asked for"))
    return int(any(figures.get("exit codes", {}).values()))


def _mib(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


if __name__ == "__main__":
    sys.exit(main())
