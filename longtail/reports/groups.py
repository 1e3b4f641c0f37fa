"""Many-shot, medium-shot and few-shot classes: which group a class belongs to."""

from collections.abc import Collection, Sequence
from typing import Literal

from longtail.reports.results import Thresholds

Group = Literal["many", "medium", "few"]
GROUPS: tuple[Group, ...] = ("many", "medium", "few")


def group_of(count: int, thresholds: Thresholds) -> Group:
    """Return the group of a class with a training count of ``count``."""
    if count > thresholds["many"]:
        return "many"
    return "few" if count < thresholds["few"] else "medium"


def ends(groups: Collection[Group]) -> tuple[Group, Group] | None:
    """Return the most and the least frequent of the groups given, or None where there are no two."""
    present = [group for group in GROUPS if group in groups]
    return (present[0], present[-1]) if len(present) > 1 else None


def group_sizes(train_counts: Sequence[int], thresholds: Thresholds) -> dict[Group, int]:
    """Return how many classes each group has."""
    groups = [group_of(count, thresholds) for count in train_counts]
    return {group: groups.count(group) for group in GROUPS}
