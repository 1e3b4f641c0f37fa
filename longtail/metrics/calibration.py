"""Expected calibration error."""

import torch
from torch import Tensor
from torchmetrics import Metric

from longtail.checks import Numbers, check_logits


class CalibrationError(Metric):
    r"""Expected calibration error,
    :math:`\sum_b \frac{|B_b|}{M} \left| \mathrm{accuracy}(B_b) - \mathrm{confidence}(B_b) \right|`.

    B_b are equal-width bins of the top softmax probability. Sums over batches and over processes.

    Shapes: ``update`` takes logits (M, C) and targets (M,); ``compute`` returns a scalar in [0, 1], NaN before any row.

    Args:
        bins: number of bins.

    Source: Guo et al., On calibration of modern neural networks, ICML 2017, equation 3.
    """

    full_state_update = False
    gap: Tensor
    rows: Tensor

    def __init__(self, bins: int = 15) -> None:
        super().__init__()
        self.bins = bins
        self.add_state("gap", torch.zeros(bins), dist_reduce_fx="sum")
        self.add_state("rows", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, logits: Numbers, targets: Numbers) -> None:
        logits, targets = check_logits(logits, targets)
        confidence, predicted = logits.float().softmax(1).max(1)
        index = (confidence * self.bins).ceil().long().clamp(1, self.bins) - 1
        self.gap.index_add_(0, index, (predicted == targets).float() - confidence)
        self.rows += len(targets)

    def compute(self) -> Tensor:
        return self.gap.abs().sum() / self.rows
