"""Losses of rows whose gradient is made with their value, block by block."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Formula(NamedTuple):
    """How such a loss is computed. Each function takes logits, targets, and what the loss is made from.

    Attributes:
        plain: the rows, by operations that have a gradient.
        value_and_gradient: the rows, and their gradient where that is wanted.
        scale: multiplies that gradient by what comes back for each row, in place, and returns it.
    """

    plain: Callable[[Tensor, Tensor, Any], Tensor]  # each loss is made from something else
    value_and_gradient: Callable[[Tensor, Tensor, Any, bool], tuple[Tensor, Tensor | None]]  # the same for both
    scale: Callable[[Tensor, Tensor], Tensor]


class WithGradient(torch.autograd.Function):
    """The rows of a formula. Their gradient is made with the value, and scaled in place when it is asked for: then no
    second tensor of the size of the logits is touched. A second backward makes it anew."""

    @staticmethod
    def forward(
        ctx: Any,  # torch gives it no type
        logits: Tensor,
        targets: Tensor,
        made_from: Any,  # what the formula takes
        formula: Formula,
    ) -> Tensor:
        rows, ctx.gradient = formula.value_and_gradient(logits, targets, made_from, ctx.needs_input_grad[0])
        ctx.save_for_backward(logits, targets)
        ctx.made_from, ctx.formula = made_from, formula
        return rows

    @staticmethod
    def backward(ctx: Any, rows: Tensor) -> tuple[Tensor, None, None, None]:  # torch gives ctx no type
        logits, targets = ctx.saved_tensors
        if torch.is_grad_enabled():  # a gradient of the gradient is wanted
            again = ctx.formula.plain(logits, targets, ctx.made_from)
            return *torch.autograd.grad(again, logits, rows, create_graph=True), None, None, None
        gradient, ctx.gradient = ctx.gradient, None
        if gradient is None:
            _, gradient = ctx.formula.value_and_gradient(logits, targets, ctx.made_from, True)
        return ctx.formula.scale(gradient, rows), None, None, None
