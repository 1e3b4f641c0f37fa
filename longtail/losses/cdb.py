"""Class-difficulty-balanced loss (CDB-W)."""

from torch import Tensor

from longtail.difficulty import ClassDifficulty
from longtail.losses.softmax import SoftmaxLoss


class ClassDifficultyLoss(SoftmaxLoss):
    r"""Cross-entropy weighted by class difficulty, :math:`L_i = -w_{y_i} \log \mathrm{softmax}(x_i)_{y_i}`.

    :math:`w_c \propto d_c^\tau` with mean 1 over the classes; d is the share of a class's validation images that are
    classified wrongly. The weights are those that the difficulty has now: update it after each validation.

    Shapes: logits (M, C), targets (M,); returns a scalar, or (M,) with ``reduction="none"``. An empty batch gives 0.
    Computed in float32 under autocast.

    Args:
        difficulty: the object that holds the difficulty of the classes; samplers and reports may share it.
        reduction: "mean" or "none".

    Raises:
        ValueError: on a wrong shape, or a label outside 0..C-1.

    Source: Sinha et al., Class-wise difficulty-balanced loss for solving class-imbalance, ACCV 2020, equations 2 to 4.
    """

    def __init__(self, difficulty: ClassDifficulty, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.difficulty = difficulty
        self.num_classes = len(difficulty.accuracy)

    def rows(self, log_p: Tensor, targets: Tensor) -> Tensor:
        return -self.difficulty.weights()[targets] * log_p
