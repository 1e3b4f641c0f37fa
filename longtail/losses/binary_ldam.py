"""Label-distribution-aware margins on sigmoids."""

from torch import Tensor
from torch.nn import functional as F

from longtail.counts import Counts
from longtail.losses.base import FromCounts
from longtail.losses.ldam import DeferredMargins
from longtail.losses.sigmoid import SigmoidLoss


class BinaryLDAMLoss(FromCounts, DeferredMargins, SigmoidLoss):
    r"""Binary cross-entropy with a margin of the positives that is larger for rarer classes, and class weights from a
    late epoch on.

    .. math::
        L_i = \sum_c w_c \left( y_{ic} \, \mathrm{softplus}(-(x_{ic} - s \, m_c))
              + (1 - y_{ic}) \, \mathrm{softplus}(x_{ic}) \right)

    The margins m and the weights w are those of ``LDAMLoss``.

    Shapes: logits (M, C), labels (M, C), 0 or 1 of any type; returns a scalar, or (M,) with ``reduction="none"``, in
    both cases the sum over the classes. An empty batch gives 0. Computed in float32 under autocast.

    Args:
        class_counts: training images of each class (C,), all positive.
        max_margin: m of the rarest class, not negative.
        scale: s, the factor of the cosines in the classifier; 1 for a linear one.
        reweight_from: part of the run, in 0..1, after which the weights set in; never where left out.
        beta: of the effective number of samples.
        reduction: "mean" or "none".

    Raises:
        ValueError: on counts that are not positive, an option outside its range, a wrong shape, or a label that is
            neither 0 nor 1.

    Source: Cao et al., Learning imbalanced datasets with label-distribution-aware margin loss, NeurIPS 2019, equation
    13 and algorithm 1. On sigmoids it is our reading: each class is a question of two answers, of which the paper's
    softmax of two logits is the sigmoid of their difference.
    """

    def __init__(
        self,
        class_counts: Counts,
        max_margin: float = 0.5,
        scale: float = 1.0,
        reweight_from: float | None = None,
        beta: float = 0.9999,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction)
        self.set_margins(class_counts, max_margin, scale, reweight_from, beta)

    def terms(self, logits: Tensor, labels: Tensor) -> Tensor:
        shifted = logits - labels * self.margins
        return self.class_weights * F.softplus(shifted * (1 - 2 * labels))
