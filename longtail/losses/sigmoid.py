"""What the losses of several labels an image share: every class is a question of its own, answered by its sigmoid."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from longtail.checks import Numbers, check_label_table, check_shape
from longtail.losses.base import Loss, full_precision


class SigmoidLoss(Loss, ABC):
    r"""A loss that is a sum over the classes, of which an image may have several or none:
    :math:`L_i = \sum_c \ell_c(x_{ic}, y_{ic})`.

    Shapes: logits (M, C), labels (M, C), 0 or 1 of any type; returns a scalar, or (M,) with ``reduction="none"``, in
    both cases the sum over the classes. An empty batch gives 0. Computed in float32 under autocast.

    A subclass says what a class costs (`terms`).

    Attributes:
        num_classes: C, where the loss knows it.
    """

    sigmoid = True
    several_labels: ClassVar[bool] = True
    num_classes: int | None = None

    @abstractmethod
    def terms(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The cost (M, C) of each class for each row, by logits in float32 or wider and labels of the same type."""

    def set_images(self, images: int) -> None:
        """Say how many images there are to train on, for a loss that goes by the share of each class; its method or
        its task does so."""
        return

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        return self.reduce(self.costs(logits, labels).sum(1))

    def costs(self, logits: Numbers, labels: Numbers) -> Tensor:
        """`terms` of logits (M, C) and labels (M, C) that are checked first.

        Raises:
            ValueError: on a wrong shape, or a label that is neither 0 nor 1.
        """
        checked = check_shape("logits", logits, "M", "C" if self.num_classes is None else self.num_classes)
        truth = check_label_table(labels, checked.shape, checked.device)
        with torch.autocast(checked.device.type, enabled=False):
            x = full_precision(checked)
            return self.terms(x, truth.to(x.dtype))
