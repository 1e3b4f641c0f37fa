"""Label-distribution-aware margin loss with deferred re-weighting."""

import torch
from torch import Tensor, nn

from longtail.checks import check_number
from longtail.counts import Counts, counts_tensor
from longtail.losses.base import FromCounts
from longtail.losses.class_balanced import effective_number_weights
from longtail.losses.softmax import SoftmaxLoss


class DeferredMargins(nn.Module):
    """What the losses with such margins share: the margins, and the class weights that set in late.

    Attributes:
        num_classes: C.
        margins: (C,), times the scale of the logits.
        class_weights: (C,) as they are now.
    """

    num_classes: int | None
    margins: Tensor
    late_weights: Tensor
    class_weights: Tensor

    def set_margins(
        self, class_counts: Counts, max_margin: float, scale: float, reweight_from: float | None, beta: float
    ) -> None:
        """Make them; the arguments are those of ``LDAMLoss``."""
        check_number("max_margin", max_margin, low=0)
        check_number("scale", scale, low=0)
        if reweight_from is not None:
            check_number("reweight_from", reweight_from, low=0, high=1)
        counts = counts_tensor(class_counts)
        self.num_classes = len(counts)
        self.reweight_from = reweight_from
        margins = max_margin * (counts.min() / counts.double()) ** 0.25
        self.register_buffer("margins", (scale * margins).float(), persistent=False)
        self.register_buffer("late_weights", effective_number_weights(class_counts, beta), persistent=False)
        self.register_buffer("class_weights", torch.ones(len(counts)))

    def set_epoch(self, epoch: int, epochs: int) -> None:
        """Say that an epoch begins; see ``Loss.set_epoch``."""
        late = self.reweight_from is not None and epoch >= self.reweight_from * epochs - 1e-6  # rounding
        self.class_weights.copy_(self.late_weights if late else torch.ones_like(self.late_weights))


class LDAMLoss(FromCounts, DeferredMargins, SoftmaxLoss):
    r"""Cross-entropy with a margin that is larger for rarer classes, and class weights from a late epoch on.

    .. math::
        L_i = w_{y_i} \mathrm{CE}(x_i - s \, m_{y_i} \mathbb{1}_{y_i}, y_i), \qquad
        m_c = m_{max} \left( \frac{\min n}{n_c} \right)^{1/4}

    The logits are those of a cosine classifier, x = s cos, so the margins are in units of the cosine. Deferred
    re-weighting (DRW): w is 1 until `set_epoch` reports that the part ``reweight_from`` of the run is over; from then
    on it is the inverse effective number of samples, with mean 1 over the classes.

    Under soft targets it is the mean over the classes, each with its own margin, see ``SoftmaxLoss``.

    Shapes: logits (M, C), targets (M,), or soft ones (M, C); returns a scalar, or (M,) with ``reduction="none"``. An
    empty batch gives 0. Computed in float32 under autocast.

    Args:
        class_counts: training images of each class (C,), all positive.
        max_margin: m of the rarest class, not negative.
        scale: s, the factor of the cosines in the classifier; 1 for a linear one.
        reweight_from: part of the run, in 0..1, after which the weights set in; never where left out. The papers take
            160 of 200 epochs, 0.8.
        beta: of the effective number of samples.
        reduction: "mean" or "none".

    Raises:
        ValueError: on counts that are not positive, a negative margin or scale, reweight_from or beta outside 0..1, a
            wrong shape, a label outside 0..C-1, or soft targets that are no distributions.

    Source: Cao et al., Learning imbalanced datasets with label-distribution-aware margin loss, NeurIPS 2019, equations
    12 and 13 and algorithm 1.
    """

    adds_constants = True
    class_weights: Tensor

    def __init__(
        self,
        class_counts: Counts,
        max_margin: float = 0.5,
        scale: float = 30.0,
        reweight_from: float | None = None,
        beta: float = 0.9999,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction)
        self.set_margins(class_counts, max_margin, scale, reweight_from, beta)

    def adjust(self, logits: Tensor, targets: Tensor) -> Tensor:
        margins = self.margins[targets, None].to(logits.dtype)
        return logits.scatter_add(1, targets[:, None], -margins)

    def log_probabilities(self, logits: Tensor) -> Tensor:
        """With its margin class c has log p_c - m_c - log(1 - p_c + p_c e^-m_c), in units of the logits."""
        log_p, margins = super().log_probabilities(logits), self.margins.to(logits.dtype)
        p = log_p.exp()
        top = p.argmax(1, keepdim=True)  # of it 1 - p is rounded away, and the sum of the others is not
        rest = (1 - p).scatter(1, top, p.scatter(1, top, 0).sum(1, keepdim=True))
        total = (rest + p * (-margins).exp()).clamp(min=torch.finfo(p.dtype).tiny)
        return log_p - margins - total.log()
