"""What may be built from a run: classes of this package, layers of torch, optimizers of torch and timm, and what is
trusted here.

The configuration of a run comes from whoever made the run, and names classes to build. Any callable could stand there,
and would be called. What was trusted is kept in a file of the user, never in a run.
"""

import importlib
import inspect
import logging
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from longtail import own_modules
from longtail.errors import InputError, causes
from longtail.writing import write_atomically

logger = logging.getLogger(__name__)

METHOD = ("losses", "methods", "models")  # rooms with what a method is made of
TRAINING = (*METHOD, "augment", "data", "difficulty", "metrics", "samplers", "tasks")
# What a training run needs of others; the classes of torch are added in ``_entries``.
_OTHERS = {
    "longtail.augment.preprocessing": ["Preprocessing"],
    "longtail.tasks.base": ["sgd"],
    "lightning.pytorch.callbacks": ["EarlyStopping", "LearningRateMonitor", "Timer"],
    "lightning.pytorch.strategies": ["DDPStrategy"],
}
_NEVER = {*sys.stdlib_module_names, "jsonargparse", "longtail"}  # nobody's own modules
_session: set[str] = set()  # trusted by this process


def trust(module: str) -> None:
    """Let runs name what is in a module, from now on and for this user; it may lie in the current folder.

    Args:
        module: its import path; the modules inside it are meant too.

    Raises:
        InputError: if it is none, or one of Python's own.
    """
    if not _is_own(module):
        raise InputError(f'--trust takes the name of a module of your own, such as my_losses, got "{module}"')
    recorded = _recorded()
    _session.add(module)
    own_modules.serve([module])
    if module not in recorded:
        try:
            _file().parent.mkdir(parents=True, exist_ok=True)
            write_atomically(_file(), "".join(f"{name}\n" for name in sorted({*recorded, module})))
        except (OSError, InputError) as error:
            logger.info(f"--trust {module} holds for this command alone: {error}")


def trusted() -> set[str]:
    """The modules that were trusted."""
    return _recorded() | _session


def _is_own(module: str) -> bool:
    """Whether it can be the name of a module that is not one of Python's own."""
    parts = module.split(".")
    return all(part.isidentifier() for part in parts) and parts[0] not in _NEVER


def _file() -> Path:
    """Where it is kept what was trusted."""
    home = os.environ.get("XDG_CONFIG_HOME")
    return (Path(home) if home else Path.home() / ".config") / "longtail" / "trusted"


def _recorded() -> set[str]:
    try:
        return {name for name in _file().read_text(encoding="utf-8").split() if _is_own(name)}
    except (OSError, ValueError, RuntimeError):  # there is none, or no home
        return set()


def check_path(path: str, source: object, allowlist: Sequence[str] = ()) -> None:
    """Refuse to import what a run names, unless it is on the allowlist or trusted; raises InputError."""
    modules = trusted()
    own_modules.serve(modules)
    if path not in allowlist and not any(f"{path}.".startswith(f"{module}.") for module in modules):
        raise InputError(f"{source}: {_refusal(path)}")


@contextmanager
def building_from_run(source: object, config: object, rooms: Sequence[str] = TRAINING) -> Iterator[None]:
    """Within it nothing is imported by the name that a configuration gives, but what may be built from a run.

    Args:
        source: of the configuration, for messages.
        config: the part of it that is to be built; its class paths are looked at first, those that are not written as
            such (any string may be the name of a function) when the parser comes to them.
        rooms: those of this package whose classes it may name.

    Raises:
        InputError: on anything else that it names.
    """
    # jsonargparse refuses what is not on its list before it imports anything. What set_parsing_settings adds stays, and
    # nothing public reads it or takes it back: for what it was there is only the private dictionary behind it.
    from jsonargparse import _common, set_parsing_settings

    paths = list(_class_paths(config))
    entries = _entries(rooms, paths)
    for path in paths:
        check_path(path, source, entries)
    before = dict(_common.parsing_settings)
    set_parsing_settings(import_path_denylist=["*"], import_path_allowlist=[*entries, *trusted()])
    try:
        yield
    except Exception as error:
        if (denied := _denied(error)) is not None:
            raise InputError(f"{source}: {_refusal(denied)}") from error
        raise
    finally:
        _common.parsing_settings.update(before)


def _refusal(path: str) -> str:
    module, _, _ = path.rpartition(".")
    if path.split(".")[0] in _NEVER:
        return f"names {path}, which no run may build: train it anew by a recipe"
    return (
        f"names {path}, which is neither of longtail nor trusted on this machine, and would be executed: if you know "
        f"what it is, add --trust {module or path}"
    )


def _class_paths(config: object) -> Iterator[str]:
    """All import paths that stand under ``class_path``; a name without a dot is one of the package's classes."""
    inner = config.values() if isinstance(config, dict) else config if isinstance(config, list) else ()
    if isinstance(config, dict) and isinstance(path := config.get("class_path"), str) and "." in path:
        yield path
    for value in inner:
        yield from _class_paths(value)


def _entries(rooms: Sequence[str], paths: Sequence[str]) -> list[str]:
    """Import paths of the classes that a run may name: where they are exported, and where they are defined.

    Optimizers of timm are among them where one of the ``paths`` that the run names is one, as timm takes a while to
    import.
    """
    import torch

    names = {f"longtail.{room}": _exported(f"longtail.{room}") for room in rooms}
    names["torch.nn"] = _subclasses("torch.nn", torch.nn.Module)
    names["torch.optim"] = _subclasses("torch.optim", torch.optim.Optimizer)
    names["torch.optim.lr_scheduler"] = _subclasses("torch.optim.lr_scheduler", torch.optim.lr_scheduler.LRScheduler)
    if rooms == TRAINING:
        names |= _OTHERS
        if any(path.startswith("timm.optim.") for path in paths):
            names["timm.optim"] = _subclasses("timm.optim", torch.optim.Optimizer)
    entries = []
    for place, exported in names.items():
        for name in exported:
            value = getattr(importlib.import_module(place), name)
            entries += [f"{place}.{name}", f"{value.__module__}.{value.__qualname__}"]
    return entries


def _exported(place: str) -> list[str]:
    """Classes that a room exports, or that a module defines."""
    module = importlib.import_module(place)
    exported = getattr(module, "__all__", [name for name, value in vars(module).items() if _is_from(value, place)])
    return [name for name in exported if inspect.isclass(getattr(module, name))]


def _is_from(value: object, place: str) -> bool:
    return getattr(value, "__module__", None) == place


def _subclasses(place: str, base: type) -> list[str]:
    members = vars(importlib.import_module(place)).items()
    return [name for name, value in members if inspect.isclass(value) and issubclass(value, base) and value is not base]


def _denied(error: BaseException) -> str | None:
    """The import path that the parser refused, said somewhere in an error or in what led to it."""
    for cause in causes(error):
        if match := re.search(r"Importing '([\w.]+)' is not allowed", str(cause)):
            return match[1]
    return None
