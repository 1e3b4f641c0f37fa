"""The one exception for what a user can put right."""

from collections.abc import Iterator


class InputError(ValueError):
    """Something given from outside (a file, an option, a table) cannot be used.

    The message is one line: it names the file or the option and says the way out. The command line prints it and
    exits with code 2; in Python it is an ordinary ``ValueError``.
    """


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what led to it, each once: errors can lead to one another in a circle."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and all(cause is not other for other in chain):
        yield cause
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
