"""The one exception for what a user can put right."""

import dis
import traceback
from collections.abc import Iterator


class InputError(ValueError):
    """Something given from outside (a file, an option, a table) cannot be used.

    The message is one line: it names the file or the option and says the way out. The command line prints it and
    exits with code 2; in Python it is an ordinary ``ValueError``.
    """


# Packages whose code alone stands between an option and what its value leads to.
BUILDERS = {"longtail", "jsonargparse", "lightning", "torch", "torchvision", "timm", "segmentation_models_pytorch"}


def packages(error: BaseException) -> list[str]:
    """The packages whose code an error came through, from where it was caught to where it was raised."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return [str(frame.f_globals.get("__name__")).split(".")[0] for frame in frames]


def is_checked(error: BaseException) -> bool:
    """Whether a ``raise`` statement raised an error, as a check does. What Python or a library in C finds wrong by
    itself, such as too few values to unpack, comes from another instruction."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return last is not None and last.tb_frame.f_code.co_code[last.tb_lasti] == dis.opmap["RAISE_VARARGS"]


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what led to it, each once: errors can lead to one another in a circle."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and all(cause is not other for other in chain):
        yield cause
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
