"""What every loss shares: the reduction and the precision."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from longtail.checks import check_number
from longtail.counts import Counts

T = TypeVar("T")


class Loss(nn.Module):
    """A loss over rows.

    Args:
        reduction: "mean" for the plain mean of the rows, a scalar (0 for an empty batch); "none" for one value per
            row. Where rows carry weights, "mean" is the sum of weight times loss over the number of rows, not over
            the sum of the weights: so it adds up over parts of a batch and over processes.

    Attributes:
        no_weight_decay: names of the parameters that an optimizer should not decay.
        several_labels: whether it takes labels (M, C), of which a row may have several or none, and not a class each.
        sigmoid: whether each logit stands for itself, as the probability of its class against all else, and not all of
            them for a softmax.
        takes_soft_targets: whether targets may be distributions over the classes (M, C), in floating point.
        prior_strength: t; the logits of a network that has reached the optimum of the loss imply the class frequencies
            n_c^t / sum n^t, for n_c images of each class seen in training. None where there is no such t.
    """

    no_weight_decay: ClassVar[frozenset[str]] = frozenset()
    several_labels: ClassVar[bool] = False
    sigmoid: bool = False
    prior_strength: float | None = None

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        if reduction not in ("mean", "none"):
            raise ValueError(f'reduction must be "mean" or "none", got {reduction!r}')
        self.reduction = reduction

    @classmethod
    def from_counts(cls, class_counts: Counts, **options: Any) -> "Loss":  # those of the constructor
        """Make the loss for a training set with these counts (C,).

        What this one does is right for a loss that needs nothing of the counts; see `FromCounts` for one that does.

        Args:
            class_counts: training images of each class (C,).
            options: further arguments of the constructor.
        """
        return cls(**options)

    def with_reduction(self, reduction: str) -> "Loss":
        """A second object with this reduction, on the same parameters and buffers. The losses inside it are second
        objects as well, so that this one stays as it is, whatever mode or background the other is told."""
        other = copy.copy(self)
        other.reduction = reduction
        other._modules = {
            name: inner.with_reduction(inner.reduction) if isinstance(inner, Loss) else inner
            for name, inner in self._modules.items()
        }
        return other

    @property
    def takes_soft_targets(self) -> bool:
        return False

    def set_background(self, background: int) -> None:
        """Say which class stands for none of the others, as in detection. A loss that has one already keeps it; the
        losses inside this one are told as well."""
        for inner in self.children():
            if isinstance(inner, Loss):
                inner.set_background(background)

    def set_epoch(self, epoch: int, epochs: int) -> None:
        """Say that an epoch begins, counted from 0, of how many; the losses inside this one are told as well."""
        for inner in self.children():
            if isinstance(inner, Loss):
                inner.set_epoch(epoch, epochs)

    def observe(self, targets: Tensor) -> None:
        """Count the labels (M,) of a training batch, -1 where there is none, for a loss that goes by those; `forward`
        does so in training mode. The losses inside this one count them as well."""
        for inner in self.children():
            if isinstance(inner, Loss):
                inner.observe(targets)

    def reduce(self, rows: Tensor) -> Tensor:
        """Apply the reduction to one value per row."""
        if self.reduction == "none":
            return rows
        return rows.sum() / max(len(rows), 1)


class FromCounts:
    """First base of the losses that take the class counts, as the first argument of their constructor."""

    @classmethod
    def from_counts(cls: Callable[..., T], class_counts: Counts, **options: Any) -> T:  # those of the constructor
        """Make the loss with these counts; see `Loss.from_counts`."""
        return cls(class_counts, **options)


class BackgroundLoss(Loss, ABC):
    """Base of the losses in which one of the classes may stand for none of the others, as in detection.

    Args:
        num_classes: C.
        background: that class, where there is one.
        reduction: "mean" or "none".

    Raises:
        ValueError: on a background outside 0..C-1.
    """

    def __init__(self, num_classes: int, background: int | None = None, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.num_classes = num_classes
        self.background: int | None = None
        if background is not None:
            self.set_background(background)

    def set_background(self, background: int) -> None:
        if self.background is None:
            check_number("background", background, low=0, high=self.num_classes - 1)
            self.background = background
        super().set_background(background)

    @abstractmethod
    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Mean, or one value per row (M,), from logits (M, C) and targets (M,)."""


def build_loss(
    loss: Loss | Callable[[Counts], Loss],
    class_counts: Counts,
    background: int | None = None,
) -> Loss:
    """The loss that a method works with, from what it was given, with reduction "mean". A loss that works with another
    one takes this `Loss.with_reduction`, which is a second object in any case.

    Args:
        loss: a loss, a loss class (made by its `Loss.from_counts`), or anything else that is called with the class
            counts and returns a loss, as a configuration with ``class_path`` and ``init_args`` gives it.
        class_counts: training images of each class (C,).
        background: class that stands for none of the others, where there is one. A loss that is made here is told; one
            that was given stays as it is.
    """
    if isinstance(loss, Loss):
        built = loss
    else:
        make: Callable[[Counts], Loss] = getattr(loss, "from_counts", loss)
        built = make(class_counts)
        if background is not None:
            built.set_background(background)
    return built if built.reduction == "mean" else built.with_reduction("mean")


def full_precision(values: Tensor) -> Tensor:
    """Lift half precision to float32, where logarithms and exponentials are safe; wider types stay as they are."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def weights_of_rows(weights: Tensor, targets: Tensor) -> Tensor:
    r"""Weight of each row (M,) from those of the classes w (C,): that of its class, :math:`w_{y_i}`, or under soft
    targets q (M, C) the mean, :math:`\sum_c q_{ic} w_c`."""
    return (targets * weights).sum(1) if targets.is_floating_point() else weights[targets]
