"""Focal loss on softmax probabilities."""

from torch import Tensor

from longtail.checks import Numbers, check_number
from longtail.losses.cross_entropy import CrossEntropyLoss


class FocalLoss(CrossEntropyLoss):
    r"""Focal loss, :math:`L_i = -w_{y_i} (1 - p_i)^\gamma \log p_i` with :math:`p_i = \mathrm{softmax}(x_i)_{y_i}`.

    Samples that are classified well count less. This is the form for classes that exclude each other; for independent
    labels there is ``torchvision.ops.sigmoid_focal_loss``.

    Under soft targets and label smoothing the mean over the classes, see ``SoftmaxLoss``.

    Shapes: logits (M, C), targets (M,), or soft ones (M, C); returns a scalar, or (M,) with ``reduction="none"``. An
    empty batch gives 0. Computed in float32 under autocast.

    Args:
        gamma: focus, not negative; 0 is cross-entropy.
        class_weights: w (C,), not negative; 1 for every class where left out.
        label_smoothing: epsilon, in 0..1.
        reduction: "mean" or "none".

    Raises:
        ValueError: on a negative gamma, weights that are negative or not finite, a smoothing outside 0..1, a wrong
            shape, a label outside 0..C-1, or soft targets that are no distributions.

    Source: Lin et al., Focal loss for dense object detection, ICCV 2017, equation 5.
    """

    def __init__(
        self,
        gamma: float = 2.0,
        class_weights: Numbers | None = None,
        label_smoothing: float = 0.0,
        reduction: str = "mean",
    ) -> None:
        super().__init__(class_weights, label_smoothing, reduction)
        check_number("gamma", gamma, low=0)
        self.gamma = gamma
        if gamma:
            self.prior_strength = None

    def rows(self, log_p: Tensor, weights: Tensor | None) -> Tensor:
        rest = -log_p.expm1()  # 1 - p, exact where p is near 1
        return rest.clamp(min=1e-30) ** self.gamma * super().rows(log_p, weights)
