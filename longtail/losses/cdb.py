"""Class-difficulty-balanced loss (CDB-W)."""

from collections.abc import Callable

import torch
from torch import Tensor

from longtail.checks import check_logits, check_number
from longtail.counts import Counts, counts_tensor
from longtail.difficulty import ClassDifficulty
from longtail.losses.base import FromCounts, Loss, build_loss, weights_of_rows
from longtail.losses.cross_entropy import CrossEntropyLoss


class ClassDifficultyLoss(FromCounts, Loss):
    r"""Cross-entropy, or another loss of logits, weighted by class difficulty:
    :math:`L_i = -w_{y_i} \log \mathrm{softmax}(x_i)_{y_i}`.

    :math:`w_c \propto d_c^\tau` with mean 1 over the classes; d is the share of a class's validation images that are
    classified wrongly. The weights are those that the difficulty has now: update it after each validation.

    Under soft targets q, where the loss of the rows takes them, a row weighs :math:`\sum_c q_{ic} w_c`.

    Shapes: logits (M, C), targets (M,), or soft ones (M, C); returns a scalar, or (M,) with ``reduction="none"``. An
    empty batch gives 0. Computed in float32 under autocast.

    Args:
        difficulty: the object that holds the difficulty of the classes; samplers and reports may share it. Class
            counts (C,) do as well: then the loss makes an object of its own, ``loss.difficulty``.
        loss: the loss whose rows are weighted, or what makes it from the class counts;
            cross-entropy where left out.
        background: the class "none of the others" of a detector, which has no difficulty; its weight is 1, the mean.
            The difficulty is then that of the C - 1 others.
        weighted_mean: "mean" divides by the sum of the weights of the batch's rows, as ``torch.nn.CrossEntropyLoss``
            does with class weights, :math:`\sum_i w_{y_i} L_i / \sum_i w_{y_i}`; otherwise by the number of rows.
        reduction: "mean" or "none".

    Raises:
        ValueError: on a factory without class counts, a background that is no class, a wrong shape, a label outside
            0..C-1, or soft targets that are no distributions.

    Source: Sinha et al., Class-wise difficulty-balanced loss for solving class-imbalance, ACCV 2020, equations 2 to 4.
    The released code divides by the rows on CIFAR and EGTEA, and by the weights on ImageNet-LT.
    """

    def __init__(
        self,
        difficulty: ClassDifficulty | Counts,
        loss: Loss | Callable[[Counts], Loss] | None = None,
        background: int | None = None,
        weighted_mean: bool = False,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction)
        self.weighted_mean = weighted_mean
        self.background: int | None = None
        self._shared = isinstance(difficulty, ClassDifficulty)
        rows = CrossEntropyLoss(reduction="none") if loss is None else loss
        if isinstance(difficulty, ClassDifficulty):
            if not isinstance(rows, Loss):
                raise ValueError("difficulty must be class counts where the loss is made from them")
            self.difficulty, self.loss = difficulty, rows.with_reduction("none")
        else:
            self.difficulty = ClassDifficulty(len(counts_tensor(difficulty)))
            self.loss = build_loss(rows, difficulty).with_reduction("none")
        self.sigmoid = self.loss.sigmoid
        if background is not None:
            self.set_background(background)

    @property
    def takes_soft_targets(self) -> bool:
        return self.loss.takes_soft_targets

    def set_background(self, background: int) -> None:
        if self.background is None:
            classes = len(self.difficulty.accuracy) + self._shared  # a shared one is that of the others
            check_number("background", background, low=0, high=classes - 1)
            self.background = background
            if not self._shared:
                self.difficulty = ClassDifficulty(classes - 1)
            super().set_background(background)

    def weights(self) -> Tensor:
        """Weights of the classes (C,) as they are now."""
        weights = self.difficulty.weights()
        if self.background is None:
            return weights
        return torch.cat([weights[: self.background], weights.new_ones(1), weights[self.background :]])

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        weights = self.weights()
        logits, targets = check_logits(logits, targets, len(weights), self.takes_soft_targets)
        rows: Tensor = self.loss(logits, targets)
        of_rows = weights_of_rows(weights, targets)
        if self.weighted_mean and self.reduction == "mean" and len(rows):
            return (of_rows * rows).sum() / of_rows.sum()
        return self.reduce(of_rows * rows)
