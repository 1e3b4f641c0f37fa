"""Equalization loss v2."""

import torch
from torch import Tensor
from torch.nn import functional as F

from longtail.checks import check_logits, check_number
from longtail.counts import Counts, class_number
from longtail.distributed import sum_over_processes
from longtail.losses.base import BackgroundLoss, FromCounts, full_precision
from longtail.losses.softmax import blocks, scale_rows, worth_blocks
from longtail.losses.with_gradient import Formula, WithGradient


class EqualizationLossV2(FromCounts, BackgroundLoss):
    r"""Sigmoid cross-entropy with classes weighted by the balance of the gradients they have had so far.

    .. math::
        L_i = w^+_{y} \, \mathrm{softplus}(-x_{iy}) + \sum_{c \neq y} w^-_c \, \mathrm{softplus}(x_{ic}), \qquad
        w^-_c = \frac{1}{1 + e^{-\gamma (g_c - \mu)}}, \quad w^+_c = 1 + \alpha (1 - w^-_c)

    g_c is the sum of the weighted gradients :math:`w |\sigma(x) - t|` that class c has had as the true class, over the
    sum of those it has had as another; 100 as long as the latter is 0, so that all weights start near 1. Rare classes
    are mostly negatives: their g is low, so negatives weigh less and positives more. Classify by the largest logit.

    Shapes: logits (M, C), targets (M,); returns a scalar, or (M,) with ``reduction="none"``, in both cases the sum over
    the classes. An empty batch gives 0. Computed in float32 under autocast. The sums grow in training mode only, after
    they are used, over all processes, and are part of the state dict.

    Args:
        num_classes: C; the class counts (C,) do as well.
        gamma: steepness of the weights.
        mu: gradient ratio at which the negatives weigh one half.
        alpha: most that a positive's weight gains, not negative.
        background: class that stands for none of the others, where there is one, as in detection. Both of its weights
            are 1, whatever its gradients.
        reduction: "mean" or "none".

    Raises:
        ValueError: on a negative gamma, mu or alpha, a wrong shape, or a background or label outside 0..C-1.

    Source: Tan et al., Equalization loss v2, CVPR 2021, equations 5 to 8; the background as in the released code.
    """

    sigmoid = True

    positive_gradients: Tensor
    negative_gradients: Tensor

    def __init__(
        self,
        num_classes: int | Counts,
        gamma: float = 12.0,
        mu: float = 0.8,
        alpha: float = 4.0,
        background: int | None = None,
        reduction: str = "mean",
    ) -> None:
        num_classes = class_number(num_classes)
        super().__init__(num_classes, background, reduction)
        check_number("gamma", gamma, low=0)
        check_number("mu", mu, low=0)
        check_number("alpha", alpha, low=0)
        self.gamma, self.mu, self.alpha = gamma, mu, alpha
        self.register_buffer("positive_gradients", torch.zeros(num_classes))
        self.register_buffer("negative_gradients", torch.zeros(num_classes))

    def weights(self) -> tuple[Tensor, Tensor]:
        """Weights of the classes as positives and as negatives, (C,) each."""
        positive, negative = full_precision(self.positive_gradients), full_precision(self.negative_gradients)
        ratio = torch.where(negative > 0, positive / negative, 100.0)
        as_negative = torch.sigmoid(self.gamma * (ratio - self.mu))
        if self.background is not None:
            as_negative[self.background] = 1
        return 1 + self.alpha * (1 - as_negative), as_negative

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        logits, targets = check_logits(logits, targets, self.num_classes)
        as_positive, as_negative = self.weights()
        formula = _in_blocks if worth_blocks(logits) else _plain
        with torch.autocast(logits.device.type, enabled=False):
            rows, positive, negative = formula(logits, targets, as_positive, as_negative)
        if self.training:
            both = sum_over_processes(torch.stack([positive, negative]).to(self.positive_gradients.dtype))
            if torch.compiler.is_compiling():  # its backward may compute the weights again, from the sums as they were
                self.positive_gradients = self.positive_gradients + both[0]
                self.negative_gradients = self.negative_gradients + both[1]
            else:
                self.positive_gradients += both[0]
                self.negative_gradients += both[1]
        return self.reduce(rows)


def _plain(logits: Tensor, targets: Tensor, as_positive: Tensor, as_negative: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rows (M,), and the sums over the rows of the gradients of true and of other classes, (C,) each."""
    x, own = full_precision(logits), targets[:, None]
    true = x.gather(1, own).squeeze(1)
    others = F.softplus(x).scatter(1, own, 0) @ as_negative.to(x.dtype)
    rows = others + F.softplus(-true) * as_positive[targets]
    p = x.detach().sigmoid()
    positive = torch.zeros_like(as_positive, dtype=x.dtype)
    positive = positive.index_add(0, targets, as_positive[targets] * (1 - p.gather(1, own).squeeze(1)))
    return rows, positive, p.scatter(1, own, 0).sum(0) * as_negative


def _in_blocks(
    logits: Tensor, targets: Tensor, as_positive: Tensor, as_negative: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """`_plain` in blocks of rows that stay in a CPU's cache. The gradient is made with the value, as in the softmax
    losses."""
    sums: dict[str, Tensor] = {}

    def value_and_gradient(
        logits: Tensor, targets: Tensor, weights: tuple[Tensor, Tensor], with_gradient: bool
    ) -> tuple[Tensor, Tensor | None]:
        gradient = torch.empty_like(logits) if with_gradient else None
        rows, sums["positive"], sums["negative"] = _values(logits, targets, *weights, gradient)
        return rows, gradient

    formula = Formula(lambda x, labels, weights: _plain(x, labels, *weights)[0], value_and_gradient, scale_rows)
    rows: Tensor = WithGradient.apply(logits, targets, (as_positive, as_negative), formula)
    return rows, sums["positive"], sums["negative"]


def _values(
    logits: Tensor, targets: Tensor, as_positive: Tensor, as_negative: Tensor, gradient: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """What `_plain` gives; the gradient of the rows, w (sigma(x) - t), is written to ``gradient`` where wanted."""
    rows = torch.empty_like(targets, dtype=torch.promote_types(logits.dtype, torch.float32))
    positive, negative = torch.zeros_like(as_positive), torch.zeros_like(as_negative)
    for block in blocks(logits):
        x, own = full_precision(logits[block]), targets[block, None]
        true = x.gather(1, own).squeeze(1)
        place = torch.empty_like(x) if gradient is None or gradient.dtype != x.dtype else gradient[block]
        p = torch.sigmoid(x, out=place)
        others = _softplus(x, p).scatter_(1, own, 0) @ as_negative.to(x.dtype)
        rows[block] = others + F.softplus(-true) * as_positive[targets[block]]
        of_true = as_positive[targets[block]] * torch.sigmoid(-true)
        by_class = p.mul_(as_negative).scatter_(1, own, 0)
        positive.index_add_(0, targets[block], of_true.to(positive.dtype))
        negative += by_class.sum(0)
        if gradient is not None:
            gradient[block] = by_class.scatter_(1, own, -of_true[:, None])
    return rows, positive, negative


def _softplus(x: Tensor, p: Tensor) -> Tensor:
    """softplus(x) = max(x, 0) - log(max(p, 1 - p)), p = sigmoid(x), by a plain log: log1p is several times as slow on
    CPUs. What 1 - p lost by rounding is made good, so a small p counts in full."""
    rest = 1 - p
    lost = (1 - rest).sub_(p)
    return x.relu().sub_(torch.maximum(p, rest).log_()).sub_(lost)
