"""Softmax cross-entropy, with class weights and label smoothing where wanted."""

from longtail.checks import Numbers, check_class_weights
from longtail.losses.softmax import SoftmaxLoss


class CrossEntropyLoss(SoftmaxLoss):
    r"""Softmax cross-entropy, :math:`L_i = -w_{y_i} \log \mathrm{softmax}(x_i)_{y_i}`; with soft targets or label
    smoothing :math:`L_i = -w_i \sum_c q'_{ic} \log \mathrm{softmax}(x_i)_c`, see ``SoftmaxLoss``.

    Shapes: logits (M, C), targets (M,), or soft ones (M, C); returns a scalar, or (M,) with ``reduction="none"``. An
    empty batch gives 0. Computed in float32 under autocast.

    Args:
        class_weights: w (C,), not negative; 1 for every class where left out. The mean divides by the number of rows,
            not by the sum of their weights as ``torch.nn.CrossEntropyLoss`` does.
        label_smoothing: epsilon, in 0..1. A row weighs what its true class weighs, not what the classes weigh that its
            label is smeared over, as it does in ``torch.nn.CrossEntropyLoss``.
        reduction: "mean" or "none".

    Raises:
        ValueError: on weights that are negative or not finite, a smoothing outside 0..1, a wrong shape, a label outside
            0..C-1, or soft targets that are no distributions.
    """

    def __init__(
        self, class_weights: Numbers | None = None, label_smoothing: float = 0.0, reduction: str = "mean"
    ) -> None:
        weights = None if class_weights is None else check_class_weights(class_weights)
        super().__init__(reduction, weights, label_smoothing)
        self.num_classes = None if weights is None else len(weights)
        self.prior_strength = 1.0 if weights is None and not label_smoothing else None
