"""Binary cross-entropy of every class, with weights of the classes where wanted."""

from torch import Tensor
from torch.nn import functional as F

from longtail.checks import Numbers, check_class_weights
from longtail.counts import Counts
from longtail.losses.base import FromCounts
from longtail.losses.class_balanced import effective_number_weights
from longtail.losses.sigmoid import SigmoidLoss


class BinaryCrossEntropyLoss(SigmoidLoss):
    r"""Binary cross-entropy of every class, for images of several labels:

    .. math::
        L_i = \sum_c w_c \left( y_{ic} \, \mathrm{softplus}(-x_{ic}) + (1 - y_{ic}) \, \mathrm{softplus}(x_{ic}) \right)

    Shapes: logits (M, C), labels (M, C), 0 or 1 of any type; returns a scalar, or (M,) with ``reduction="none"``, in
    both cases the sum over the classes. An empty batch gives 0. Computed in float32 under autocast.

    Args:
        class_weights: w (C,), not negative; 1 for every class where left out.
        reduction: "mean" or "none".

    Raises:
        ValueError: on weights that are negative or not finite, a wrong shape, or a label that is neither 0 nor 1.
    """

    class_weights: Tensor | None

    def __init__(self, class_weights: Numbers | None = None, reduction: str = "mean") -> None:
        super().__init__(reduction)
        weights = None if class_weights is None else check_class_weights(class_weights)
        if weights is not None:
            self.num_classes = len(weights)
        self.register_buffer("class_weights", weights, persistent=False)

    def terms(self, logits: Tensor, labels: Tensor) -> Tensor:
        costs = F.softplus(logits * (1 - 2 * labels))  # of a negative as it is, of a positive turned round
        return costs if self.class_weights is None else self.class_weights * costs


class ClassBalancedBinaryLoss(FromCounts, BinaryCrossEntropyLoss):
    r"""Binary cross-entropy with every class weighted by its inverse effective number of samples,
    :math:`w_c \propto (1 - \beta) / (1 - \beta^{n_c})` with mean 1 over the classes.

    Shapes: as of ``BinaryCrossEntropyLoss``.

    Args:
        class_counts: training images of each class (C,), all positive.
        beta: in 0..1, below 1; 0 weighs all classes the same.
        reduction: "mean" or "none".

    Raises:
        ValueError: on counts that are not positive, beta outside 0..1, a wrong shape, or a label that is neither 0 nor
            1.

    Source: Cui et al., Class-balanced loss based on effective number of samples, CVPR 2019, equation 2 and
    section 4.2. There a row has one class, whose weight all its terms get; here each class has its own.
    """

    def __init__(self, class_counts: Counts, beta: float = 0.9999, reduction: str = "mean") -> None:
        super().__init__(effective_number_weights(class_counts, beta), reduction)
