"""The file ``results.json`` of a run: its shape, reading it and writing it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict, cast

from longtail.errors import InputError
from longtail.plain import JSON, AnyPath, Input
from longtail.reports.schema import misfit
from longtail.writing import finite, is_held, json_text, write_atomically

FORMAT = 1
FILE_NAME = "results.json"
_INTRODUCTION = ("task", "predictor", "grain")  # what a task says of its runs

# Fractions by name; None where a metric is not defined, as for a group without classes.
Metrics = dict[str, float | None]


class Data(TypedDict):
    """The data set a run was trained on; ``images`` counts the images of each split."""

    name: str
    source: str
    images: dict[str, int]
    input: Input


class Thresholds(TypedDict):
    """Classes with a training count of more than ``many`` are many-shot, of fewer than ``few`` few-shot."""

    many: int
    few: int


class Hardware(TypedDict):
    """What the run was computed on."""

    device: str
    name: str
    processes: int
    threads: int
    precision: str


class Epoch(TypedDict):
    """One epoch of training; ``train`` holds the loss and its parts, ``class_accuracy`` validation, class by class.

    What that accuracy is where it is not simply that of the predictions, ``accuracy_of`` of the results says.
    """

    epoch: int
    seconds: float | None
    images_per_second: float | None
    learning_rate: float | None
    train: dict[str, float | None]
    val: Metrics | None
    class_accuracy: list[float | None] | None


class _FiguresPerClass(TypedDict, total=False):
    """What only some tasks have."""

    instances: list[int]
    pixels: list[int]
    accuracy: list[float | None]
    precision: list[float | None]
    iou: list[float | None]
    mask_ap: list[float | None]
    mask_ap50: list[float | None]
    box_ap: list[float | None]
    box_ap50: list[float | None]


class PerClass(_FiguresPerClass):
    """Lists with one entry per class; None where undefined, as for a class without an image or never predicted.

    ``images``, ``instances`` and ``pixels`` count what was evaluated. ``accuracy`` is that of the predicted classes; of
    a detector, of its box classifier.
    """

    images: list[int]


class Confusion(TypedDict):
    """How many images (in segmentation: pixels) of the class ``true`` were taken for the class ``predicted``."""

    true: int
    predicted: int
    images: int


class _Name(TypedDict, total=False):
    """What runs of earlier versions do not have."""

    name: str


class Mistake(_Name):
    """One image that was taken for the wrong class; ``image`` is a data URI, ``name`` its path in the set."""

    true: int
    predicted: int
    confidence: float | None
    image: str


# One image with what it shows of a class drawn in, and the same with what was predicted; both are data URIs.
Example = TypedDict("Example", {"class": int, "truth": str, "predicted": str, "name": str})


class Pictures(TypedDict, total=False):
    """What only some tasks have."""

    confusions: list[Confusion]
    mistakes: list[Mistake]
    examples: list[Example]


class Measured(Pictures):
    """A split as a task has measured it; NaN where a figure is not defined. ``per_class`` holds lists with an entry for
    each class, of which "images" counts the images that have it.

    With the checkpoint it was measured of, it is an ``Evaluation`` of the results.
    """

    split: str
    images: int
    metrics: dict[str, float]
    per_class: dict[str, Sequence[float]]


class Evaluation(Pictures):
    """One checkpoint measured on one split."""

    split: str
    checkpoint: str
    epoch: int
    images: int
    metrics: Metrics
    per_class: PerClass


class _OfSomeRuns(TypedDict, total=False):
    """What only some tasks have. ``words`` says what each metric of their own is called, as
    ``longtail.figures.Metric`` takes it."""

    label_counts: list[int]
    accuracy_of: str
    words: dict[str, dict[str, JSON]]  # from outside: checked where it is read, in ``words_of``


class Results(_OfSomeRuns):
    """Everything kept about a run.

    ``train_counts`` holds of each class its training images; in detection the images that have the class, beside the
    instances in ``label_counts``; in segmentation its pixels. ``thresholds`` are in the same unit. ``predictor`` is
    the import path of the class that uses the run, and ``grain`` holds how its classes are measured, as
    ``longtail.reports.grains.Grain`` takes it.
    """

    format: int
    task: str
    predictor: str
    grain: dict[str, JSON]  # from outside: checked where it is read, in ``grain_of``
    name: str
    recipe: str | None
    status: str
    seed: int
    data: Data
    classes: list[str]
    train_counts: list[int]
    thresholds: Thresholds
    versions: dict[str, str]
    hardware: Hardware
    started: str
    seconds: float | None
    epochs: int
    images_per_second: float | None
    parameters: int
    history: list[Epoch]
    best_epoch: int | None
    evaluations: list[Evaluation]
    config: str


def load_results(run: AnyPath) -> Results:
    """Read the results of the run in the folder ``run``; one that runs no more, as after a kill, is "interrupted"."""
    run = Path(run)
    path = run / FILE_NAME
    if not run.is_dir():
        raise InputError(f"{run}: no such folder; give the folder of a run, the one that contains {FILE_NAME}")
    try:
        results = json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda _: None)
    except RecursionError:
        raise InputError(f"{path}: deeper than any results; restore the file or train the run again") from None
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; give the folder of a run that longtail trained") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON ({error}); restore the file or train the run again") from error
    version = results.get("format") if isinstance(results, dict) else None
    if version != FORMAT:
        raise InputError(
            f"{path}: format {version!r} instead of {FORMAT}; read it with the version of longtail that wrote it"
        )
    missing = sorted(Results.__required_keys__ - set(_INTRODUCTION) - results.keys())
    if not missing and (unknown := _unknown(results)):
        raise InputError(f"{path}: {unknown}; read it with the version of longtail that wrote it")
    problem = f"lacks {', '.join(missing)}" if missing else _problem(results)
    if problem:
        raise InputError(f"{path}: {problem}; restore the file or train the run again")
    if results["status"] == "running" and not is_held(run):
        results["status"] = "interrupted"
    return cast(Results, results)


def save_results(run: Path, results: Results) -> None:
    """Write the results of the run in the folder ``run``, whole or not at all; NaN and infinity become null."""
    write_atomically(run / FILE_NAME, json_text(finite(results)) + "\n")


def class_figures(evaluation: Evaluation, key: str) -> list[float | None]:
    """Return a list per class of an evaluation by its name."""
    return cast(dict[str, list[float | None]], evaluation["per_class"])[key]


def label_counts(results: Results) -> list[int]:
    """Return how many training labels each class of a run has, (C,): what its losses count, where its groups count
    something else, ``label_counts``."""
    return results.get("label_counts", results["train_counts"])


def ordered_evaluations(results: Results, checkpoint: str = "last") -> list[Evaluation]:
    """Return the evaluations, the one that counts first: test before val, the given checkpoint before the other."""
    return sorted(
        results["evaluations"],
        key=lambda evaluation: (evaluation["split"] != "test", evaluation["checkpoint"] != checkpoint),
    )


def final_evaluation(results: Results, checkpoint: str = "last") -> Evaluation | None:
    """Return the evaluation that counts, or None where the run has not been evaluated."""
    return next(iter(ordered_evaluations(results, checkpoint)), None)


def weakest_classes(figures: Sequence[float | None], train_counts: Sequence[int], limit: int = 12) -> list[int]:
    """Return the classes that need help most: the lowest figure first, the rarer first among equals.

    Classes that were not measured (None or nan), and those without a mistake, are left out.
    """
    known = [
        (value, train_counts[index], index) for index, value in enumerate(figures) if value is not None and value < 1
    ]
    return [index for *_, index in sorted(known)[:limit]]


def _unknown(results: Mapping[str, JSON]) -> str | None:
    """Say what is unknown of how a run introduces itself, or None."""
    task, predictor, grain = (results.get(key) for key in _INTRODUCTION)
    if not isinstance(task, str):
        return f"unknown task {task!r}"
    if not isinstance(predictor, str):
        return f"unknown predictor {predictor!r}"
    if not isinstance(grain, dict) or not isinstance(grain.get("key"), str):
        return f"unknown grain {grain!r}"
    return None


def _problem(results: Mapping[str, JSON]) -> str | None:
    """Say what a reader of ``results`` would stumble over, or None."""
    if fault := misfit(results, Results, "the whole"):
        return fault.removeprefix("the whole.")
    classes = len(results["classes"])
    if not classes or min(results["train_counts"], default=0) < 0:
        return "has no classes, or negative counts"
    for key in ("train_counts", "label_counts"):
        if len(results.get(key, results["classes"])) != classes:
            return f"has {classes} classes but {len(results[key])} entries in {key}"
    if any(len(epoch.get("class_accuracy") or results["classes"]) != classes for epoch in results["history"]):
        return f"has an epoch whose class_accuracy does not have {classes} entries"
    for evaluation in results["evaluations"]:
        missing = sorted(Evaluation.__required_keys__ - evaluation.keys())
        if missing:
            return f"has an evaluation that lacks {', '.join(missing)}"
        figure = results["grain"]["key"]
        if figure not in evaluation["per_class"]:
            return f"has an evaluation whose per_class lacks {figure}"
        if any(not isinstance(values, list) or len(values) != classes for values in evaluation["per_class"].values()):
            return f"has an evaluation whose per_class lists do not have {classes} entries"
        entries = [entry for key in ("confusions", "mistakes", "examples") for entry in evaluation.get(key, [])]
        indices = [
            entry[key] for entry in entries for key in ("true", "predicted", "class") if type(entry.get(key)) is int
        ]
        if not all(0 <= index < classes for index in indices):
            return f"has an evaluation with a class that is not one of the {classes}"
    return None
