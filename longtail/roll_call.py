"""What the processes of one command tell of themselves, and which of them differs from the first in what."""

import socket
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256

# What is told, with {} where its value stands, such as "reads {} training images", and the value.
Facts = Mapping[str, str]

_HOST = "host"  # stands among the facts that are told, and may differ
# The way out, by the verb that a fact begins with.
_WAYS_OUT = {
    "runs": "install the same version everywhere",
    "has": "give all processes the same command",
    "reads": "give all processes the same files",
}


def with_host(facts: Facts) -> Facts:
    """The facts with the name of this machine."""
    return {_HOST: socket.gethostname(), **facts}


def checksum(content: bytes | Iterable[str]) -> str:
    """What tells content, or names in their order, apart from other."""
    content = content if isinstance(content, bytes) else "\0".join(content).encode(errors="surrogateescape")
    return sha256(content).hexdigest()[:12]


def difference(processes: Sequence[Facts]) -> str | None:
    """The first fact in which a process differs from the first one, as a line that says both; None where all agree.

    Args:
        processes: what each has told, in the order of their ranks. A fact that one lacks is "none" there.
    """
    for fact in dict.fromkeys(fact for facts in processes for fact in facts if fact != _HOST):
        values = [facts.get(fact, "none") for facts in processes]
        others = [rank for rank, value in enumerate(values) if value != values[0]]
        if others:
            more = f" (and {len(others) - 1:,} more)" if len(others) > 1 else ""
            other, first = (named(rank, processes[rank][_HOST]) for rank in (others[0], 0))
            differs = f"{other}{more} {fact.replace('{}', values[others[0]])}, {first} {values[0]}"
            return f"{differs}: {_WAYS_OUT[fact.split()[0]]}"
    return None


def named_here(rank: int) -> str:
    """What this process is called in messages."""
    return named(rank, socket.gethostname())


def named(rank: int, host: str) -> str:
    """What a process is called in messages; ranks count from 0."""
    return f"process {rank} on {host}"
