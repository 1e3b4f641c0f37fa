"""Asymmetric loss."""

from torch import Tensor
from torch.nn import functional as F

from longtail.checks import check_number
from longtail.losses.sigmoid import SigmoidLoss

LEAST = 1e-30  # base of a power, whose gradient at 0 may be infinite


class AsymmetricLoss(SigmoidLoss):
    r"""Binary cross-entropy in which negatives are focused on more than positives, and easy ones do not count at all.

    .. math::
        L_i = -\sum_c y_{ic} (1 - p_{ic})^{\gamma_+} \log p_{ic}
              + (1 - y_{ic}) \, \tilde p_{ic}^{\,\gamma_-} \log (1 - \tilde p_{ic}), \qquad
        p = \sigma(x), \quad \tilde p = \max(p - m, 0)

    Most classes are absent from most images, so the many negatives would outweigh the few positives of a rare class.
    With both powers and m at 0 it is binary cross-entropy.

    Shapes: logits (M, C), labels (M, C), 0 or 1 of any type; returns a scalar, or (M,) with ``reduction="none"``, in
    both cases the sum over the classes. An empty batch gives 0. Computed in float32 under autocast.

    Args:
        gamma_neg: focus of the negatives, not negative.
        gamma_pos: focus of the positives, not negative.
        clip: m, in 0..1: the probability below which a negative costs nothing.
        reduction: "mean" or "none".

    Raises:
        ValueError: on an option outside its range, a wrong shape, or a label that is neither 0 nor 1.

    Source: Ridnik et al., Asymmetric loss for multi-label classification, ICCV 2021, equations 4 to 7, with the values
    of its experiments on COCO. The gradient is that of the formula, through the powers as well.
    """

    def __init__(
        self, gamma_neg: float = 4.0, gamma_pos: float = 0.0, clip: float = 0.05, reduction: str = "mean"
    ) -> None:
        super().__init__(reduction)
        check_number("gamma_neg", gamma_neg, low=0)
        check_number("gamma_pos", gamma_pos, low=0)
        check_number("clip", clip, low=0, high=1)
        self.gamma_neg, self.gamma_pos, self.clip = gamma_neg, gamma_pos, clip

    def terms(self, logits: Tensor, labels: Tensor) -> Tensor:
        rest = F.logsigmoid(-logits)  # log(1 - p)
        if self.clip:
            rest = ((-logits).sigmoid() + self.clip).clamp(max=1).log()
        shifted = (logits.sigmoid() - self.clip).clamp(min=LEAST)
        positive = (-logits).sigmoid().clamp(min=LEAST) ** self.gamma_pos * F.softplus(-logits)
        return labels * positive - (1 - labels) * shifted**self.gamma_neg * rest
