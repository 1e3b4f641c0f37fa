"""Logit-adjusted cross-entropy (balanced softmax)."""

import math

from torch import Tensor

from longtail.counts import Counts, log_prior
from longtail.losses.base import FromCounts
from longtail.losses.softmax import SoftmaxLoss


class LogitAdjustedLoss(FromCounts, SoftmaxLoss):
    """Cross-entropy on logits shifted by the class prior, L_i = CE(logits_i + strength * log p, y_i).

    p_c = n_c / sum n. The shift belongs to training alone: classify with the unshifted logits. Strength 1 is the
    balanced softmax; strength 0, or uniform counts, is plain cross-entropy.

    Under soft targets and label smoothing the mean over the classes, see ``SoftmaxLoss``: the cross-entropy of the
    shifted logits and the target.

    Shapes: logits (M, C), targets (M,), or soft ones (M, C); returns a scalar, or (M,) with ``reduction="none"``. An
    empty batch gives 0.

    Args:
        class_counts: training images of each class (C,), all positive.
        strength: factor of the log prior.
        label_smoothing: epsilon, in 0..1.
        reduction: "mean" or "none".

    Raises:
        ValueError: on counts that are not positive, a strength that is not finite, a smoothing outside 0..1, a wrong
            shape, a label outside 0..C-1, or soft targets that are no distributions.

    Source: Menon et al., Long-tail learning via logit adjustment, ICLR 2021, equation 10; Ren et al., Balanced
    meta-softmax, NeurIPS 2020, equation 4.
    """

    adds_constants = True
    adjustment: Tensor

    def __init__(
        self, class_counts: Counts, strength: float = 1.0, label_smoothing: float = 0.0, reduction: str = "mean"
    ) -> None:
        super().__init__(reduction, label_smoothing=label_smoothing)
        if not math.isfinite(strength):
            raise ValueError(f"strength must be finite, got {strength}")
        self.strength = strength
        self.prior_strength = None if label_smoothing else 1.0 - strength
        self.register_buffer("adjustment", strength * log_prior(class_counts), persistent=False)
        self.num_classes = len(self.adjustment)

    def adjust(self, logits: Tensor, targets: Tensor) -> Tensor:
        return logits + self.adjustment

    def log_probabilities(self, logits: Tensor) -> Tensor:
        return super().log_probabilities(logits + self.adjustment)
