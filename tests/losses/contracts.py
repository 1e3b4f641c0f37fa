"""Cases for every loss, found by themselves: a class, the arguments to make it, and inputs to call it with.

A new loss needs nothing here as long as its ``__init__`` and ``forward`` use the names below. Each name says how a
value is made, which axis counts the rows of the batch and which one the classes.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from discovery import losses
from torch import Tensor
from torch.nn.functional import normalize

from longtail.difficulty import ClassDifficulty
from longtail.losses.base import Loss


@dataclass(frozen=True)
class Kind:
    """How a value is made from (rows, classes, generator), and its axes."""

    make: Callable[[int, int, torch.Generator], Any]
    row_axis: int | None = None
    class_axis: int | None = None
    labels: bool = False  # whether its values are classes


KEYS = 12  # of a queue


def _difficulty(accuracy: Tensor, background: int | None) -> ClassDifficulty:
    if background is not None:  # it has none
        accuracy = torch.cat([accuracy[:background], accuracy[background + 1 :]])
    if len(accuracy) == 0:
        pytest.skip("there are no classes beside the background")
    difficulty = ClassDifficulty(len(accuracy))
    difficulty.update(accuracy)
    return difficulty


INPUTS = {
    "logits": Kind(lambda n, c, g: 3 * torch.randn(n, c, generator=g), 0, 1),
    "embeddings": Kind(lambda n, c, g: normalize(torch.randn(n, 2, 5, generator=g), dim=2), 0),
    "prototypes": Kind(lambda n, c, g: normalize(torch.randn(c, 5, generator=g)), None, 0),
    "targets": Kind(lambda n, c, g: torch.randint(c, (n,), generator=g), 0, labels=True),
    "labels": Kind(lambda n, c, g: torch.randint(2, (n, c), generator=g), 0, 1),  # of which a row may have several
    "queries": Kind(lambda n, c, g: normalize(torch.randn(n, 5, generator=g)), 0),
    "keys": Kind(lambda n, c, g: normalize(torch.randn(KEYS, 5, generator=g))),
    "key_targets": Kind(lambda n, c, g: torch.randint(c, (KEYS,), generator=g), labels=True),
    "ids": Kind(lambda n, c, g: torch.arange(n), 0),
    "key_ids": Kind(lambda n, c, g: torch.randperm(KEYS, generator=g)),
}
ARGUMENTS = {
    "class_counts": Kind(lambda n, c, g: torch.randint(1, 500, (c,), generator=g), None, 0),
    "num_classes": Kind(lambda n, c, g: c),
    "accuracy": Kind(lambda n, c, g: torch.rand(c, generator=g), None, 0),
}
MADE_FROM = {"difficulty": ("accuracy", _difficulty)}  # an argument that is an object, and the value it is made from
DETACHED = {"GaussianMixtureLoss", "SeesawLoss"}  # part of the value gives no gradient, so the numerical one differs
OPTIONS = {"temperature": 0.01, "num_sampled": 2, "background": 0}  # values at which a loss with them is tested as well
CLASS_OPTIONS = {"background"}  # options that are a class


def _kind(table: dict[str, Kind], name: str, loss: type[Loss]) -> Kind:
    place = "INPUTS" if table is INPUTS else "ARGUMENTS"
    if name not in table:
        pytest.fail(f'{loss.__name__} takes "{name}": add how to make one to {place} in tests/losses/contracts.py')
    return table[name]


@dataclass(frozen=True)
class Case:
    """A loss with settings of its own; ``make`` and ``inputs`` give the same values for the same arguments."""

    loss: type[Loss]
    settings: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return "-".join([self.loss.__name__, *(f"{name}_{value}" for name, value in self.settings.items())])

    def parameters(self) -> list[str]:
        """Names of what forward takes."""
        return [name for name in inspect.signature(self.loss.forward).parameters if name != "self"]

    def several(self) -> bool:
        """Whether a row may have several labels, or none."""
        return "labels" in self.parameters()

    def knows_classes(self) -> bool:
        """Whether the number of classes follows from what it is given."""
        names = (
            name for name, entry in inspect.signature(self.loss).parameters.items() if entry.default is entry.empty
        )
        return any(True for _ in names) or any(self.kind(name).class_axis is not None for name in self.parameters())

    def kind(self, name: str) -> Kind:
        return _kind(INPUTS, name, self.loss)

    def make(self, classes: int = 4, order: Tensor | None = None, **settings: Any) -> Loss:
        """Make the loss; ``order`` is the order of the classes. A loss that draws draws the same after every make."""
        torch.manual_seed(1)
        generator = torch.Generator().manual_seed(1)
        arguments: dict[str, Any] = {}
        for name, value in self.settings.items():
            renamed = order is not None and name in CLASS_OPTIONS
            arguments[name] = int(order.argsort()[value]) if renamed else value
        for name, parameter in inspect.signature(self.loss).parameters.items():
            if parameter.default is parameter.empty:
                source, make = MADE_FROM.get(name, (name, lambda value, background: value))
                kind = _kind(ARGUMENTS, source, self.loss)
                value = kind.make(0, classes, generator)
                if order is not None and kind.class_axis is not None:
                    value = value.index_select(kind.class_axis, order)
                arguments[name] = make(value, arguments.get("background"))
        return self.loss(**arguments, **settings)

    def inputs(self, rows: int = 6, classes: int = 4, seed: int = 0) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(seed)
        return {name: self.kind(name).make(rows, classes, generator) for name in self.parameters()}


def cases() -> list[Case]:
    """Every loss as it comes, and the ones that have some of the `OPTIONS` also with these."""
    result = []
    for loss in losses():
        result.append(Case(loss))
        options = {name: value for name, value in OPTIONS.items() if name in inspect.signature(loss).parameters}
        if options:
            result.append(Case(loss, options))
    return result


def floats(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in inputs.items() if value.is_floating_point()}


def with_grad(inputs: dict[str, Tensor], dtype: torch.dtype | None = None) -> dict[str, Tensor]:
    """Copy the inputs; those that are floats become leaves of type ``dtype`` that want a gradient."""
    return {
        name: value.detach().to(dtype or value.dtype).clone().requires_grad_() if value.is_floating_point() else value
        for name, value in inputs.items()
    }
