"""What ``calibration.json`` says of the probabilities of a run: its shape, reading it, and how it is shown."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict, cast

from rich import table as terminal

from longtail.errors import InputError
from longtail.reports.groups import GROUPS
from longtail.reports.html import Cell, Head, Table
from longtail.reports.terminal import metrics_table
from longtail.reports.wording import NOTHING

FILE_NAME = "calibration.json"
WHEN = ("before", "after")
LABELS = {
    "calibration_error": ("Calibration error", "of the largest probability, in bins of equally many images"),
    "class_calibration_error": ("Calibration error, class by class", "the same for the probability of every class"),
    "brier_score": ("Brier score", "mean squared error of the probabilities, summed over the classes"),
    "negative_log_likelihood": (
        "Negative log likelihood",
        "minus the mean logarithm of the true class' probability",
    ),
}
WAY_OUT = "remove it, or write it again by longtail calibrate"


class Reliability(TypedDict):
    """Bins of equally many images: their mean confidence, accuracy, and how many there are."""

    confidence: list[float]
    accuracy: list[float]
    images: list[int]


class Figures(TypedDict):
    """What probabilities are worth on some images, by ``longtail.metrics.probability_figures``."""

    images: int
    metrics: dict[str, float | None]
    reliability: Reliability


Worth = Mapping[str, Mapping[str, Figures]]  # by group ("all", "many", "medium", "few"), before and after


def read_calibration(run: Path) -> dict[str, Any] | None:  # JSON, checked by who takes more of it than the figures
    """The content of the file of a run, with its "kind" and "figures" checked; None where there is no file.

    Raises:
        InputError: if it cannot be read, or is something else.
    """
    file = run / FILE_NAME
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{file}: cannot be read ({type(error).__name__}); {WAY_OUT}") from error
    try:
        fits = isinstance(content["scaling"]["kind"], str) and all(map(_are_figures, content["figures"].values()))
    except (KeyError, TypeError, AttributeError):
        fits = False
    if not fits:
        raise InputError(f"{file}: is not a calibration of a run; {WAY_OUT}")
    return cast(dict[str, Any], content)


def _are_figures(group: Any) -> bool:
    """Whether a group of the file has what is shown of it; raises KeyError or TypeError where parts are missing."""
    for figures in (group[when] for when in WHEN):
        bins = figures["reliability"]
        columns = [bins[name] for name in ("confidence", "accuracy", "images")]
        numbers = [figures["images"], *(value for value in figures["metrics"].values() if value is not None)]
        numbers += [value for column in columns for value in column]
        if len({len(column) for column in columns}) != 1 or not all(isinstance(n, int | float) for n in numbers):
            return False
    return True


def _rows(worth: Worth) -> tuple[list[str], list[tuple[str, str, list[str]]]]:
    """Heads of the groups that have images, each before and after; of each row its label, meaning and numbers."""
    groups = [group for group in ("all", *GROUPS) if group in worth and worth[group]["after"]["images"]]
    columns = {f"{group}, {when}": worth[group][when] for group in groups for when in WHEN}
    rows = [
        (label, meaning, [_number(column["metrics"].get(key)) for column in columns.values()])
        for key, (label, meaning) in LABELS.items()
    ]
    images = ("Validation images", "", [f"{column['images']:,}" for column in columns.values()])
    return list(columns), [*rows, images]


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3f}"


def calibration_text(name: str, kind: str, worth: Worth) -> terminal.Table:
    """Return what the probabilities of a run are worth as a table for the terminal."""
    heads, rows = _rows(worth)
    title = f"{name}: {kind} scaling, cross-fitted on validation images"
    return metrics_table(title, heads, [(label, numbers) for label, _, numbers in rows])


def calibration_table(worth: Worth) -> Table:
    """Return the same for a page."""
    heads, rows = _rows(worth)
    cells = [[Cell(label, meaning=meaning), *map(Cell, numbers)] for label, meaning, numbers in rows]
    return Table([Head("", numeric=False), *map(Head, heads)], cells)
