"""Federated loss."""

import torch
from torch import Tensor
from torch.nn import functional as F

from longtail.checks import check_logits, check_number
from longtail.counts import Counts, counts_tensor
from longtail.losses.base import BackgroundLoss, FromCounts, full_precision


class FederatedLoss(FromCounts, BackgroundLoss):
    r"""Sigmoid cross-entropy where only some of the classes count in each batch: those in it, and a sample of the rest.

    .. math::
        L_i = \mathrm{softplus}(-x_{iy}) + \sum_{c \in S, \, c \neq y} \mathrm{softplus}(x_{ic})

    S holds every class among the targets of the batch. If they are fewer than ``num_sampled``, it is filled up to that
    number: classes are drawn one after another, without replacement, with probability proportional to n_c^power. So
    a rare class is pushed down in few of the batches it is not in. Classify by the largest logit.

    It draws from torch's default generator of the logits' device, and in training mode only; otherwise all classes
    count. Where several processes train, each draws its own S, for its own rows.

    Shapes: logits (M, C), targets (M,); returns a scalar, or (M,) with ``reduction="none"``, in both cases the sum over
    the classes of S. An empty batch gives 0. Computed in float32 under autocast.

    Args:
        class_counts: training images of each class (C,), all positive.
        num_sampled: classes that count in a batch at least, 1 or more; all of them where there are not so many.
        power: of the counts, not negative; 0 draws all classes alike.
        background: class that stands for none of the others, where there is one. It always counts, beside
            ``num_sampled``; its count is not used.
        reduction: "mean" or "none".

    Raises:
        ValueError: on counts that are not positive, num_sampled below 1, a negative power, a wrong shape, or a
            background or label outside 0..C-1.

    Source: Zhou, Koltun and Krähenbühl, Probabilistic two-stage detection, 2021, and its released code. There the
    background has no logit, and a batch with background draws one class less.
    """

    sigmoid = True

    draw_weights: Tensor

    def __init__(
        self,
        class_counts: Counts,
        num_sampled: int = 50,
        power: float = 0.5,
        background: int | None = None,
        reduction: str = "mean",
    ) -> None:
        counts = counts_tensor(class_counts)
        super().__init__(len(counts), background, reduction)
        check_number("num_sampled", num_sampled, low=1)
        check_number("power", power, low=0)
        self.num_sampled = num_sampled
        weights = (counts / counts.double().max()) ** power
        self.register_buffer("draw_weights", weights.float(), persistent=False)

    def sample(self, targets: Tensor) -> Tensor:
        """Draw the classes that count in a batch with these targets (M,): a mask (C,)."""
        weights = full_precision(self.draw_weights)
        counted = torch.zeros_like(weights, dtype=torch.bool).index_fill(0, targets, True)
        size = self.num_sampled
        if self.background is not None:
            counted[self.background] = True
            size += 1
        # in the order of exponential variables over their weights, classes come as if drawn one after another
        keys = (torch.empty_like(weights).exponential_() / weights).masked_fill(counted, -1)
        first = keys.topk(min(size, self.num_classes), largest=False).indices
        return counted.index_fill(0, first, True)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        logits, targets = check_logits(logits, targets, self.num_classes)
        counted = self.sample(targets) if self.training else None
        if counted is not None and logits.device.type == "cpu" and not torch.compiler.is_compiling():
            # only their columns; elsewhere one would have to wait for their number
            logits, targets, counted = logits[:, counted], (counted.cumsum(0) - 1)[targets], None
        x, own = full_precision(logits), targets[:, None]
        of_classes = F.softplus(x.scatter(1, own, -x.gather(1, own)))
        if counted is not None:
            of_classes = of_classes.where(counted, 0)
        return self.reduce(of_classes.sum(1))
