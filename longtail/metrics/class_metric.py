"""A metric of one's own, made of the figures of the classes."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

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
            per_class: tensors (C,): "counts", the training images of each class; "images", those it was measured on;
                "accuracy", NaN for a class without images; "precision", NaN for one that was never predicted.

        Returns:
            A scalar; NaN where it is not defined.
        """
