"""Checks of tensors that come from outside, and the switch that makes them thorough."""

import os
from typing import Any

import torch
from torch import Tensor

_debug = os.environ.get("LONGTAIL_DEBUG", "") not in ("", "0")


class set_debug:
    """Switch thorough checks on or off, as a statement or in a ``with`` block.

    While on, every loss refuses NaN in what it is given and names the tensor, and reads the range of the labels on
    every device. Both wait for an accelerator, so they are off unless asked for, here or by the environment variable
    ``LONGTAIL_DEBUG=1``. Compiled code checks shapes only.
    """

    def __init__(self, on: bool) -> None:
        global _debug
        self.before, self.on, _debug = _debug, on, on

    def __enter__(self) -> "set_debug":
        global _debug
        _debug = self.on
        return self

    def __exit__(self, *exception: Any) -> None:
        global _debug
        _debug = self.before


def check_number(name: str, value: float, low: float, high: float = float("inf")) -> None:
    """Check an option: low <= value <= high, and finite.

    Raises:
        ValueError: with what was expected and what came.
    """
    if not (low <= value <= high and abs(value) != float("inf")):
        bound = f"at least {low:g}" if high == float("inf") else f"in {low:g}..{high:g}"
        raise ValueError(f"{name} must be {bound}, got {value}")


def check_temperature(temperature: float) -> None:
    """Check a temperature: positive and finite.

    Raises:
        ValueError: if it is not.
    """
    if not 0 < temperature < float("inf"):
        raise ValueError(f"temperature must be positive, got {temperature}")


def check_shape(name: str, tensor: Tensor, *shape: int | str) -> None:
    """Check a tensor against its shape, where a letter stands for any length; in debug mode also for NaN.

    Raises:
        ValueError: with what was expected and what came.
    """
    fits = tensor.ndim == len(shape) and all(
        isinstance(want, str) or have == want for have, want in zip(tensor.shape, shape, strict=True)
    )
    if not fits:
        raise ValueError(f"{name} must have shape ({_written(shape)}), got {tuple(tensor.shape)}")
    if _debug and not torch.compiler.is_compiling() and bool(tensor.isnan().any()):
        first = tensor.isnan().nonzero()[0].tolist()
        raise ValueError(f"{name} holds NaN, first at index {tuple(first)} of shape {tuple(tensor.shape)}")


def _written(shape: tuple[int | str, ...]) -> str:
    return ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "")


def check_integers(name: str, tensor: Tensor, *shape: int | str) -> None:
    """Check a tensor of int64 against its shape.

    Raises:
        ValueError: with what was expected and what came.
    """
    check_shape(name, tensor, *shape)
    if tensor.dtype != torch.int64:
        raise ValueError(f"{name} must be int64, got dtype {tensor.dtype}")


def check_targets(
    targets: Tensor, rows: int, num_classes: int | None = None, name: str = "targets", low: int = 0
) -> None:
    """Check labels (M,): int64, one per row and, on the CPU, inside low..C-1.

    The range is not read on an accelerator, where reading it would stall the queue, unless `set_debug` asks for it,
    and never in compiled code, which it would break in two.

    Raises:
        ValueError: with what was expected and what came.
    """
    check_integers(name, targets, rows)
    if rows and (targets.device.type == "cpu" or _debug) and not torch.compiler.is_compiling():
        least, most = (int(x) for x in targets.aminmax())
        if least < low or (num_classes is not None and most >= num_classes):
            bound = "C - 1" if num_classes is None else num_classes - 1
            raise ValueError(f"{name} must lie in {low}..{bound}, got {least}..{most}")


def check_logits(logits: Tensor, targets: Tensor, num_classes: int | None = None) -> None:
    """Check logits (M, C) against targets (M,) and, where given, the number of classes.

    Raises:
        ValueError: with what was expected and what came.
    """
    check_shape("logits", logits, "M", "C" if num_classes is None else num_classes)
    check_targets(targets, len(logits), logits.shape[1])
