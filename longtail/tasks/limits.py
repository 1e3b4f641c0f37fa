"""The limits of many-shot and few-shot classes, as a task takes them."""

from collections.abc import Sequence
from inspect import signature
from typing import Any

from longtail.errors import InputError
from longtail.reports.results import Thresholds


def checked_limits(many: int, few: int) -> Thresholds:
    """The limits by their names; raises InputError where few is above many."""
    if few > many + 1:
        raise InputError(f"few must not be above many, got few {few} and many {many}")
    return {"many": many, "few": few}


def group_limits(
    task: type[Any],  # of tasks, which stand on this
    group_counts: Sequence[int],
    many: float | None = None,
    few: float | None = None,
) -> Thresholds:
    """The limits in what is counted of each class.

    Args:
        task: that groups the classes.
        group_counts: of each class (C,).
        many: as the task takes it; by default that of its constructor, or of the constructor of a base.
        few: the same.

    Raises:
        InputError: if few is above many.
    """
    unit = task.group_unit(group_counts)
    limits = (_default(task, name) if value is None else value for name, value in (("many", many), ("few", few)))
    return checked_limits(*(int(value * unit) for value in limits))


def _default(task: type, name: str) -> float:
    parameters = (signature(base.__init__).parameters.get(name) for base in task.__mro__)  # type: ignore[misc]
    value: float = next(own.default for own in parameters if own is not None and own.default is not own.empty)
    return value
