"""Class-balanced loss, by the effective number of samples."""

from torch import Tensor

from longtail.checks import check_number
from longtail.counts import Counts, counts_tensor
from longtail.losses.base import FromCounts
from longtail.losses.focal import FocalLoss


def effective_number_weights(class_counts: Counts, beta: float) -> Tensor:
    r"""Weights proportional to the inverse effective number, :math:`(1 - \beta) / (1 - \beta^{n_c})`, with mean 1 over
    the classes; float32 (C,).

    Raises:
        ValueError: on counts that are not positive, or beta outside 0..1 (1 itself left out).

    Source: Cui et al., Class-balanced loss based on effective number of samples, CVPR 2019, equations 2 and 6.
    """
    check_number("beta", beta, low=0, high=1)
    if beta == 1:
        raise ValueError("beta must be below 1, got 1")
    weights = (1 - beta) / (1 - beta ** counts_tensor(class_counts).double())
    return (weights / weights.mean()).float()


class ClassBalancedLoss(FromCounts, FocalLoss):
    r"""Cross-entropy or focal loss, each class weighted by its inverse effective number of samples.

    .. math::
        L_i = -w_{y_i} (1 - p_i)^\gamma \log p_i, \qquad w_c \propto \frac{1 - \beta}{1 - \beta^{n_c}}

    The weights have mean 1 over the classes. beta 0 weighs all classes the same, beta near 1 by the inverse frequency.

    Under soft targets and label smoothing the mean over the classes, see ``SoftmaxLoss``.

    Shapes: logits (M, C), targets (M,), or soft ones (M, C); returns a scalar, or (M,) with ``reduction="none"``. An
    empty batch gives 0. Computed in float32 under autocast.

    Args:
        class_counts: training images of each class (C,), all positive.
        beta: in 0..1, below 1.
        gamma: 0 for cross-entropy, above 0 for the focal loss, here on softmax probabilities.
        label_smoothing: epsilon, in 0..1.
        reduction: "mean" or "none".

    Raises:
        ValueError: on counts that are not positive, a negative gamma, beta or a smoothing outside 0..1, a wrong shape,
            a label outside 0..C-1, or soft targets that are no distributions.

    Source: Cui et al., Class-balanced loss based on effective number of samples, CVPR 2019, equations 2, 8 and 13.
    """

    def __init__(
        self,
        class_counts: Counts,
        beta: float = 0.9999,
        gamma: float = 0.0,
        label_smoothing: float = 0.0,
        reduction: str = "mean",
    ) -> None:
        super().__init__(gamma, effective_number_weights(class_counts, beta), label_smoothing, reduction)
