"""Data sets by their names: those of the package, and any class by its import path."""

import importlib

from longtail.data.base import LongTailData
from longtail.data.introduction import Located, not_read
from longtail.errors import InputError


def shipped() -> dict[str, type[LongTailData]]:
    """The data modules that ``longtail.data`` exports, by their names there."""
    import longtail.data

    exported = {name: getattr(longtail.data, name) for name in longtail.data.__all__}
    return {name: data_class for name, data_class in exported.items() if issubclass(data_class, LongTailData)}


def short_names(own: type[LongTailData] | None = None) -> dict[str, type[LongTailData]]:
    """What ``--data NAME`` stands for: sets of the package, and ``own`` where it has a name that none of them has."""
    classes = [*([] if own is None else [own]), *shipped().values()]
    return {data_class.short_name: data_class for data_class in classes if data_class.short_name is not None}


def import_path(data: type[LongTailData]) -> str:
    """Where a class is imported from: ``longtail.data`` for those it exports."""
    exported = {data_class: f"longtail.data.{name}" for name, data_class in shipped().items()}
    return exported.get(data, f"{data.__module__}.{data.__qualname__}")


def find_class(path: str) -> type[LongTailData]:
    """The class at an import path, or that of the package with a bare name.

    Raises:
        InputError: if there is none, or it is no data module of this package's kind.
    """
    module, _, name = path.rpartition(".")
    try:
        data_class = getattr(importlib.import_module(module), name, None) if module else shipped().get(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # the module is there, and misses another
        data_class = None
    if data_class is None:
        choices = ", ".join(shipped())
        raise InputError(
            f'--data: there is no class "{path}"; choose from {choices}, or give the import path of your own'
        )
    if not (isinstance(data_class, type) and issubclass(data_class, LongTailData)):
        raise InputError(f"--data: {path} is no data set: derive it from longtail.data.base.LongTailData")
    return data_class


def handed_on(data: type[LongTailData], ours: type[LongTailData], other: Located) -> Located:
    """What a path means that the class beside ``ours`` reads: that class, but in the place of ``ours`` alone.

    Args:
        data: the class that was asked, ``ours`` or one derived from it.
        ours: the one that has another beside it.
        other: that one, and the path.

    Raises:
        InputError: on a derived class, which is nobody's to replace.
    """
    if data is ours:
        return other
    raise not_read(data, import_path(other.data), other.options)
