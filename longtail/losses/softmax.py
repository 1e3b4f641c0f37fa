"""What the losses of softmax probabilities share: log p of the true class, at the cost of plain cross-entropy."""

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from longtail.checks import check_logits
from longtail.losses.base import Loss, full_precision
from longtail.losses.with_gradient import Formula, WithGradient

Adjust = Callable[[Tensor, Tensor], Tensor]

BLOCK = 2**19  # logits worked on at a time on a CPU: 2 MB in float32, so that temporaries stay in its cache


class SoftmaxLoss(Loss):
    """A loss that follows from the softmax probability of the true class, on logits that may be adjusted before.

    Shapes: logits (M, C), targets (M,); returns a scalar, or (M,) with ``reduction="none"``. An empty batch gives 0.
    Computed in float32 under autocast.

    A subclass says what it does to the logits (`adjust`), to the log-probabilities (`rows`), or to both.

    Attributes:
        num_classes: C, where the loss knows it.
        adds_constants: whether all that `adjust` does is to add to the logits what is neither learned nor has a
            gradient with respect to them. Then large logits on a CPU are worked on in blocks; it is the default where
            `adjust` is not overridden, and for the subclass to promise where it is.
    """

    num_classes: int | None = None
    adds_constants: ClassVar[bool] = False

    def adjust(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Logits (m, C) of some rows, in float32 or wider, to the logits that the softmax is taken of."""
        return logits

    def rows(self, log_p: Tensor, targets: Tensor) -> Tensor:
        """Log-probability of the true class (M,) to the loss of each row (M,)."""
        return -log_p

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        logits, targets = check_logits(logits, targets, self.num_classes)
        constant = self.adds_constants or type(self).adjust is SoftmaxLoss.adjust
        formula = true_log_probability if constant else _plain
        return self.reduce(self.rows(formula(logits, targets, self.adjust), targets))


def true_log_probability(logits: Tensor, targets: Tensor, adjust: Adjust) -> Tensor:
    """log softmax(adjust(logits))[y] for each row (M,), in float32 or wider, where adjust adds what does not depend on
    the logits, or only on their detached values.

    Large logits on a CPU are worked on in blocks of rows that stay in its cache; elsewhere in one piece.
    """
    if not worth_blocks(logits):
        return _plain(logits, targets, adjust)
    rows: Tensor = WithGradient.apply(logits, targets, adjust, _FORMULA)
    return rows


def worth_blocks(logits: Tensor) -> bool:
    """Whether these logits are worked on in blocks: on a CPU, where they are many, and not by the compiler."""
    return logits.numel() > BLOCK and logits.device.type == "cpu" and not torch.compiler.is_compiling()


def _plain(logits: Tensor, targets: Tensor, adjust: Adjust) -> Tensor:
    log_p = _log_softmax(adjust(full_precision(logits), targets))
    return log_p.gather(1, targets[:, None]).squeeze(1)


def _log_softmax(logits: Tensor) -> Tensor:
    """log softmax over the classes of logits (M, C), along columns where those lie in one piece each, as of pixels."""
    return logits.T.log_softmax(0).T if logits.stride(0) == 1 < logits.stride(1) else logits.log_softmax(1)


def _value_and_gradient(
    logits: Tensor, targets: Tensor, adjust: Adjust, with_gradient: bool
) -> tuple[Tensor, Tensor | None]:
    """Rows (M,), and where wanted minus their gradient (M, C), p - onehot(y), in the type of the logits."""
    gradient = torch.empty_like(logits) if with_gradient else None
    rows = []
    for block in blocks(logits):
        own = targets[block, None]
        log_p = adjust(full_precision(logits[block]), targets[block]).log_softmax(1)
        of_true = log_p.gather(1, own)
        rows.append(of_true.squeeze(1))
        if gradient is not None:
            torch.exp(log_p, out=gradient[block]).scatter_(1, own, of_true.expm1().to(gradient.dtype))
    return torch.cat(rows), gradient


def blocks(logits: Tensor) -> list[slice]:
    """Rows of logits (M, C) in blocks of at most `BLOCK` logits."""
    size = max(1, BLOCK // logits.shape[1])
    return [slice(start, start + size) for start in range(0, len(logits), size)]


def scale_rows(matrix: Tensor, rows: Tensor) -> Tensor:
    """Multiply each row of a matrix (M, C) by its number (M,), in place; the numbers are not rounded to its type."""
    if matrix.dtype == rows.dtype:
        return matrix.mul_(rows[:, None])
    for block in blocks(matrix):
        matrix[block] = matrix[block] * rows[block, None]
    return matrix


def _scale(gradient: Tensor, rows: Tensor) -> Tensor:
    return scale_rows(gradient, -rows)


_FORMULA = Formula(_plain, _value_and_gradient, _scale)
