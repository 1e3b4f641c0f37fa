"""Results of runs that never happened."""

import base64
import io
from pathlib import Path

import numpy as np
from PIL import Image

from longtail.reports.results import Epoch, Evaluation, Metrics, Mistake, Results, Thresholds, group_of, save_results

HOSTILE = (
    "<script>alert(1)</script>",
    'a"b&c\' onload="x',
    "$\\frac{1}$ & $",
    "[bold]markup[/bold]",
    "two\nlines\x1b[31m",
    "猫 और 🐈",
    "lone \ud800 surrogate",
    "a very long name of a class that goes on and on without end",
)


def picture(generator: np.random.Generator) -> str:
    """Return a small picture as a data URI."""
    pixels = generator.integers(0, 255, (4, 4, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).resize((64, 64), Image.Resampling.BICUBIC).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def make_results(
    classes: int = 10, *, seed: int = 0, name: str = "bcl", gain: float = 0.0, hostile: bool = False, epochs: int = 40
) -> Results:
    """Return the results of a run on ``classes`` classes; the last class has no test image."""
    generator = np.random.default_rng(seed)
    counts = [round(500 * 0.01 ** (index / max(1, classes - 1))) for index in range(classes)]
    names = [f"class {index}" for index in range(classes)]
    if hostile:
        names[: len(HOSTILE)] = HOSTILE
    thresholds: Thresholds = {"many": 100, "few": 20}
    return {
        "format": 1,
        "name": name,
        "recipe": "bcl",
        "status": "finished",
        "seed": seed,
        "data": {"name": "Folder", "source": "photos/", "images": {"train": sum(counts), "val": 200, "test": 1000}},
        "classes": names,
        "train_counts": counts,
        "thresholds": thresholds,
        "versions": {"longtail": "0.1.0", "python": "3.11", "torch": "2.6"},
        "hardware": {"device": "cpu", "name": "Some CPU", "processes": 1, "threads": 2, "precision": "32-true"},
        "started": "2026-11-21T04:00:00+00:00",
        "seconds": 812.3,
        "epochs": epochs,
        "images_per_second": 512.0,
        "parameters": 464154,
        "history": [_epoch(number, generator, classes) for number in range(1, epochs + 1)],
        "best_epoch": 37,
        "evaluations": [
            _evaluation(counts, thresholds, checkpoint, gain, generator) for checkpoint in ("best", "last")
        ],
        "config": f"seed: {seed}\nmodel:\n  name: resnet32\nrun: runs/{name}\nnote: a   < b & c\n",
    }


def _epoch(number: int, generator: np.random.Generator, classes: int) -> Epoch:
    level = 1 - np.exp(-number / 12)
    noise = generator.normal(0, 0.01, 5)
    loss, values = 3 - 2 * level + noise[0], (level * np.array([0.7, 0.5, 0.25, 0.5]) + noise[1:]).clip(0)
    many, medium, few, balanced = (float(each) for each in values)
    val: Metrics = {"balanced_accuracy": balanced, "many": many, "medium": medium, "few": few, "top1": None}
    return {
        "epoch": number,
        "seconds": 20.1,
        "images_per_second": 510.0,
        "learning_rate": 0.1,
        "train": {"loss": float(loss), "logit_adjusted": float(loss * 0.6), "contrastive": float(loss * 0.4)},
        "val": val if number % 2 == 0 else None,
        "class_accuracy": _class_accuracy(number, classes) if number % 2 == 0 else None,
    }


def _class_accuracy(number: int, classes: int) -> list[float | None]:
    """Return accuracies that fall towards the rare classes; the last class has no validation image."""
    known = [round(number / 40 * (1 - index / classes), 4) for index in range(classes - 1)]
    return [*known, None]


def _evaluation(
    counts: list[int], thresholds: Thresholds, checkpoint: str, gain: float, generator: np.random.Generator
) -> Evaluation:
    classes = len(counts)
    trend = 0.15 + 0.6 * np.log(np.array(counts) / 5) / np.log(100) + gain
    rights = (trend + generator.normal(0, 0.12, classes)).clip(0, 1).round(2)
    accuracy: list[float | None] = [float(each) for each in rights]
    accuracy[-1] = None if classes > 1 else accuracy[-1]
    groups = [group_of(count, thresholds) for count in counts]
    means: Metrics = {}
    for group in ("many", "medium", "few"):
        chosen = [each for each, of in zip(accuracy, groups, strict=True) if of == group and each is not None]
        means[group] = float(np.mean(chosen)) if chosen else None
    known = [each for each in accuracy if each is not None]
    pairs = [(index, (index + 1) % classes) for index in range(classes - 1)]
    mistakes: list[Mistake] = [
        {"true": true, "predicted": index, "confidence": 0.9, "image": picture(generator)}
        for true in range(max(0, classes - 7), classes - 1)
        for index in range(min(4, classes))
    ]
    return {
        "split": "test",
        "checkpoint": checkpoint,
        "epoch": 40 if checkpoint == "last" else 37,
        "images": 1000,
        "metrics": {
            "top1": float(np.mean(known)) + 0.01,
            "top5": 0.9,
            "balanced_accuracy": float(np.mean(known)),
            **means,
            "worst_class": min(known),
            "geometric_mean": None,
            "harmonic_mean": 0.2,
            "calibration_error": 0.1,
            "made_up_score": 12.345,
        },
        "per_class": {
            "images": [100] * (classes - 1) + [0],
            "accuracy": accuracy,
            "precision": [None if index == 0 else 0.5 for index in range(classes)],
        },
        "confusions": [
            {"true": true, "predicted": other, "images": max(1, 40 - rank)} for rank, (true, other) in enumerate(pairs)
        ],
        "mistakes": mistakes,
    }


def write_run(folder: Path, results: Results) -> Path:
    """Save results as a run and return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    save_results(folder, results)
    return folder
