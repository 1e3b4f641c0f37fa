"""Options of the views of training images, which are a list: ``--data.views.flip 0`` for all, ``.0.flip`` for one."""

import importlib
import inspect
import json
from collections.abc import Mapping, Sequence

import yaml

from longtail.errors import InputError
from longtail.plain import JSON

PREFIX = "--data.views."
PLAIN = {"class_path": "longtail.augment.PlainView"}  # what a set takes that names no views


def split_off(args: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Arguments without those for options of views, and these by the name that follows ``--data.views.``.

    Raises:
        InputError: if one has no value.
    """
    rest: list[str] = []
    options: dict[str, str] = {}
    remaining = iter(args)
    for arg in remaining:
        name, equals, value = arg.partition("=")
        if not name.startswith(PREFIX) or name.endswith((".help", "+")):
            rest.append(arg)
            continue
        if not equals:
            value = next(remaining, "--")
            if value.startswith("--"):
                raise InputError(f"{name} needs a value")
        options[name.removeprefix(PREFIX)] = value
    return rest, options


def with_options(  # views as a configuration has them
    views: Sequence[Mapping[str, JSON]] | None, options: Mapping[str, str]
) -> str:
    """The views with those options, as JSON.

    Args:
        views: each with a ``class_path`` and perhaps ``init_args``; None for the one that is taken then.
        options: values as YAML, by "flip" for every view that has the option, or "0.flip" for the first one alone. Of
            two for the same view the latter holds.

    Raises:
        InputError: if no view has the option, or there is no view of that number.
    """
    entries = [
        {"class_path": view["class_path"], "init_args": dict(view.get("init_args") or {})} for view in views or [PLAIN]
    ]
    for option, value in options.items():
        number, _, name = option.partition(".")
        alone = number.isdecimal()
        path = (name if alone else option).removeprefix("init_args.")
        if alone and int(number) >= len(entries):
            raise InputError(f"{PREFIX}{option}: there are {len(entries)} views, from 0 to {len(entries) - 1}")
        chosen = [entries[int(number)]] if alone else entries
        having = [view for view in chosen if path.split(".")[0] in _options(view["class_path"])]
        if not having:
            names = dict.fromkeys(name for view in chosen for name in _options(view["class_path"]))
            raise InputError(f"{PREFIX}{option}: no view has such an option, only {', '.join(names)}")
        for view in having:
            _set(view["init_args"], path.split("."), yaml.safe_load(value))
    return json.dumps(entries)


def _options(class_path: str) -> list[str]:
    """Names of what a class is made with."""
    module, _, name = class_path.rpartition(".")
    return list(inspect.signature(getattr(importlib.import_module(module), name)).parameters)


def _set(values: dict[str, JSON], path: Sequence[str], value: JSON) -> None:
    """Set a value at a place of nested options."""
    first, *rest = path
    if rest:
        inner = values[first] = dict(values.get(first) or {})
        _set(inner, rest, value)
    else:
        values[first] = value
