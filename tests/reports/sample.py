"""Results of runs that never happened."""

import base64
import io
from dataclasses import asdict
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from longtail.reports.grains import BOXES, IMAGES, MASKS, PIXELS
from longtail.reports.groups import group_of
from longtail.reports.overlays import data_uri
from longtail.reports.results import Epoch, Evaluation, Example, Metrics, Mistake, Results, Thresholds, save_results

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


class Tags(HTMLParser):
    """The tags of a page, and the names of their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}


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
        "task": "classification",
        "predictor": "longtail.inference.classification.Classifier",
        "grain": asdict(IMAGES),
        "name": name,
        "recipe": "bcl",
        "status": "finished",
        "seed": seed,
        "data": {
            "name": "Folder",
            "source": "photos/",
            "images": {"train": sum(counts), "val": 200, "test": 1000},
            "input": {},
        },
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


def make_detection(classes: int = 10, *, masks: bool = True, name: str = "rcnn", **options: Any) -> Results:
    """Return the results of a run of detection, with masks or boxes alone; the last class has no test image."""
    results = make_results(classes, name=name, **options)
    results |= {"task": "detection", "predictor": "longtail.inference.detection.Detector"}
    results |= {"grain": asdict(MASKS if masks else BOXES), "thresholds": {"many": 100, "few": 11}}
    results |= {"label_counts": [3 * count for count in results["train_counts"]]}
    results |= {"accuracy_of": "accuracy of the box classifier on matched proposals"}
    shapes = ("mask", "box") if masks else ("box",)
    for epoch in results["history"]:
        loss = epoch["train"]["loss"] or 0
        parts = ["loss_classifier", "loss_box_reg", "loss_objectness", "loss_rpn_box_reg", *["loss_mask"] * masks]
        epoch["train"] = {"loss": loss, **dict.fromkeys(parts, loss / len(parts))}
        if epoch["val"]:
            level = (epoch["val"]["balanced_accuracy"] or 0) / 2
            epoch["val"] = dict.fromkeys([*(key for shape in shapes for key in _ap_keys(shape)), "box_accuracy"], level)
    for evaluation in results["evaluations"]:
        metrics, accuracy = evaluation["metrics"], evaluation["per_class"]["accuracy"]
        lower = [None if value is None else value / 2 for value in accuracy]
        evaluation["metrics"] = {"box_accuracy": metrics["balanced_accuracy"], "made_up_score": 12.345}
        evaluation["per_class"] = {
            "images": evaluation["per_class"]["images"],
            "instances": [2 * count for count in evaluation["per_class"]["images"]],
            "box_ap": lower,
            "box_ap50": accuracy,
            "accuracy": accuracy,
        }
        if masks:
            evaluation["per_class"] |= {"mask_ap": lower, "mask_ap50": accuracy}
        for shape in shapes:
            means = [metrics[key] for key in ("balanced_accuracy", "top1", "top1", "many", "medium", "few")]
            values = dict(zip(_ap_keys(shape), [*means, 0.1, 0.2, 0.3], strict=True))
            evaluation["metrics"] |= {key: None if value is None else value / 2 for key, value in values.items()}
        _with_examples(evaluation)
        del evaluation["confusions"]
    return results


def make_segmentation(classes: int = 10, *, name: str = "upernet", **options: Any) -> Results:
    """Return the results of a run of semantic segmentation; the last class has no test pixel."""
    results = make_results(classes, name=name, **options)
    results |= {"task": "segmentation", "predictor": "longtail.inference.segmentation.Segmenter"}
    results |= {"grain": asdict(PIXELS), "thresholds": {"many": 10_000_000, "few": 2_000_000}}
    results |= {"train_counts": [100_003 * count for count in results["train_counts"]]}
    names = {"balanced_accuracy": "miou", "top1": "pixel_accuracy", "worst_class": "worst_class"}
    names |= {group: f"iou_{group}" for group in ("many", "medium", "few")}
    for epoch in results["history"]:
        epoch["val"] = {names[key]: value for key, value in epoch["val"].items()} if epoch["val"] else None
    for evaluation in results["evaluations"]:
        old, accuracy = evaluation["per_class"], evaluation["per_class"]["accuracy"]
        evaluation["metrics"] = {names[key]: value for key, value in evaluation["metrics"].items() if key in names}
        evaluation["metrics"] |= {"mean_accuracy": 0.6, "frequency_weighted_iou": 0.7}
        evaluation["per_class"] = {
            "images": old["images"],
            "pixels": [1000 * count for count in old["images"]],
            "iou": [None if value is None else value / 2 for value in accuracy],
            "accuracy": accuracy,
        }
        for pair in evaluation["confusions"]:
            pair["images"] *= 1000
        _with_examples(evaluation)
    return results


def without_figures(results: Results) -> Results:
    """Put None in place of every figure that can be undefined."""
    results |= {"seconds": None, "images_per_second": None, "best_epoch": None}
    classes = len(results["classes"])
    for epoch in results["history"]:
        epoch |= {"seconds": None, "images_per_second": None, "learning_rate": None}
        epoch["train"] = dict.fromkeys(epoch["train"])
        epoch["val"] = dict.fromkeys(epoch["val"] or {})
        epoch["class_accuracy"] = [None] * classes
    for evaluation in results["evaluations"]:
        evaluation["metrics"] = dict.fromkeys(evaluation["metrics"])
        figures = evaluation["per_class"].keys() - {"images", "instances", "pixels"}  # counts are defined
        evaluation["per_class"] |= {key: [None] * classes for key in figures}  # type: ignore[typeddict-item]
    return results


def _ap_keys(shape: str) -> list[str]:
    ends = ("", "50", "75", "_many", "_medium", "_few", "_small", "_mid_sized", "_large")
    return [f"{shape}_ap{end}" for end in ends]


def _with_examples(evaluation: Evaluation) -> None:
    """Put three examples of every class in place of the mistakes."""
    del evaluation["mistakes"]
    grey = data_uri(Image.new("RGB", (64, 48), "grey"), 64)
    examples: list[Example] = [
        {"class": index, "truth": grey, "predicted": grey, "name": f"{place:06}.jpg"}
        for index in range(len(evaluation["per_class"]["images"]))
        for place in range(3)
    ]
    evaluation["examples"] = examples


def _epoch(number: int, generator: np.random.Generator, classes: int) -> Epoch:
    level = 1 - np.exp(-number / 12)
    noise = generator.normal(0, 0.01, 5)
    loss, values = 3 - 2 * level + noise[0], (level * np.array([0.7, 0.5, 0.25, 0.5]) + noise[1:]).clip(0)
    many, medium, few, balanced = (float(value) for value in values)
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
    accuracies = [round(number / 40 * (1 - index / classes), 4) for index in range(classes - 1)]
    return [*accuracies, None]


def _evaluation(
    counts: list[int], thresholds: Thresholds, checkpoint: str, gain: float, generator: np.random.Generator
) -> Evaluation:
    classes = len(counts)
    trend = 0.15 + 0.6 * np.log(np.array(counts) / 5) / np.log(100) + gain
    rights = (trend + generator.normal(0, 0.12, classes)).clip(0, 1).round(2)
    accuracy: list[float | None] = [float(right) for right in rights]
    accuracy[-1] = None if classes > 1 else accuracy[-1]
    groups = [group_of(count, thresholds) for count in counts]
    means: Metrics = {}
    for group in ("many", "medium", "few"):
        members = [value for value, name in zip(accuracy, groups, strict=True) if name == group and value is not None]
        means[group] = float(np.mean(members)) if members else None
    figures = [value for value in accuracy if value is not None]
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
            "top1": float(np.mean(figures)) + 0.01,
            "top5": 0.9,
            "balanced_accuracy": float(np.mean(figures)),
            **means,
            "worst_class": min(figures),
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
            {"true": true, "predicted": guess, "images": max(1, 40 - rank)} for rank, (true, guess) in enumerate(pairs)
        ],
        "mistakes": mistakes,
    }


def write_run(folder: Path, results: Results) -> Path:
    """Save results as a run and return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    save_results(folder, results)
    return folder
