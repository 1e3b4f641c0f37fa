"""What every loss shares: the reduction and the check of its inputs."""

import torch
from torch import Tensor, nn


class Loss(nn.Module):
    """A loss over rows.

    Args:
        reduction: "mean" for a scalar (0 for an empty batch), "none" for one value per row.
    """

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        if reduction not in ("mean", "none"):
            raise ValueError(f'reduction must be "mean" or "none", got {reduction!r}')
        self.reduction = reduction

    def reduce(self, rows: Tensor) -> Tensor:
        """Apply the reduction to one value per row."""
        if self.reduction == "none":
            return rows
        return rows.sum() / max(len(rows), 1)


def full_precision(values: Tensor) -> Tensor:
    """Lift half precision to float32, where logarithms and exponentials are safe; wider types stay as they are."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def check_targets(targets: Tensor, rows: int, num_classes: int | None = None) -> None:
    """Check labels (M,): int64, one per row and, on the CPU, inside 0..C-1.

    The range is not read on an accelerator, where reading it would stall the queue, nor in compiled code, which it
    would break in two.

    Raises:
        ValueError: with what was expected and what came.
    """
    if targets.ndim != 1 or len(targets) != rows:
        raise ValueError(f"targets must have shape ({rows},), got {tuple(targets.shape)}")
    if targets.dtype != torch.int64:
        raise ValueError(f"targets must be class indices, int64, got dtype {targets.dtype}")
    if targets.device.type == "cpu" and rows and not torch.compiler.is_compiling():
        low, high = (int(x) for x in targets.aminmax())
        if low < 0 or (num_classes is not None and high >= num_classes):
            bound = "C - 1" if num_classes is None else num_classes - 1
            raise ValueError(f"targets must lie in 0..{bound}, got {low}..{high}")


def check_logits(logits: Tensor, targets: Tensor, num_classes: int | None = None) -> None:
    """Check logits (M, C) against targets (M,) and, where given, the number of classes.

    Raises:
        ValueError: with what was expected and what came.
    """
    if logits.ndim != 2 or (num_classes is not None and logits.shape[1] != num_classes):
        raise ValueError(f"logits must have shape (M, {num_classes or 'C'}), got {tuple(logits.shape)}")
    check_targets(targets, len(logits), logits.shape[1])
