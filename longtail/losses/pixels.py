"""Any loss of logits over the pixels of images."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from longtail.checks import as_tensor, check_integers, check_targets
from longtail.counts import Counts, counts_tensor
from longtail.losses.base import FromCounts, Loss, build_loss, full_precision
from longtail.losses.cross_entropy import CrossEntropyLoss
from longtail.losses.with_gradient import Formula, WithGradient

CPU_BLOCK = 2**19  # logits worked on at a time: 2 MB in float32, so that temporaries stay in a CPU's cache
BLOCK = 2**24  # on an accelerator: 64 MB


class PixelLoss(FromCounts, Loss):
    r"""A loss of logits with every pixel as a row; pixels without a label have no part in it:
    :math:`L = \frac{1}{M} \sum_{y_i \neq \mathrm{ignore}} \ell(x_i, y_i)`, M the number of pixels with a label.

    The pixels are worked on in blocks, and their gradient is made with the value. So beside the logits and their
    gradient no tensor of that size is held, whatever the loss inside, and none is reordered as a whole.

    Shapes: logits (N, C, ...), such as (N, C, H, W), in any memory format; targets (N, ...), int64. Returns a scalar,
    or (N, ...) with ``reduction="none"``, 0 where there is no label. A batch without labels gives 0. Computed in
    float32 under autocast.

    Args:
        class_counts: training pixels of each class (C,).
        loss: the loss of a pixel, or what makes it from the class counts, such as
            ``longtail.losses.LogitAdjustedLoss``.
        ignore_index: target of a pixel without a label.
        reduction: "mean" or "none".

    Raises:
        ValueError: on a loss of sigmoids or with parameters, a wrong shape, or a label outside 0..C-1.
    """

    def __init__(
        self,
        class_counts: Counts,
        loss: Loss | Callable[[Counts], Loss] = CrossEntropyLoss,
        ignore_index: int = 255,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction)
        self.num_classes = len(counts_tensor(class_counts))
        self.ignore_index = ignore_index
        self.loss = build_loss(loss, class_counts).with_reduction("none").eval()
        if self.loss.sigmoid:
            raise ValueError(f"{type(self.loss).__name__} takes every logit for itself, pixels need a loss of softmax")
        if any(True for _ in self.loss.parameters()):  # the blocks give the logits a gradient, and nothing else
            raise ValueError(f"{type(self.loss).__name__} learns parameters, pixels need a loss of logits alone")

    def train(self, mode: bool = True) -> "PixelLoss":
        """The loss inside stays in evaluation mode: it sees blocks, and is told the labels of the batch by itself."""
        super().train(mode)
        self.loss.eval()
        return self

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        logits = as_tensor("logits", logits, "N", self.num_classes, "...")
        if logits.ndim < 2 or logits.shape[1] != self.num_classes:
            raise ValueError(f"logits must have shape (N, {self.num_classes}, ...), got {tuple(logits.shape)}")
        targets = check_integers("targets", targets, len(logits), *logits.shape[2:], device=logits.device)
        known = targets != self.ignore_index
        labels = targets.where(known, 0)
        check_targets(labels.flatten(), labels.numel(), self.num_classes)
        if self.training:
            self.loss.observe(targets.where(known, -1).flatten())
        spatial = logits.ndim > 2
        flat = logits.flatten(2) if spatial else logits.T[None]  # (N, C, P), of the usual memory formats a view
        own = labels.flatten(1) if spatial else labels[None]  # (N, P)
        with torch.autocast(logits.device.type, enabled=False):
            rows: Tensor = (
                _plain(flat, own, self.loss)
                if torch.compiler.is_compiling()
                else WithGradient.apply(flat, own, self.loss, _FORMULA)
            )
        rows = rows.view(targets.shape).where(known, 0)
        return rows if self.reduction == "none" else rows.sum() / known.sum().clamp(min=1)


def _plain(logits: Tensor, labels: Tensor, loss: Loss) -> Tensor:
    """Loss of every pixel (N, P) of logits (N, C, P)."""
    rows: Tensor = loss(logits.transpose(1, 2).reshape(-1, logits.shape[1]), labels.flatten())
    return rows.view(labels.shape)


def _value_and_gradient(
    logits: Tensor, labels: Tensor, loss: Loss, with_gradient: bool
) -> tuple[Tensor, Tensor | None]:
    """Loss of every pixel (N, P), and where wanted its gradient (N, C, P), in type and memory as the logits."""
    rows = torch.empty(labels.shape, dtype=full_precision(logits[:0]).dtype, device=labels.device)
    gradient = torch.empty_like(logits) if with_gradient else None
    for n, part in _blocks(logits):
        # The logits of a class in one piece: operations along few classes are slow where those are neighbours.
        block = full_precision(logits[n, :, part]).contiguous().T.detach().requires_grad_(with_gradient)
        with torch.set_grad_enabled(with_gradient):
            values = loss(block, labels[n, part])
        rows[n, part] = values.detach()
        if gradient is not None:
            (of_block,) = torch.autograd.grad(values, block, torch.ones_like(values))
            gradient[n, :, part] = of_block.T
    return rows, gradient


def _blocks(logits: Tensor) -> Iterator[tuple[int, slice]]:
    """Image and pixels of each block of logits (N, C, P)."""
    size = max(1, (CPU_BLOCK if logits.device.type == "cpu" else BLOCK) // logits.shape[1])
    for n in range(len(logits)):
        for start in range(0, logits.shape[2], size):
            yield n, slice(start, start + size)


def _scale(gradient: Tensor, rows: Tensor) -> Tensor:
    for n, part in _blocks(gradient):
        gradient[n, :, part] *= rows[n, part]
    return gradient


_FORMULA = Formula(_plain, _value_and_gradient, _scale)
