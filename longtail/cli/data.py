"""What ``--data`` means: a name, a path or a class, beside the data set that the recipe names."""

import os
from pathlib import Path

from longtail.errors import InputError
from longtail.messages import shown


def data_options(value: str, named: str | None) -> list[str]:
    """What ``--data VALUE`` stands for.

    Args:
        value: short name of a data set, path of a folder or a file, or a class.
        named: the class that the recipe or the configuration names, which is asked what a path means.

    Raises:
        InputError: if it is none of these, or the class cannot read what lies there.
    """
    path = Path(value)
    must_exist = "/" in value or os.sep in value or ("." in value and not _is_class(value))
    if must_exist and not path.exists():  # said before the imports below, which take seconds
        raise InputError(f"no folder or table at {shown(value)}")
    from longtail.data.names import find_class, import_path, short_names

    own = None if named is None else find_class(named)
    names = short_names(own)
    if value in names:
        return ["--data", import_path(names[value])]
    if path.exists():
        place = (own or find_class("Folder")).located(path)
        options = [f"--data.{name}={path}" for name, path in place.options.items()]
        return options if place.data is own else ["--data", import_path(place.data), *options]
    if _is_class(value):
        return ["--data", value]
    choices = ", ".join(sorted(names))
    raise InputError(f'no folder or table at "{shown(value)}", and no data set of that name: {choices}')


def _is_class(value: str) -> bool:
    """Whether it could be a class, or its import path."""
    *modules, name = value.split(".")
    return all(part.isidentifier() for part in (*modules, name)) and name[0].isupper()
