"""What ``--prior`` stands for: the class frequencies where a run is used."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from longtail.errors import InputError
from longtail.messages import near_names, some
from longtail.plain import JSON

UNIFORM, TRAIN, ESTIMATE = "uniform", "train", "estimate"
SLACK = 0.01  # of a sum of frequencies that were rounded
HELP = (
    "class frequencies where the run is used: uniform, train (those of the training images), a CSV or JSON file of "
    "classes and frequencies"
)


def prior_of(value: str, classes: Sequence[str], train_counts: Sequence[int]) -> Tensor | None:
    """The class frequencies (C,) that ``--prior`` names, float64; None for those that images are to tell.

    Args:
        value: "uniform", "train", "estimate" or a file.
        classes: names in the order of the logits.
        train_counts: training images of each class.

    Raises:
        InputError: if the file cannot be read, or its classes or frequencies cannot be used.
    """
    if value == ESTIMATE:
        return None
    if value == UNIFORM:
        return torch.full((len(classes),), 1 / len(classes), dtype=torch.float64)
    if value == TRAIN:
        counts = torch.tensor(train_counts, dtype=torch.float64)
        return counts / counts.sum()
    file = Path(value)
    frequencies = _read(file)
    wrong = [name for name in frequencies if name not in classes]
    if wrong:
        raise InputError(f"{file}: the run has no class {some(wrong)}{near_names(wrong[0], list(classes))}")
    if missing := [name for name in classes if name not in frequencies]:
        raise InputError(f"{file}: lacks the class {some(missing)}: give every class of the run a frequency, 0 or more")
    values = torch.tensor([frequencies[name] for name in classes], dtype=torch.float64)
    total = float(values.sum())
    if not bool((values >= 0).all()):
        name = classes[int(values.argmin())]
        raise InputError(f"{file}: the frequency of {name} is {frequencies[name]:g}, and must be 0 or more")
    whole = bool((values == values.round()).all()) and total > 1  # counts
    if not whole and not abs(total - 1) <= SLACK:
        raise InputError(f"{file}: the frequencies sum to {total:g}: give fractions that sum to 1, or counts of images")
    return values / total


def _read(file: Path) -> dict[str, float]:
    """Frequencies by class, out of a JSON object or a CSV of class and frequency."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "no text"
        raise InputError(f"--prior {file}: cannot be read ({reason}); or give uniform, train, estimate") from error
    try:
        content: JSON = json.loads(text) if file.suffix.lower() == ".json" else _table(text)
        frequencies = {str(name): float(value) for name, value in content.items()}
        if not all(abs(value) < float("inf") for value in frequencies.values()):
            raise ValueError
    except (ValueError, TypeError, AttributeError, RecursionError, csv.Error) as error:
        where = f", {error}" if isinstance(error, _WrongLine) else ""
        raise InputError(f"{file}: is no list of a class and its frequency each{where}") from error
    if not frequencies:
        raise InputError(f"{file}: is empty")
    return frequencies


class _WrongLine(ValueError):
    """A line that is none of a class and a frequency."""


def _table(text: str) -> dict[str, float]:
    frequencies: dict[str, float] = {}
    for number, row in enumerate(csv.reader(text.splitlines()), start=1):
        if not row:
            continue
        try:
            name, value = row
            frequency = float(value)
        except ValueError:
            if number == 1:  # names of the columns
                continue
            raise _WrongLine(f"line {number}") from None
        if name in frequencies:
            raise _WrongLine(f"line {number} names a class again")
        frequencies[name] = frequency
    return frequencies


def add_adjustments(group: Any, about_prior: str) -> None:  # argparse does not name the type of a group
    """Add the options that say how frequent the classes are, with the help of one of them."""
    group.add_argument(
        "--strength", type=float, default=0.0, help="of the logit adjustment; above 0 for the rare classes (default 0)"
    )
    group.add_argument("--prior", metavar="PRIOR", help=about_prior)
