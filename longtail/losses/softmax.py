"""What the losses of softmax probabilities share: log p of the true class, at the cost of plain cross-entropy."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from longtail.checks import check_logits
from longtail.losses.base import Loss, full_precision

Adjust = Callable[[Tensor, Tensor], Tensor]

BLOCK = 2**19  # logits worked on at a time on a CPU: 2 MB in float32, so that temporaries stay in its cache


class SoftmaxLoss(Loss):
    """A loss that follows from the softmax probability of the true class, on logits that may be adjusted before.

    Shapes: logits (M, C), targets (M,); returns a scalar, or (M,) with ``reduction="none"``. An empty batch gives 0.
    Computed in float32 under autocast.

    A subclass says what it does to the logits (`adjust`), to the log-probabilities (`rows`), or to both.
    """

    num_classes: int | None = None  # C, where the loss knows it

    def adjust(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Logits (m, C) of some rows, in float32 or wider, to the logits that the softmax is taken of."""
        return logits

    def rows(self, log_p: Tensor, targets: Tensor) -> Tensor:
        """Log-probability of the true class (M,) to the loss of each row (M,)."""
        return -log_p

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        check_logits(logits, targets, self.num_classes)
        return self.reduce(self.rows(true_log_probability(logits, targets, self.adjust), targets))


def true_log_probability(logits: Tensor, targets: Tensor, adjust: Adjust) -> Tensor:
    """log softmax(adjust(logits))[y] for each row (M,), in float32 or wider, where adjust adds what does not depend on
    the logits, or only on their detached values.

    Large logits on a CPU are worked on in blocks of rows that stay in its cache; elsewhere in one piece.
    """
    if logits.numel() <= BLOCK or logits.device.type != "cpu" or torch.compiler.is_compiling():
        return _plain(logits, targets, adjust)
    rows: Tensor = _Blocked.apply(logits, targets, adjust)
    return rows


def _plain(logits: Tensor, targets: Tensor, adjust: Adjust) -> Tensor:
    log_p = adjust(full_precision(logits), targets).log_softmax(1)
    return log_p.gather(1, targets[:, None]).squeeze(1)


class _Blocked(torch.autograd.Function):
    """`_plain`, block by block. Its gradient is onehot(y) - p; p is all that is kept, in the type of the logits."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, adjust: Adjust) -> Tensor:
        keep = ctx.needs_input_grad[0]
        size = max(1, BLOCK // logits.shape[1])
        probabilities = torch.empty_like(logits) if keep else None
        rows = []
        for start in range(0, len(logits), size):
            block = slice(start, start + size)
            log_p = adjust(full_precision(logits[block]), targets[block]).log_softmax(1)
            rows.append(log_p.gather(1, targets[block, None]).squeeze(1))
            if probabilities is not None:
                torch.exp(log_p, out=probabilities[block])
        ctx.save_for_backward(logits, targets, probabilities)
        ctx.adjust = adjust
        return torch.cat(rows)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        logits, targets, probabilities = ctx.saved_tensors
        if torch.is_grad_enabled():  # a gradient of the gradient is wanted
            again = _plain(logits, targets, ctx.adjust)
            return *torch.autograd.grad(again, logits, gradient, create_graph=True), None, None
        each = gradient[:, None].to(logits.dtype)
        return (probabilities * -each).scatter_add_(1, targets[:, None], each), None, None
