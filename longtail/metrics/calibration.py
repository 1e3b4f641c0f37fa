"""How well probabilities say how often they are right."""

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from longtail.checks import Numbers, check_logits
from longtail.figures import PROBABILITIES

UNIT = 2.0**-36  # finer than float32 for a probability above 2^-12, and 100 million rows add up below 2^63 of it


class CalibrationError(Metric):
    r"""Expected calibration error,
    :math:`\sum_b \frac{|B_b|}{M} \left| \mathrm{accuracy}(B_b) - \mathrm{confidence}(B_b) \right|`.

    B_b are equal-width bins of the top softmax probability. Sums over batches and over processes, in units of 2^-36, so
    that their order changes nothing.

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
        self.add_state("gap", torch.zeros(bins, dtype=torch.int64), dist_reduce_fx="sum")  # in units of UNIT
        self.add_state("rows", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, logits: Numbers, targets: Numbers) -> None:
        logits, targets = check_logits(logits, targets)
        confidence, predicted = logits.float().softmax(1).max(1)
        index = (confidence * self.bins).ceil().long().clamp(1, self.bins) - 1
        gap = (predicted == targets).float() - confidence
        self.gap.index_add_(0, index, (gap / UNIT).round().long())
        self.rows += len(targets)

    def compute(self) -> Tensor:
        return self.gap.abs().sum() * UNIT / self.rows


def probability_figures(probabilities: Numbers, targets: Numbers, bins: int = 15) -> dict[str, Tensor]:
    r"""What class probabilities are worth, four scalars; less is better, and NaN stands for what no row tells.

    - "calibration_error": :math:`\sum_b \frac{|B_b|}{M} |\mathrm{accuracy}(B_b) - \mathrm{confidence}(B_b)|` over bins
      of equal numbers of rows, in the order of the largest probability.
    - "class_calibration_error": :math:`\frac{1}{C} \sum_c \sum_b \frac{|B_{cb}|}{M} |\bar y_{cb} - \bar p_{cb}|`, bins
      of equal numbers of rows in the order of the probability of each class.
    - "brier_score": mean of :math:`\sum_c (p_c - y_c)^2`.
    - "negative_log_likelihood": mean of :math:`-\log p_y`.

    Args:
        probabilities: (M, C).
        targets: labels (M,).
        bins: at most, each of one row or more.

    Source: Nixon et al., Measuring calibration in deep learning, CVPR workshops 2019 (bins of equal mass); Kull et al.,
    Beyond temperature scaling, NeurIPS 2019, section 2 (class by class); Brier 1950.
    """
    rows, targets = check_logits(probabilities, targets)
    rows = rows.double()
    if not len(rows):
        return dict.fromkeys(PROBABILITIES, rows.new_tensor(float("nan")))
    truth = nn.functional.one_hot(targets, rows.shape[1]).double()
    confidence, accuracy, images = reliability(rows, targets, bins)
    by_class, order = rows.sort(0)
    gaps = torch.zeros_like(rows[0])
    for part, hits in zip(by_class.tensor_split(bins), truth.gather(0, order).tensor_split(bins), strict=True):
        gaps += (part.sum(0) - hits.sum(0)).abs() / len(rows)
    return {
        "calibration_error": ((confidence - accuracy).abs() * images).sum() / len(rows),
        "class_calibration_error": gaps.mean(),
        "brier_score": (rows - truth).square().sum(1).mean(),
        "negative_log_likelihood": -rows.gather(1, targets[:, None]).clamp_min(1e-300).log().mean(),
    }


def reliability(probabilities: Numbers, targets: Numbers, bins: int = 15) -> tuple[Tensor, Tensor, Tensor]:
    """Mean confidence, accuracy and number of rows (B,) of bins of equal numbers of rows, least confident first.

    Args:
        probabilities: (M, C).
        targets: labels (M,).
        bins: B, or M where that is less.
    """
    rows, targets = check_logits(probabilities, targets)
    confidence, predicted = rows.double().max(1)
    confidence, order = confidence.sort()
    hits = (predicted == targets).double()[order]
    number = max(1, min(bins, len(rows)))
    parts = list(zip(confidence.tensor_split(number), hits.tensor_split(number), strict=True))
    figures = [(part.mean(), hit.mean(), torch.tensor(float(len(part)))) for part, hit in parts if len(part)]
    columns = [torch.stack([figure.to(confidence) for figure in column]) for column in zip(*figures, strict=True)]
    return (columns[0], columns[1], columns[2]) if columns else (confidence, hits, hits)
