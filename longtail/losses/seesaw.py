"""Seesaw loss."""

import torch
from torch import Tensor

from longtail.checks import check_logits, check_number
from longtail.counts import Counts, class_number
from longtail.distributed import sum_over_processes
from longtail.losses.base import FromCounts, Loss
from longtail.losses.softmax import true_log_probability


class SeesawLoss(FromCounts, Loss):
    r"""Cross-entropy that spares rare classes the push of common ones, and restores it where it is needed.

    .. math::
        L_i = -\log \frac{e^{x_{iy}}}{\sum_j S_{yj} e^{x_{ij}}}, \qquad
        S_{yj} = \min\left(1, \frac{N_j}{N_y}\right)^p \max\left(1, \frac{\sigma_j}{\sigma_y}\right)^q, \qquad
        S_{yy} = 1

    N_c is the number of samples of class c seen in training so far, this batch included, at least 1; sigma is the
    softmax of the logits, without gradient. The first factor (mitigation) weakens the negative gradient of a rarer
    class j, the second (compensation) strengthens it where j is predicted above the true class.

    Shapes: logits (M, C), targets (M,); returns a scalar, or (M,) with ``reduction="none"``. An empty batch gives 0.
    Computed in float32 under autocast. The counts grow in training mode only, over all processes, and are part of the
    state dict.

    Args:
        num_classes: C; the class counts (C,) do as well.
        p: strength of the mitigation, not negative.
        q: strength of the compensation, not negative.
        reduction: "mean" or "none".

    Raises:
        ValueError: on a negative p or q, a wrong shape, or a label outside 0..C-1.

    Source: Wang et al., Seesaw loss for long-tailed instance segmentation, CVPR 2021, equations 4 to 8.
    """

    seen: Tensor

    def __init__(self, num_classes: int | Counts, p: float = 0.8, q: float = 2.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        num_classes = class_number(num_classes)
        check_number("p", p, low=0)
        check_number("q", q, low=0)
        self.num_classes, self.p, self.q = num_classes, p, q
        self.register_buffer("seen", torch.zeros(num_classes, dtype=torch.int64))

    def observe(self, targets: Tensor) -> None:
        known = targets >= 0
        of_batch = torch.zeros_like(self.seen).index_add(0, targets.clamp(min=0), known.to(self.seen.dtype))
        self.seen += sum_over_processes(of_batch)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        logits, targets = check_logits(logits, targets, self.num_classes)
        if self.training:
            self.observe(targets)
        counts = self.seen.clamp(min=1)  # as it is now, whenever the gradient is taken

        def adjust(logits: Tensor, targets: Tensor) -> Tensor:
            weight = self.p * counts.to(logits.dtype).log()
            mitigation = (weight - weight[targets, None]).clamp_(max=0)
            x = logits.detach()
            compensation = (x - x.gather(1, targets[:, None])).clamp_(min=0)  # log sigma_j / sigma_y
            return logits + mitigation.add_(compensation, alpha=self.q)

        return self.reduce(-true_log_probability(logits, targets, adjust))
