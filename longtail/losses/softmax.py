"""What the losses of softmax probabilities share: log p of the true class, at the cost of plain cross-entropy."""

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from longtail.checks import check_logits, check_number
from longtail.losses.base import Loss, full_precision, weights_of_rows
from longtail.losses.with_gradient import Formula, WithGradient

Adjust = Callable[[Tensor, Tensor], Tensor]

BLOCK = 2**19  # logits worked on at a time on a CPU: 2 MB in float32, so that temporaries stay in its cache


class SoftmaxLoss(Loss):
    r"""A loss that follows from the softmax probability of the true class, on logits that may be adjusted before.

    Soft targets q, a distribution over the classes for each row, and label smoothing :math:`\varepsilon` take the mean
    of what each class would give as the true one:

    .. math::
        L_i = w_i \sum_c q'_{ic} \, \ell(x_i, c), \qquad
        q'_{ic} = (1 - \varepsilon) q_{ic} + \frac{\varepsilon}{C}, \qquad
        w_i = \sum_c q_{ic} w_c

    :math:`\ell(x, c)` is the loss of a row of class c without its weight; q is 1 for the true class where targets are
    labels. So a row weighs what its true class weighs, however far the label is smeared, unlike in
    ``torch.nn.CrossEntropyLoss``, where each class of :math:`q'` has its own weight.

    Shapes: logits (M, C), targets (M,), or soft ones (M, C); returns a scalar, or (M,) with ``reduction="none"``. An
    empty batch gives 0. Computed in float32 under autocast.

    A subclass says what it does to the logits (`adjust`), to the log-probabilities (`rows`), or to both. One with an
    `adjust` takes soft targets if it also says what that is for every class at once (`log_probabilities`).

    Args:
        reduction: "mean" or "none".
        class_weights: w (C,); 1 for every class where left out.
        label_smoothing: epsilon, in 0..1.

    Attributes:
        num_classes: C, where the loss knows it.
        adds_constants: whether all that `adjust` does is to add to the logits what is neither learned nor has a
            gradient with respect to them. Then large logits on a CPU are worked on in blocks; it is the default where
            `adjust` is not overridden, and for the subclass to promise where it is.

    Source: Szegedy et al., Rethinking the Inception architecture for computer vision, CVPR 2016, section 7, for label
    smoothing.
    """

    num_classes: int | None = None
    adds_constants: ClassVar[bool] = False
    class_weights: Tensor | None

    def __init__(
        self, reduction: str = "mean", class_weights: Tensor | None = None, label_smoothing: float = 0.0
    ) -> None:
        super().__init__(reduction)
        check_number("label_smoothing", label_smoothing, low=0, high=1)
        if label_smoothing and not self.takes_soft_targets:
            raise ValueError(f"{type(self).__name__} smooths no labels without log_probabilities of its own")
        self.label_smoothing = label_smoothing
        self.register_buffer("class_weights", class_weights, persistent=False)

    @property
    def takes_soft_targets(self) -> bool:
        own = type(self)
        return own.adjust is SoftmaxLoss.adjust or own.log_probabilities is not SoftmaxLoss.log_probabilities

    def adjust(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Logits (m, C) of some rows, in float32 or wider, to the logits that the softmax is taken of."""
        return logits

    def log_probabilities(self, logits: Tensor) -> Tensor:
        """Logits (M, C), in float32 or wider, to the log-probability of each class as if it were true, (M, C)."""
        return _log_softmax(logits)

    def rows(self, log_p: Tensor, weights: Tensor | None) -> Tensor:
        """Log-probabilities of true classes, and the weights of their rows where there are some, to losses, element by
        element."""
        return -log_p if weights is None else -weights * log_p

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        logits, targets = check_logits(logits, targets, self.num_classes, self.takes_soft_targets)
        weights = None if self.class_weights is None else weights_of_rows(self.class_weights, targets)
        if self.label_smoothing or targets.is_floating_point():
            return self.reduce(self._mean_over_classes(logits, targets, weights))
        constant = self.adds_constants or type(self).adjust is SoftmaxLoss.adjust
        formula = true_log_probability if constant else _plain
        return self.reduce(self.rows(formula(logits, targets, self.adjust), weights))

    def _mean_over_classes(self, logits: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
        """Loss of each row (M,) under soft targets, smoothed labels, or both."""
        log_p = self.log_probabilities(full_precision(logits))
        soft = targets.is_floating_point()
        if soft and not self.label_smoothing:
            log_p = log_p.where(targets > 0, 0)  # a class without a part may be ruled out by -inf
        of_classes = self.rows(log_p, None if weights is None else weights[:, None])
        own = (targets * of_classes).sum(1) if soft else of_classes.gather(1, targets[:, None]).squeeze(1)
        return own.lerp(of_classes.mean(1), self.label_smoothing) if self.label_smoothing else own


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
