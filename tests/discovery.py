"""The classes of the package, found by themselves, so that a new one is tested at once."""

import importlib
import inspect
import pkgutil
from types import ModuleType
from typing import TypeVar

import torch

import longtail.losses
from longtail.errors import InputError
from longtail.losses.base import Loss
from longtail.losses.pixels import PixelLoss
from longtail.losses.softmax import SoftmaxLoss
from longtail.methods.boxes import BoxClassification

T = TypeVar("T")
# Losses that are there already, so that none is left out because it fails; a new one need not be added.
LOSSES_OF_BOXES = {
    *("ClassBalancedLoss", "ClassDifficultyLoss", "CrossEntropyLoss", "FocalLoss", "LDAMLoss", "LogitAdjustedLoss"),
    *("SeesawLoss", "EqualizationLossV2", "FederatedLoss"),
}


def classes_of(package: ModuleType, base: type[T]) -> list[type[T]]:
    """Every class of a package below ``base`` that is not abstract, whether it is exported or not, by name."""
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)
    result, queue = set(), [base]
    while queue:
        below = queue.pop().__subclasses__()
        queue += below
        result.update(kind for kind in below if kind.__module__.startswith(f"{package.__name__}."))
    return sorted((kind for kind in result if not inspect.isabstract(kind)), key=lambda kind: kind.__qualname__)


def options_of(kind: type[object]) -> dict[str, inspect.Parameter]:
    """The options of a class, also of those that it hands on to its bases."""
    options: dict[str, inspect.Parameter] = {}
    for base in kind.__mro__:
        own = inspect.signature(base.__init__).parameters if "__init__" in vars(base) else None  # type: ignore[misc]
        if own is not None:
            options = {**own, **options}
            if not any(option.kind is inspect.Parameter.VAR_KEYWORD for option in own.values()):
                break
    return options


def losses_of(boxes: type[BoxClassification]) -> list[type[Loss]]:
    """The losses that a way to classify boxes takes."""

    def takes(loss: type[Loss]) -> bool:
        try:
            value = boxes([5, 3, 2], loss)(torch.zeros(4, 4), torch.arange(4))
        except (InputError, TypeError, ValueError):  # a loss of another kind
            return False
        return bool(value.isfinite())

    return [loss for loss in losses() if loss is not PixelLoss and takes(loss)]


def takes_logits(loss: type[Loss]) -> bool:
    """Whether it takes logits and a class for each, and nothing else."""
    return list(inspect.signature(loss.forward).parameters) == ["self", "logits", "targets"]


def losses() -> list[type[Loss]]:
    """Every loss but the one that only serves as a base."""
    return [loss for loss in classes_of(longtail.losses, Loss) if loss is not SoftmaxLoss]
