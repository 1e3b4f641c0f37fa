"""A metric of one's own, made of the figures of the classes."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from longtail.errors import InputError
from longtail.figures import Metric


class ClassMetric(ABC):
    """A metric of one's own for ``Classification``, which measures it, shows it and can monitor it.

    Attributes:
        name: in the results and for ``--monitor``.
        words: what it is called, what it means, and which way is better.
    """

    name: ClassVar[str]
    words: ClassVar[Metric]

    @abstractmethod
    def __call__(self, per_class: Mapping[str, Tensor]) -> Tensor:
        """Compute the metric.

        Args:
            per_class: tensors (C,): "image_counts", those of training; "images", those it was measured on;
                "accuracy", NaN for a class without images; "precision", NaN for one that was never predicted.

        Returns:
            A scalar; NaN where it is not defined.
        """


def by_name(metrics: Sequence[ClassMetric], others: Collection[str]) -> dict[str, ClassMetric]:
    """Metrics of one's own by their names.

    Args:
        metrics: each with a name and words.
        others: names that other metrics have.

    Raises:
        InputError: on one that does not say its name or its words, or a name that is there already.
    """
    named: dict[str, ClassMetric] = {}
    for metric in metrics:
        name, words = getattr(metric, "name", None), getattr(metric, "words", None)
        if not (isinstance(name, str) and name and isinstance(words, Metric)):
            raise InputError(
                f"{type(metric).__name__} does not say what it is called: give the class a text as name and a "
                "longtail.figures.Metric as words"
            )
        if name in others or name in named:
            raise InputError(f"there is a metric {name} already: give your own another name")
        named[name] = metric
    return named


def measure(metrics: Mapping[str, ClassMetric], per_class: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What metrics of one's own give, scalars by name, for the figures of the classes.

    Raises:
        InputError: on one that gives more than a number.
    """
    values = {name: torch.as_tensor(metric(per_class)) for name, metric in metrics.items()}
    for name, value in values.items():
        if value.numel() != 1:
            raise InputError(f"the metric {name} gives numbers of shape {tuple(value.shape)}: let it give one")
    return values
