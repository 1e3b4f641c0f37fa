"""Modules of the user's own: found in the current folder by their names, and nothing else there is.

The folder is not on ``sys.path``: a file in it that is called like a module of the standard library, or like one that
is not installed, would be executed by whatever asks for that name.
"""

import importlib
import re
import sys
from collections.abc import Iterable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

_DOTTED = re.compile(r"(?<![\w./\\-])([^\W\d]\w*)(?:\.[^\W\d]\w*)+")


class _Finder:
    """The last of ``sys.meta_path``: serves modules from the folder that was the current one when they were named, as
    the parser goes to that of a configuration while it reads one.

    Attributes:
        folders: the folder of each module, by its name.
    """

    def __init__(self) -> None:
        self.folders: dict[str, str] = {}

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As importlib asks; modules inside a package are found by Python itself."""
        return PathFinder.find_spec(name, [self.folders[name]]) if path is None and name in self.folders else None


_FINDER = _Finder()


def serve(names: Iterable[str]) -> None:
    """Let modules be imported from the current folder, where Python finds them nowhere else.

    Args:
        names: of modules; of one inside a package, the package is served.
    """
    if _FINDER not in sys.meta_path:
        sys.meta_path.append(_FINDER)
    _FINDER.folders |= dict.fromkeys((name.split(".")[0] for name in names), str(Path.cwd()))


def named_in(value: object) -> set[str]:
    """The first parts of all import paths in a recipe or in options, and of what merely looks like one."""
    if isinstance(value, dict):
        return set().union(*map(named_in, value.values()))
    if isinstance(value, (list, tuple)):
        return set().union(*map(named_in, value))
    return {match[1] for match in _DOTTED.finditer(value)} if isinstance(value, str) else set()


def class_at(path: str, base: type) -> type[Any] | None:  # whose members depend on the base
    """The class at an import path; None where there is none, or none that is derived from ``base``."""
    module, _, name = path.rpartition(".")
    try:
        member = getattr(importlib.import_module(module), name, None)
    except (ModuleNotFoundError, ValueError):
        return None
    return member if isinstance(member, type) and issubclass(member, base) else None


class Portable:
    """A data set that a worker process, where it is started anew, unpickles after the modules are served there too.

    Args:
        dataset: what does all the rest.
    """

    def __init__(self, dataset: Any) -> None:  # torch's, which need not be there for this module
        self.dataset = dataset

    def __getitem__(self, index: object) -> object:
        return self.dataset[index]

    def __getattr__(self, name: str) -> Any:  # the attribute of the data set, such as __getitems__
        return getattr(self.dataset, name)

    def __reduce__(self) -> tuple[object, ...]:
        return _unpacked, (_Served(), self.dataset)  # the first is unpickled first


class _Served:
    def __reduce__(self) -> tuple[object, ...]:
        return serve, (sorted(_FINDER.folders),)


def _unpacked(served: None, dataset: Any) -> Portable:
    return Portable(dataset)
