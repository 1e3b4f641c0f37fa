"""What was wrong when a parser built something by options or by a configuration: a value, or the code that it met."""

import dis
import re
import traceback
from collections.abc import Sequence

from longtail.errors import InputError

# Packages whose code alone stands between an option and what its value leads to.
_BUILDERS = {"longtail", "jsonargparse", "lightning", "torch", "torchvision", "timm", "segmentation_models_pytorch"}
_PARSER = "jsonargparse"


def layers(error: BaseException) -> list[BaseException]:
    """An error, and what the parser has wrapped in it, down to what was raised first."""
    inner = [error]
    while _packages(inner[-1])[-1:] == [_PARSER] and (cause := inner[-1].__cause__) is not None:
        inner.append(cause)
    return inner


def refusal(inner: Sequence[BaseException]) -> str | None:
    """Why a value was refused, by the layers of an error; None where that says nothing of a value.

    A value was refused where an InputError or another ValueError was raised and nobody's code but that of the libraries
    that build took part, by a check if it was raised in this package. Any other error is a fault of ours or of a user's
    class.
    """
    *wraps, cause = inner
    if isinstance(cause, InputError):
        return str(cause)
    if not isinstance(cause, ValueError) or {*_packages(cause)} - _BUILDERS:
        return None
    if of_class := next(filter(None, (_said_by_class(str(wrap)) for wrap in reversed(wraps))), None):
        return of_class
    return str(cause) if _packages(cause)[-1:] != ["longtail"] or _is_checked(cause) else None


def misfit(inner: Sequence[BaseException]) -> str | None:
    """Why a configuration cannot be built, by the layers of an error.

    Also where the parser says so, or a library that it alone has called: no code of this package had to do with that,
    so it is no fault of ours, whatever the type of the error.
    """
    reason, places, last = refusal(inner), _packages(inner[-1]), str(inner[-1])
    of_parser = places[-1:] == [_PARSER]
    if reason is not None and not (of_parser and reason == last):
        return reason
    if {*places} - _BUILDERS or ("longtail" in places and not of_parser):
        return None
    with_class = (str(layer) for layer in reversed(inner) if str(layer).startswith("Problem with given class_path"))
    return next(with_class, last)


def _packages(error: BaseException) -> list[str]:
    """The packages whose code an error came through, from where it was caught to where it was raised."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return [str(frame.f_globals.get("__name__")).split(".")[0] for frame in frames]


def _is_checked(error: BaseException) -> bool:
    """Whether a ``raise`` statement raised an error, as a check does. What Python or a library in C finds wrong by
    itself, such as too few values to unpack, comes from another instruction."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return last is not None and last.tb_frame.f_code.co_code[last.tb_lasti] == dis.opmap["RAISE_VARARGS"]


def _said_by_class(message: str) -> str | None:
    """What a class says of its options, where the parser had a choice of it and of plain values, and found none to fit;
    the error that the message is of goes on from that of the plain values alone."""
    errors = re.search(r"Union subtypes\n.*^Errors:\n(.*)^Given value type: .*Namespace", message, re.M | re.S)
    lines = re.findall(r"^ +- (?!Expected an? )(.+)$", errors[1], re.M) if errors else []
    return lines[0] if len(lines) == 1 else None
