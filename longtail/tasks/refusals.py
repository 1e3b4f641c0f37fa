"""What is wrong with an option, in one line: as the parser says it, and as what is built refuses a value."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from lightning.fabric.utilities.exceptions import MisconfigurationException

from longtail.data.names import find_class, shipped
from longtail.errors import BUILDERS, InputError, packages


@contextmanager
def building() -> Iterator[None]:
    """What is built by options: says in one line which value was refused.

    A value was refused where Lightning says so, or where a ValueError is raised and nobody's code but that of
    ``BUILDERS`` took part. An error of a user's class comes as it is, out of what the parser has wrapped it in.
    """
    try:
        yield
    except Exception as error:
        cause: BaseException = error
        while packages(cause)[-1:] == ["jsonargparse"] and cause.__cause__ is not None:
            cause = cause.__cause__
        refused = isinstance(cause, ValueError) and not {*packages(cause)} - BUILDERS
        if isinstance(cause, MisconfigurationException) or (refused and not isinstance(cause, InputError)):
            raise InputError(explain(str(cause))) from error
        raise cause from cause.__cause__


def explain(message: str) -> str:
    """What a parser's message says is wrong, as one line: the option, what was expected and what came."""
    keys = re.findall(r'[Kk]ey "([^"]+)"', message)
    values = re.findall(r"Given value: (.+)", message)
    types = dict.fromkeys(re.findall(r"Expected an? <class '([\w.]+)'>", message))
    types.pop("NoneType", None)
    unknown = re.search(r"Expected a path but (\S+) either", message)
    refused = re.search(r"class_path '([\w.]+)':\s+Option '(\w+)' is not accepted", message)
    missing = re.search(r"class_path '([\w.]+)':\s+the following arguments are required: ", message)
    if missing and keys == ["data"]:
        return f"no data given: {find_class(missing[1]).needs}"
    if refused:
        return f"--{keys[0]}: {refused[1]} has no option {refused[2]}"
    if unknown:
        return f'--{".".join(keys)}: there is no class "{unknown[1]}"; {_choices(keys[-1])}'
    if keys and types and values and not values[0].startswith(("Namespace(", "{")):
        return f'--{".".join(keys)}: expected {" or ".join(types)}, got "{values[0]}"'
    lines = [line.strip(" -") for line in message.splitlines() if line.strip()]
    return " ".join(lines)[:400]


def _choices(key: str) -> str:
    """The classes of this package that fit an option."""
    import longtail.losses
    import longtail.methods

    rooms = {"method": longtail.methods.__all__, "loss": longtail.losses.__all__, "data": list(shipped())}
    if key not in rooms:
        return "give the import path of one"
    return f"choose from {', '.join(rooms[key])}, or give the import path of your own"
