"""What every loss shares: the reduction and the precision."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from longtail.counts import Counts


class Loss(nn.Module):
    """A loss over rows.

    Args:
        reduction: "mean" for the plain mean of the rows, a scalar (0 for an empty batch); "none" for one value per
            row. Where rows carry weights, "mean" is the sum of weight times loss over the number of rows, not over
            the sum of the weights: so it adds up over parts of a batch and over processes.

    Attributes:
        no_weight_decay: names of the parameters that an optimizer should not decay.
        sigmoid: whether each logit stands for itself, as the probability of its class against all else, and not all of
            them for a softmax.
    """

    no_weight_decay: ClassVar[frozenset[str]] = frozenset()
    sigmoid: bool = False

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        if reduction not in ("mean", "none"):
            raise ValueError(f'reduction must be "mean" or "none", got {reduction!r}')
        self.reduction = reduction

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


def build_loss(
    loss: Loss | Callable[[Counts], Loss],
    class_counts: Counts,
    reduction: str = "mean",
    background: int | None = None,
) -> Loss:
    """The loss itself, or what a factory, such as a loss class, makes from the class counts.

    A loss class gets what its constructor asks for: the counts, their number, and which class is the ``background`` of
    a detector, or none of them. Whatever its reduction was, it is then that of its place.
    """
    if isinstance(loss, Loss):
        made = loss
    elif isinstance(loss, type):
        asked = inspect.signature(loss).parameters
        given: dict[str, Any] = {"class_counts": class_counts, "difficulty": class_counts}
        given |= {"num_classes": len(class_counts), "background": background}
        made = loss(**{name: value for name, value in given.items() if name in asked})
    elif isinstance(loss, functools.partial) and loss.keywords.get("background", 0) is None:
        made = loss(class_counts, background=background)  # a class with the options that a configuration gives
    else:
        made = loss(class_counts)
    made.reduction = reduction
    return made


def full_precision(values: Tensor) -> Tensor:
    """Lift half precision to float32, where logarithms and exponentials are safe; wider types stay as they are."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
