"""What ``calibration.json`` says of the probabilities of a run: its shape, reading it, and how it is shown."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict, cast

from rich import table as terminal

from longtail.errors import InputError
from longtail.figures import PROBABILITIES
from longtail.plain import JSON, AnyPath
from longtail.reports.groups import GROUPS
from longtail.reports.lines import Lines
from longtail.reports.rejection import are_refused, rejection_lines, rejection_notes
from longtail.reports.sets import are_sets, set_lines, set_notes
from longtail.reports.wording import NOTHING

FILE_NAME = "calibration.json"
WHEN = ("before", "after")
FURTHER = {"set_figures": are_sets, "rejection_figures": are_refused}  # what older files lack
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


def read_calibration(run: AnyPath) -> dict[str, JSON] | None:
    """The content of the file of a run, with what is shown of it checked; None where there is no file.

    Raises:
        InputError: if it cannot be read, or is something else.
    """
    file = Path(run, FILE_NAME)
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{file}: cannot be read ({type(error).__name__}); {WAY_OUT}") from error
    try:
        fits = isinstance(content["scaling"]["kind"], str) and all(map(_are_figures, content["figures"].values()))
        fits = fits and all(content.get(name) is None or fit(content[name]) for name, fit in FURTHER.items())
    except (KeyError, TypeError, AttributeError):
        fits = False
    if not fits:
        raise InputError(f"{file}: is not a calibration of a run; {WAY_OUT}")
    return cast(dict[str, JSON], content)


def _are_figures(group: JSON) -> bool:
    """Whether a group of the file has what is shown of it; raises KeyError or TypeError where parts are missing."""
    for figures in (group[when] for when in WHEN):
        bins = figures["reliability"]
        columns = [bins[name] for name in ("confidence", "accuracy", "images")]
        numbers = [figures["images"], *(value for value in figures["metrics"].values() if value is not None)]
        numbers += [value for column in columns for value in column]
        if len({len(column) for column in columns}) != 1 or not all(isinstance(n, int | float) for n in numbers):
            return False
    return True


def calibration_lines(worth: Worth) -> Lines:
    """What the probabilities of a run are worth, of the groups that have images, each before and after."""
    groups = [group for group in ("all", *GROUPS) if group in worth and worth[group]["after"]["images"]]
    columns = {f"{group}, {when}": worth[group][when] for group in groups for when in WHEN}
    rows = [
        (words.label, words.meaning, [_number(column["metrics"].get(key)) for column in columns.values()])
        for key, words in PROBABILITIES.items()
    ]
    images = ("Validation images", "", [f"{column['images']:,}" for column in columns.values()])
    return Lines(list(columns), [*rows, images])


def calibration_tables(
    name: str,
    content: Mapping[str, JSON],
) -> list[tuple[terminal.Table, list[str]]]:
    """The tables for the terminal of what a calibration of a run says, and what is to be noted below each."""
    scaling = f"{name}: {content['scaling']['kind']} scaling, cross-fitted on validation images"
    tables = [(calibration_lines(content["figures"]).text(scaling), list[str]())]
    if (sets := content["set_figures"]) is not None:
        title = f"{name}: sets of classes by --sets, for --coverage {sets['coverage']:g}, cross-fitted"
        tables.append((set_lines(sets).text(title), set_notes(sets)))
    if (rejection := content["rejection_figures"]) is not None:
        title = f"{name}: images rejected at --reject-rate {rejection['rate']:g}, cross-fitted"
        tables.append((rejection_lines(rejection).text(title), rejection_notes(rejection)))
    return tables


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3f}"
