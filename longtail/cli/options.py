"""Options as they are typed: taken out, written out in full, parsed."""

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from longtail.errors import InputError
from longtail.option_names import SHORT
from longtail.trust import trust


def without(options: list[str], prefixes: tuple[str, ...]) -> list[str]:
    """The options less those that begin so, and the values that follow them."""
    rest, dropping = [], False
    for option in options:
        if option.startswith("--"):
            dropping = option.startswith(prefixes)
        if not dropping:
            rest.append(option)
    return rest


def pairs(options: Sequence[str]) -> list[tuple[str, str]]:
    """The options that have a value, as name and value."""
    values = []
    for option, after in zip(options, [*options[1:], "--"], strict=False):
        name, equals, value = option.partition("=")
        if name.startswith("--") and (equals or not after.startswith("--")):
            values.append((name, value if equals else after))
    return values


def take(args: list[str], name: str) -> str | None:
    """Remove an option with a value from the arguments, and return the value."""
    for i, arg in enumerate(args):
        if arg == name:
            if i + 1 == len(args) or args[i + 1].startswith("--"):
                raise InputError(f"{name} needs a value")
            del args[i]
            return args.pop(i)
        if arg.startswith(f"{name}="):
            return args.pop(i).split("=", 1)[1]
    return None


def take_all(args: list[str], name: str) -> list[str]:
    """Remove an option that may be given several times from the arguments, and return its values."""
    values = []
    while (value := take(args, name)) is not None:
        values.append(value)
    return values


class _Trust(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option: str | None = None) -> None:
        trust(values)


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Add ``--trust``, which is obeyed as soon as it is parsed."""
    parser.add_argument(
        "--trust",
        action=_Trust,
        default=argparse.SUPPRESS,
        metavar="MODULE",
        help="let runs name what is in a module of your own, from now on (can be given several times)",
    )


def add_checkpoint(parser: argparse.ArgumentParser) -> None:
    """Add ``--checkpoint``: which one of a run."""
    parser.add_argument("--checkpoint", choices=("best", "last"), help="by default best on validation, else last")


def trust_modules(args: list[str]) -> None:
    """Remove ``--trust`` from the arguments, and obey it."""
    for module in take_all(args, "--trust"):
        trust(module)


def short_options(args: Sequence[str]) -> list[str]:
    """Write the short options out in full."""
    full = []
    for arg in args:
        name, equals, value = arg.partition("=")
        long = SHORT.get(name)
        if isinstance(long, tuple):
            full.append(f"{long[0]}={value if equals else long[1]}")
        else:
            full.append(f"{long}{equals}{value}" if long else arg)
    return full


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message} ({self.prog} --help tells more)")


def command_parser(
    command: str,
    description: str | None = None,
    **settings: Any,  # of argparse.ArgumentParser
) -> argparse.ArgumentParser:
    """A parser of the options of a command, which says in one line what is wrong with them.

    Args:
        command: its name.
        description: what it does.
        settings: of ``argparse.ArgumentParser``.
    """
    return _Parser(prog=f"longtail {command}", description=description, allow_abbrev=False, **settings)
