"""Whether values read from JSON are of the types that their reader declares."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints, is_typeddict

_LARGEST = 2**63  # what JSON calls an integer has no limit; arrays and floats have
_NAMES = {int: "a whole number", float: "a number", str: "text", bool: "true or false", type(None): "null"}


def misfit(value: object, kind: Any, place: str) -> str | None:  # a type of any form, as the hints give it
    """Say what is not of its type, or None.

    Args:
        value: as JSON gives it.
        kind: a ``TypedDict`` or a dataclass (both an object, which may have more keys), a list or a mapping of
            something, a union, ``Any`` or a plain type.
        place: what the value is called.
    """
    if kind is Any:
        return None
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        faults = [misfit(value, member, place) for member in inner]
        return None if None in faults else faults[0]
    if is_typeddict(kind) or is_dataclass(kind):
        return _of_object(value, kind, place)
    if origin is list:
        if not isinstance(value, list):
            return f"{place} is no list"
        floats = float in (inner[0], *get_args(inner[0]))
        if floats and {*map(type, value)} <= {float} and all(map(math.isfinite, value)):
            return None  # at once, as there are millions
        fits = _is_finite if floats else _never
        return _first(misfit(item, inner[0], f"{place}[{i}]") for i, item in enumerate(value) if not fits(item))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, dict):
            return f"{place} is no object"
        return _first(misfit(item, inner[1], f"{place}.{key}") for key, item in value.items())
    return None if _is_plain(value, kind) else f"{place} is not {_NAMES.get(kind, kind)}"


def _of_object(value: object, kind: Any, place: str) -> str | None:
    if not isinstance(value, dict):
        return f"{place} is no object"
    if is_typeddict(kind):
        required = kind.__required_keys__
    else:
        required = {f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING}
    if missing := sorted(required - value.keys()):
        return f"{place} lacks {', '.join(missing)}"
    hints = get_type_hints(kind)
    return _first(misfit(value[key], hint, f"{place}.{key}") for key, hint in hints.items() if key in value)


def _first(faults: Iterable[str | None]) -> str | None:
    return next(filter(None, faults), None)


def _is_finite(value: object) -> bool:
    return type(value) is float and math.isfinite(value)


def _never(value: object) -> bool:
    return False


def _is_plain(value: object, kind: Any) -> bool:
    if isinstance(value, bool):
        return kind is bool
    if isinstance(value, int):
        return kind in (int, float) and abs(value) < _LARGEST
    if isinstance(value, float):
        return kind is float and math.isfinite(value)
    return isinstance(value, kind)
