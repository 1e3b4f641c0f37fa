"""Runs that differ only by their seed, put together as one column of a comparison."""

import itertools
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from longtail.errors import InputError
from longtail.messages import command
from longtail.plain import AnyPath
from longtail.reports.config import same_but_seed
from longtail.reports.results import (
    FILE_NAME,
    Evaluation,
    Results,
    class_figures,
    final_evaluation,
    load_results,
)


class Value(NamedTuple):
    """A mean over seeds; the sample standard deviation is None for a single seed."""

    mean: float
    deviation: float | None


@dataclass(frozen=True)
class Run:
    """A run that has been evaluated."""

    folder: Path
    results: Results
    evaluation: Evaluation


@dataclass(frozen=True)
class Column:
    """One or more runs that differ only by their seed."""

    label: str
    runs: tuple[Run, ...]

    @property
    def first(self) -> Run:
        """The run that stands for what all of them share."""
        return self.runs[0]

    @property
    def title(self) -> str:
        """The label, with the number of seeds where there are several."""
        return self.label if len(self.runs) == 1 else f"{self.label} ({len(self.runs)} seeds)"

    def metric(self, key: str) -> Value | None:
        """Return a metric over the seeds, or None where a run lacks it."""
        return _value([run.evaluation["metrics"].get(key) for run in self.runs])

    def figures(self, key: str) -> list[Value | None]:
        """Return a figure of each class over the seeds, None where a run lacks it."""
        lists = [class_figures(run.evaluation, key) for run in self.runs]
        return [_value(values) for values in zip(*lists, strict=True)]


def difference(value: Value | None, base: Value | None) -> float | None:
    """Return how far the mean lies above that of ``base``, None where either is not known."""
    return None if value is None or base is None else value.mean - base.mean


def load_columns(folders: Sequence[AnyPath], checkpoint: str = "last") -> list[Column]:
    """Read runs that can be compared and merge those that differ only by their seed, in the order given.

    Args:
        folders: of the runs.
        checkpoint: "last" or "best", which counts where a run has been evaluated with both.
    """
    if len(folders) < 2:
        raise InputError(f"a comparison needs at least two runs, got {len(folders)}; give more run folders")
    runs = [_load(Path(folder), checkpoint) for folder in folders]
    for run in runs[1:]:
        tasks = [other.results["task"] for other in (runs[0], run)]
        if tasks[0] != tasks[1]:
            raise InputError(
                f"{runs[0].folder} is a run of {tasks[0]}, {run.folder} one of {tasks[1]}; compare runs of one task"
            )
        if run.results["classes"] != runs[0].results["classes"]:
            raise InputError(
                f"{runs[0].folder} and {run.folder} have different class lists; compare runs on the same classes"
            )
    groups: list[list[Run]] = []
    for run in runs:
        for group in groups:
            if _same_but_seed(group[0], run) and all(run.results["seed"] != other.results["seed"] for other in group):
                group.append(run)
                break
        else:
            groups.append([run])
    return [Column(label, tuple(group)) for label, group in zip(_labels(groups), groups, strict=True)]


def _load(folder: Path, checkpoint: str) -> Run:
    results = load_results(folder)
    evaluation = final_evaluation(results, checkpoint)
    if evaluation is None:
        finish, measure = (command("longtail", *words, folder) for words in (("fit", "--resume"), ("validate",)))
        raise InputError(
            f"{folder / FILE_NAME}: the run is {results['status']} and has no evaluation: finish it by {finish}, or "
            f"measure it as it is by {measure}"
        )
    return Run(folder, results, evaluation)


def _same_but_seed(one: Run, other: Run) -> bool:
    """Say whether two runs differ by nothing but their seed and their folder."""
    same_run = all(
        one.results[key] == other.results[key]
        for key in ("recipe", "data", "train_counts", "thresholds", "epochs")  # classes are equal already
    )
    same_measure = all(one.evaluation[key] == other.evaluation[key] for key in ("split", "checkpoint", "images"))
    names = [{run.folder.resolve().name, run.results["name"]} for run in (one, other)]
    return same_run and same_measure and same_but_seed(one.results["config"], other.results["config"], names)


def _labels(groups: Sequence[Sequence[Run]]) -> list[str]:
    """Name every column by what its runs' names share, or by their recipe; equal names are numbered."""
    labels: list[str] = []
    for group in groups:
        label = _common_name([run.results["name"] for run in group]) or group[0].results["recipe"] or "runs"
        unique, copy = label, 1
        while unique in labels:
            copy += 1
            unique = f"{label} #{copy}"
        labels.append(unique)
    return labels


def _common_name(names: Sequence[str]) -> str:
    """Return how all the names begin, without the beginning of a seed: ``ce`` for ``ce-seed10`` and ``ce-seed11``."""
    letters = itertools.takewhile(lambda column: len(set(column)) == 1, zip(*names, strict=False))
    start = "".join(letter for letter, *_ in letters)
    return start if set(names) == {start} else re.sub(r"([-_. ]+(seed|s)?)?[-_. ]*\d*$", "", start)


def _value(values: Sequence[float | None]) -> Value | None:
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    return Value(statistics.fmean(known), statistics.stdev(known) if len(known) > 1 else None)
