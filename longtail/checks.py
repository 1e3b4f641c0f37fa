"""Tensors from what comes from outside, checks of them, and the switch that makes these thorough."""

import os
from collections.abc import Sequence, ValuesView
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from longtail.errors import InputError

Numbers = Tensor | NDArray[Any] | Sequence[Any] | ValuesView[Any]  # what tensors are made of

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

    def __exit__(self, *exception: object) -> None:
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


def as_tensor(name: str, values: Numbers, *shape: int | str, device: torch.device | None = None) -> Tensor:
    """What was given, as a tensor: a tensor as it is, and a new one of what ``torch.as_tensor`` takes, such as a list
    or an array, or of ``dict.values()``. Whole numbers become int64.

    Args:
        name: what it is called in messages.
        values: the numbers.
        shape: what is wanted, for the message alone; a letter stands for any length.
        device: of a new tensor.

    Raises:
        ValueError: with what was expected and what came.
    """
    if isinstance(values, Tensor):
        return values
    content: Any = values
    if isinstance(values, ValuesView):
        content = list(values)
    elif hasattr(values, "__array__"):
        content = np.array(values)  # a copy: torch takes no array that is read-only or runs backwards
    try:
        tensor = torch.as_tensor(content, device=device)
    except (TypeError, ValueError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"{name} must be numbers of shape ({_shape_text(shape)}), as a tensor, an array or a list, got "
            f"{type(values).__name__} ({reason})"
        ) from error
    whole = not (tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool)
    return tensor.to(torch.int64) if whole else tensor


def check_shape(name: str, values: Numbers, *shape: int | str, device: torch.device | None = None) -> Tensor:
    """Return numbers as a tensor of a shape, where a letter stands for any length; in debug mode refuse NaN.

    Raises:
        ValueError: with what was expected and what came.
    """
    tensor = as_tensor(name, values, *shape, device=device)
    fits = tensor.ndim == len(shape) and all(
        isinstance(want, str) or have == want for have, want in zip(tensor.shape, shape, strict=True)
    )
    if not fits:
        raise ValueError(f"{name} must have shape ({_shape_text(shape)}), got {tuple(tensor.shape)}")
    if _debug and not torch.compiler.is_compiling() and bool(tensor.isnan().any()):
        first = tensor.isnan().nonzero()[0].tolist()
        raise ValueError(f"{name} holds NaN, first at index {tuple(first)} of shape {tuple(tensor.shape)}")
    return tensor


def _shape_text(shape: tuple[int | str, ...]) -> str:
    return ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "")


def check_class_weights(weights: Numbers) -> Tensor:
    """The weights of the classes w (C,) as float32, a copy; raises ``ValueError`` on one that is negative or not
    finite."""
    checked = check_shape("class_weights", weights, "C").float().clone()
    if not bool((checked.isfinite() & (checked >= 0)).all()):
        raise ValueError(f"class_weights must be finite and not negative, got {checked.tolist()}")
    return checked


def check_integers(name: str, values: Numbers, *shape: int | str, device: torch.device | None = None) -> Tensor:
    """Return whole numbers as an int64 tensor of a shape. A tensor has to be of that type.

    Raises:
        ValueError: with what was expected and what came.
    """
    tensor = check_shape(name, values, *shape, device=device)
    if not isinstance(values, Tensor) and tensor.numel() == 0:
        return tensor.to(torch.int64)  # an empty list is of no type
    if tensor.dtype != torch.int64:
        raise ValueError(f"{name} must be int64, got dtype {tensor.dtype}")
    return tensor


def check_targets(
    values: Numbers,
    rows: int | str,
    num_classes: int | None = None,
    name: str = "targets",
    low: int = 0,
    device: torch.device | None = None,
) -> Tensor:
    """Return labels (M,): int64, one per row and, on the CPU, inside low..C-1.

    The range is not read on an accelerator, where reading it would stall the queue, unless `set_debug` asks for it,
    and never in compiled code, which it would break in two.

    Raises:
        ValueError: with what was expected and what came.
    """
    if _soft(labels := as_tensor(name, values, rows, device=device)):
        raise ValueError(
            f"{name} must be labels (M,), int64, got {tuple(labels.shape)}: soft ones have no meaning here"
        )
    targets = check_integers(name, values, rows, device=device)
    if len(targets) and (targets.device.type == "cpu" or _debug) and not torch.compiler.is_compiling():
        least, most = (int(x) for x in targets.aminmax())
        if least < low or (num_classes is not None and most >= num_classes):
            bound = "C - 1" if num_classes is None else num_classes - 1
            hint = "" if num_classes is None else from_one(least, most, num_classes)
            raise ValueError(f"{name} must lie in {low}..{bound}, got {least}..{most}{hint}")
    return targets


def check_label_table(values: Numbers, shape: Sequence[int], device: torch.device | None = None) -> Tensor:
    """Return labels of the shape (M, C), 1 where a row has a class and 0 where not, of any type. They are read as
    `check_targets` reads its own.

    Raises:
        ValueError: with what was expected and what came.
    """
    labels = check_shape("labels", values, *shape, device=device)
    if (labels.device.type == "cpu" or _debug) and not torch.compiler.is_compiling():
        wrong = (labels != 0) & (labels != 1)
        if labels.dtype != torch.bool and bool(wrong.any()):
            raise ValueError(f"labels must be 0 or 1, got {labels[wrong][0].item()}")
    return labels


def from_one(least: int, most: int, num_classes: int) -> str:
    """How a message about labels least..most goes on where they are counted from 1; empty where they are not."""
    if least < 1 or most != num_classes:
        return ""
    return (
        f": labels run from 1 to {most}; subtract 1" if least == 1 else f": if labels run from 1 to {most}, subtract 1"
    )


def _soft(targets: Tensor) -> bool:
    """Whether targets are soft: a distribution over the classes for each row, (M, C), in floating point."""
    return targets.ndim == 2 and targets.is_floating_point()


def check_logits(
    logits: Numbers, targets: Numbers, num_classes: int | None = None, soft: bool = False
) -> tuple[Tensor, Tensor]:
    """Return logits (M, C) and targets (M,), checked against each other and, where given, the number of classes.

    Where ``soft`` allows it, targets may be distributions over the classes instead, (M, C), in floating point. As with
    labels, their values are read on the CPU alone, unless `set_debug` asks for it.

    Raises:
        ValueError: with what was expected and what came.
    """
    rows = check_shape("logits", logits, "M", "C" if num_classes is None else num_classes)
    if not soft or not _soft(labels := as_tensor("targets", targets, "M", device=rows.device)):
        return rows, check_targets(targets, len(rows), rows.shape[1], device=rows.device)
    labels = check_shape("targets", labels, *rows.shape)
    if labels.numel() and (labels.device.type == "cpu" or _debug) and not torch.compiler.is_compiling():
        least, furthest = float(labels.amin()), float((labels.float().sum(1) - 1).abs().amax())
        if not (least >= 0 and furthest <= 0.01):  # 0.01: rounding of half precision
            raise ValueError(
                f"soft targets must be distributions, each row not negative with the sum 1, got {least:.4g} as the "
                f"least and a sum that is {furthest:.4g} off"
            )
    return rows, labels


def undefined_outputs(what: str) -> str:
    """The message about outputs of a network that are not finite."""
    return (
        f"{what} are not finite (NaN or infinity), and predict nothing: train again with a lower rate (--lr), "
        "--precision 32-true or --clip 1"
    )


def check_outputs(values: Tensor, what: str = "outputs of the network", dim: int | None = 1) -> None:
    """Check what a network gives outside training. It waits for an accelerator.

    Args:
        values: the outputs.
        what: they are.
        dim: of the classes, the largest of which has to be finite: a class may be ruled out by -inf. None for outputs
            that all have to be finite.

    Raises:
        InputError: if they are NaN or infinite.
    """
    decisive = values if dim is None or values.shape[dim] == 0 else values.amax(dim)
    if bad := int((~decisive.isfinite()).sum()):
        raise InputError(undefined_outputs(f"{bad} of {decisive.numel()} {what}"))
