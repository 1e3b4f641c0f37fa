"""The classes of the package, found by themselves, so that a new one is tested at once."""

import importlib
import inspect
import pkgutil
from types import ModuleType
from typing import TypeVar

import longtail.losses
from longtail.losses.base import Loss
from longtail.losses.softmax import SoftmaxLoss

T = TypeVar("T")


def classes_of(package: ModuleType, base: type[T]) -> list[type[T]]:
    """Every class of a package below ``base`` that is not abstract, whether it is exported or not, by name."""
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)
    found, queue = set(), [base]
    while queue:
        below = queue.pop().__subclasses__()
        queue += below
        found.update(each for each in below if each.__module__.startswith(f"{package.__name__}."))
    return sorted((each for each in found if not inspect.isabstract(each)), key=lambda each: each.__qualname__)


def losses() -> list[type[Loss]]:
    """Every loss but the one that only serves as a base."""
    return [each for each in classes_of(longtail.losses, Loss) if each is not SoftmaxLoss]
