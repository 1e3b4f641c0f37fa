"""Processor seconds, memory and size of the record and the pages of runs with many classes."""

import argparse
import contextlib
import io
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import numpy as np

from benchmarks.measure import CPU, alone, save, table
from longtail.cli import runs
from longtail.reports.grains import IMAGES
from longtail.reports.results import FILE_NAME, Results, load_results, save_results

RUNS = ("one", "other")


def results_of(classes: int, epochs: int, seed: int) -> Results:
    """The results of a run that never happened: validated in every epoch, and measured on validation and test by its
    last checkpoint and its best."""
    random = np.random.default_rng(seed)
    counts = [max(1, round(1000 * 0.001 ** (c / classes))) for c in range(classes)]
    groups = dict.fromkeys(("top1", "top5", "balanced_accuracy", "many", "medium", "few"), 0.5)

    def accuracy() -> list[float]:  # shares of 30 images
        return cast(list[float], (random.integers(0, 31, classes) / 30).tolist())

    history = [
        {
            "epoch": epoch + 1,
            "seconds": 3000.0,
            "images_per_second": 400.0,
            "learning_rate": 0.1,
            "train": {"loss": 1 / (epoch + 1), "top1": 0.5},
            "val": groups,
            "class_accuracy": accuracy(),
        }
        for epoch in range(epochs)
    ]
    evaluations = [
        {
            "split": split,
            "checkpoint": checkpoint,
            "epoch": epochs,
            "images": 30 * classes,
            "metrics": groups,
            "per_class": {"images": [30] * classes, "accuracy": accuracy(), "precision": accuracy()},
            "confusions": [{"true": c, "predicted": c + 1, "images": 9} for c in range(100)],
            "mistakes": [],
        }
        for split in ("val", "test")
        for checkpoint in ("last", "best")
    ]
    results: dict[str, Any] = {
        "format": 1,
        "task": "classification",
        "predictor": "longtail.inference.classification.Classifier",
        "grain": asdict(IMAGES),
        "name": RUNS[seed],
        "recipe": RUNS[seed],
        "status": "finished",
        "seed": seed,
        "data": {
            "name": "Folder",
            "source": "photos",
            "images": {"train": sum(counts), "val": 9, "test": 9},
            "input": {},
        },
        "classes": [f"n{c:08}" for c in range(classes)],
        "train_counts": counts,
        "thresholds": {"many": 100, "few": 20},
        "versions": {"python": "3.11"},
        "hardware": {"device": "cpu", "name": "CPU", "processes": 1, "threads": 2, "precision": "32-true"},
        "started": "2026-01-01T00:00:00+00:00",
        "seconds": 3000.0 * epochs,
        "epochs": epochs,
        "images_per_second": 400.0,
        "parameters": 30_000_000,
        "history": history,
        "best_epoch": epochs,
        "evaluations": evaluations,
        "config": f"seed: {seed}\n",
    }
    return cast(Results, results)


def write(folder: Path, classes: int, epochs: int) -> None:
    """Two runs."""
    for seed, run in enumerate(RUNS):
        (folder / run).mkdir()
        save_results(folder / run, results_of(classes, epochs, seed))


def steps(folder: Path) -> Iterator[tuple[str, Callable[[], object], Path]]:
    """What is measured, and the file that it reads or writes."""
    one, other = (folder / name for name in RUNS)
    report, page = folder / "report.html", folder / "compare.html"
    yield "results.json, read", lambda: load_results(one), one / FILE_NAME
    yield "report", lambda: runs.report([str(one), "--output", str(report)]), report
    yield "compare", lambda: runs.compare([str(one), str(other), "--output", str(page)]), page
    results = load_results(one)  # last, as its memory would be in the processes of the others
    yield "results.json, written", lambda: save_results(one, results), one / FILE_NAME


def quietly(run: Callable[[], object]) -> None:
    """Run without a word, and keep nothing of it."""
    with contextlib.redirect_stdout(io.StringIO()):
        run()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--classes", type=int, default=20_000)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    options = parser.parse_args()
    figures = {}
    with tempfile.TemporaryDirectory() as name:
        alone(write, Path(name), options.classes, options.epochs)
        for step, run, file in steps(Path(name)):
            cost = alone(quietly, run)
            size = file.stat().st_size / 1e6
            figures[step] = {"seconds": cost.cpu_seconds, "MB": size, "GiB": cost.peak / 2**30}
    save(options.json, CPU, classes=options.classes, epochs=options.epochs, **figures)
    rows = [[step, *(f"{value:,.1f}" for value in its.values())] for step, its in figures.items()]
    print(table([f"{options.classes:,} classes, {options.epochs:,} epochs", "s", "MB", "GiB"], rows))


if __name__ == "__main__":
    main()
