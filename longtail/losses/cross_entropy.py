"""Softmax cross-entropy, with class weights where wanted."""

from torch import Tensor

from longtail.checks import Numbers, check_shape
from longtail.losses.softmax import SoftmaxLoss


class CrossEntropyLoss(SoftmaxLoss):
    r"""Softmax cross-entropy, :math:`L_i = -w_{y_i} \log \mathrm{softmax}(x_i)_{y_i}`.

    Shapes: logits (M, C), targets (M,); returns a scalar, or (M,) with ``reduction="none"``. An empty batch gives 0.
    Computed in float32 under autocast.

    Args:
        class_weights: w (C,), not negative; 1 for every class where left out. The mean divides by the number of rows,
            not by the sum of their weights as ``torch.nn.CrossEntropyLoss`` does.
        reduction: "mean" or "none".

    Raises:
        ValueError: on weights that are negative or not finite, a wrong shape, or a label outside 0..C-1.
    """

    class_weights: Tensor | None

    def __init__(self, class_weights: Numbers | None = None, reduction: str = "mean") -> None:
        super().__init__(reduction)
        weights = None
        if class_weights is not None:
            weights = check_shape("class_weights", class_weights, "C").float().clone()
            if not bool((weights.isfinite() & (weights >= 0)).all()):
                raise ValueError(f"class_weights must be finite and not negative, got {weights.tolist()}")
            self.num_classes = len(weights)
        self.register_buffer("class_weights", weights, persistent=False)
        self.prior_strength = 1.0 if weights is None else None

    def rows(self, log_p: Tensor, targets: Tensor) -> Tensor:
        return -log_p if self.class_weights is None else -self.class_weights[targets] * log_p
