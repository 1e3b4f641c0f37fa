"""Class-difficulty-balanced loss on sigmoids (CDB-W for several labels)."""

from collections.abc import Callable

from torch import Tensor

from longtail.checks import check_shape
from longtail.counts import Counts
from longtail.difficulty import ClassDifficulty
from longtail.losses.base import Loss
from longtail.losses.binary_cross_entropy import BinaryCrossEntropyLoss
from longtail.losses.cdb import ClassDifficultyLoss
from longtail.losses.sigmoid import SigmoidLoss


class BinaryDifficultyLoss(ClassDifficultyLoss):
    r"""Binary cross-entropy, or another loss of several labels, with each class weighted by its difficulty:
    :math:`L_i = \sum_c w_c \, \ell_c(x_{ic}, y_{ic})`.

    :math:`w_c \propto d_c^\tau` with mean 1 over the classes; d is what the difficulty was last updated with, for
    ``longtail.tasks.MultiLabel`` 1 less the average precision of the class on validation.

    Shapes: logits (M, C), labels (M, C), 0 or 1 of any type; returns a scalar, or (M,) with ``reduction="none"``, in
    both cases the sum over the classes. An empty batch gives 0. Computed in float32 under autocast.

    Args:
        difficulty: as of ``ClassDifficultyLoss``.
        loss: the loss whose classes are weighted, or what makes it from the class counts; binary cross-entropy where
            left out.
        reduction: "mean" or "none".

    Raises:
        ValueError: on a factory without class counts, a loss that is not of several labels, a wrong shape, or a label
            that is neither 0 nor 1.

    Source: Sinha et al., Class-wise difficulty-balanced loss for solving class-imbalance, ACCV 2020, equations 2 to 4,
    with average precision in the place of accuracy, which says little of a class that most images lack.
    """

    several_labels = True

    def __init__(
        self,
        difficulty: ClassDifficulty | Counts,
        loss: Loss | Callable[[Counts], Loss] | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(difficulty, BinaryCrossEntropyLoss() if loss is None else loss, reduction=reduction)
        if not isinstance(self.loss, SigmoidLoss):
            raise ValueError(f"{type(self.loss).__name__} is no loss of several labels: give such as AsymmetricLoss")

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        weights = self.weights()
        assert isinstance(self.loss, SigmoidLoss)
        logits = check_shape("logits", logits, "M", len(weights))
        return self.reduce((weights * self.loss.costs(logits, labels)).sum(1))
