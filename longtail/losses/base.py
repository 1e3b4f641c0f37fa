"""What every loss shares: the reduction and the precision."""

import torch
from torch import Tensor, nn


class Loss(nn.Module):
    """A loss over rows.

    Args:
        reduction: "mean" for the plain mean of the rows, a scalar (0 for an empty batch); "none" for one value per
            row. Where rows carry weights, "mean" is the sum of weight times loss over the number of rows, not over
            the sum of the weights: so it adds up over parts of a batch and over processes.
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
