"""What is wrong with an option, in one line: as the parser says it, and as what is built refuses a value."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from lightning.fabric.utilities.exceptions import MisconfigurationException

from longtail.augment.mixing import Mixing
from longtail.augment.resizing import ProgressiveResizing
from longtail.data.names import find_class, shipped
from longtail.errors import InputError
from longtail.metrics.class_metric import ClassMetric
from longtail.refusal import layers, refusal


@contextmanager
def building() -> Iterator[None]:
    """What is built by options: says in one line which value was refused, see ``refusal``, or what Lightning refuses.

    A fault of ours and an error of a user's class come as they are, out of what the parser has wrapped them in.
    """
    try:
        yield
    except Exception as error:
        inner = layers(error)
        cause, reason = inner[-1], refusal(inner)
        if isinstance(cause, MisconfigurationException):
            reason = str(cause)
        if reason is not None and not isinstance(cause, InputError):
            raise InputError(explain(reason)) from error
        raise cause from cause.__cause__


def explain(message: str) -> str:
    """What a parser's message says is wrong, as one line: the option, what was expected and what came."""
    keys = re.findall(r'[Kk]ey "([^"]+)"', message)
    values = re.findall(r"G(?:iven|ot) value: (.+?)(?:\. Got value: .*)?$", message, re.M)
    types = _expected(message)
    unknown = re.search(r"Expected a path but (\S+) either", message)
    other = re.search(r"Import path ([\w.]+) does not correspond to a subclass of (\w+)", message)
    gone = re.search(r"(?:import path string: |class_path ')([\w.]+)(?:$|':\s+module '[\w.]+' has no )", message, re.M)
    refused = re.search(r"class_path '([\w.]+)':\s+Option '(\w+)' is not accepted", message)
    absent = re.search(r"No module named '([\w.]+)'", message)
    missing = re.search(r"class_path '([\w.]+)':\s+the following arguments are required: ", message)
    if missing and keys == ["data"]:
        return f"no data given: {find_class(missing[1]).needs}"
    if refused:
        return f"--{'.'.join(keys)}: {refused[1]} has no option {refused[2]}"
    if other:
        return f"--{'.'.join(keys)}: {other[1]} is no {other[2]}; {_choices(keys[-1], other[1])}"
    if (no_class := gone or unknown) and (plain := [name for name in types if "." not in name]):
        path = "" if {"int", "float"} & {*plain} else " or the import path of a class"
        return f'--{".".join(keys)}: expected {" or ".join(plain)}{path}, got "{no_class[1]}"'
    if gone:
        return f'--{".".join(keys)}: there is no class "{gone[1]}"; {_choices(keys[-1], gone[1])}'
    if "collections.abc.Sequence" in types and values:
        return f'--{".".join(keys)} is a list: give "[{values[0]}]"'
    if unknown:
        return f'--{".".join(keys)}: there is no class "{unknown[1]}"; {_choices(keys[-1], unknown[1])}'
    if absent:
        return f"the configuration needs {absent[1]}, which is not there: start in the folder that has it"
    if keys and types and values and not values[0].startswith(("Namespace(", "{")):
        return f'--{".".join(keys)}: expected {" or ".join(types)}, got "{values[0]}"'
    lines = [line.strip(" -") for line in message.splitlines() if line.strip()]
    return " ".join(lines)[:400]


def _expected(message: str) -> dict[str, None]:
    """What a parser's message says that it expected, in words, in its order; without what stands for no value."""
    found = re.findall(
        r"Expected an? (?:<class '([\w.]+)'>|typing\.Literal\[(.+)\]|(tuple with \d+ elements))", message
    )
    words = dict.fromkeys(
        word
        for kind, choices, length in found
        for word in (re.findall(r"'([^']*)'", choices) if choices else [kind or f"a {length}"])
    )
    words.pop("NoneType", None)
    return words


def _choices(key: str, path: str) -> str:
    """The classes of this package that fit an option; of metrics those in the module that was given."""
    import longtail.augment
    import longtail.losses
    import longtail.methods

    rooms = {"method": longtail.methods.__all__, "loss": longtail.losses.__all__, "data": list(shipped())}
    rooms["mixing"] = [name for name in longtail.augment.__all__ if _derived(getattr(longtail.augment, name), Mixing)]
    rooms["resizing"] = [ProgressiveResizing.__name__]
    if key == "metrics":
        module = sys.modules.get(path.rpartition(".")[0])
        own = [name for name, member in vars(module).items() if _derived(member, ClassMetric)] if module else []
        return f"choose from {', '.join(own)}" if own else "derive a class from longtail.metrics.ClassMetric"
    if key not in rooms:
        return "give the import path of one"
    return f"choose from {', '.join(rooms[key])}, or give the import path of your own"


def _derived(value: object, base: type) -> bool:
    """Whether something is a class derived from another."""
    return isinstance(value, type) and issubclass(value, base) and value is not base
