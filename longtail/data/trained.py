"""What data needs to know of a finished run that is evaluated on it."""

from dataclasses import dataclass

from longtail.plain import Input


@dataclass(frozen=True)
class Trained:
    """What a finished run was trained on, for data that it is evaluated on: the C classes in the order of its logits,
    its training labels and its group counts of each (C,), and what its network takes."""

    classes: list[str]
    label_counts: list[int]
    group_counts: list[int]
    input: Input
