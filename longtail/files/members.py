"""Images in shards, as paths of their own: ``set/train-000000.tar[1536:22016]/cat/1.jpg``.

Such a path has the bytes of the shard that are the file, and what the file is called. It can stand wherever a path of
an image can, needs no index to be opened, and says in a message where the image is.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from longtail.files.stores import base_name, read_bytes

_MARK = ".tar["


class Member(NamedTuple):
    """A file in a shard.

    Attributes:
        shard: path or address of the shard.
        start, end: the bytes of it that are the file.
        name: what the file is called.
    """

    shard: str
    start: int
    end: int
    name: str

    def __str__(self) -> str:
        return f"{self.shard}[{self.start}:{self.end}]/{self.name}"


def member_of(path: str) -> Member | None:
    """The file in a shard that a path leads to; None for a file of its own."""
    shard, mark, rest = path.partition(_MARK)  # not by a regular expression, as there are millions
    if not mark:
        return None
    place, close, name = rest.partition("]/")
    start, _, end = place.partition(":")
    if not (close and start.isdigit() and end.isdigit()):
        return None
    return Member(f"{shard}.tar", int(start), int(end), name)


def open_binary(path: str) -> BinaryIO:
    """A file, or one in a shard, opened to be read."""
    member = member_of(path)
    if member is None:
        return Path(path).open("rb")
    return io.BytesIO(read_bytes(member.shard, member.start, member.end))


def member_names(paths: Sequence[str]) -> list[str] | None:
    """What the files at some paths are called in their shards, with the shard where that is not enough to tell them
    apart; None where they are files of their own."""
    if not paths or member_of(paths[0]) is None:
        return None
    names = [path.partition(_MARK)[2].partition("]/")[2] for path in paths]
    if not all(names):
        return None
    if len(set(names)) < len(names):
        shards = (f"{base_name(path.partition(_MARK)[0])}.tar" for path in paths)
        names = [f"{shard}/{name}" for shard, name in zip(shards, names, strict=True)]
    return names
