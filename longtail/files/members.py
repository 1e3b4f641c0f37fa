"""Images in shards, as paths of their own: ``set/train-000000.tar[1536:22016]/cat/1.jpg``.

Such a path has the bytes of the shard that are the file, and what the file is called. It can stand wherever a path of
an image can, needs no index to be opened, and says in a message where the image is.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from longtail.files.listing import IntArray
from longtail.files.stores import base_name, read_bytes
from longtail.files.texts import Block, Texts, repeated

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


class Members(Texts):
    """The paths of N files in shards, which are made as they are asked for.

    Args:
        shards: paths or addresses of the shards.
        shard: (N,) which of them has each file.
        start, end: (N,) the bytes of it that are the file.
        names: of the files.
    """

    def __init__(self, shards: list[str], shard: IntArray, start: IntArray, end: IntArray, names: Texts) -> None:
        self.shards, self.shard, self.start, self.end, self.names = shards, shard, start, end, names

    def __len__(self) -> int:
        return len(self.names)

    def strings(self, start: int, stop: int) -> list[str]:
        """Some of the paths."""
        some = slice(start, stop)
        columns = (self.shard[some].tolist(), self.start[some].tolist(), self.end[some].tolist())
        shards, names = self.shards, self.names.strings(start, stop)
        return [str(Member(shards[shard], *rest)) for shard, *rest in zip(*columns, names, strict=True)]

    def take(self, rows: IntArray) -> Members:
        """The paths at ``rows``."""
        return Members(self.shards, self.shard[rows], self.start[rows], self.end[rows], self.names.take(rows))


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


def folders_of(paths: Sequence[str]) -> set[str]:
    """The folders of some files; of those in shards the ones that the shards lie in."""
    if isinstance(paths, Members):
        paths = [paths.shards[shard] for shard in np.unique(paths.shard)]
    return {*Block.of(paths).folders[0]}


def member_names(paths: Sequence[str]) -> Block | None:
    """What the files at some paths are called in their shards, with the shard where that is not enough to tell them
    apart; None where they are files of their own."""
    if not paths or member_of(paths[0]) is None:
        return None
    within = (path.partition(_MARK)[2].partition("]/")[2] for path in paths)
    names = Block.of(paths.names if isinstance(paths, Members) else within)
    if len(names.blank()):
        return None
    if repeated(names):
        shards = (f"{base_name(path.partition(_MARK)[0])}.tar" for path in paths)
        names = Block.of(f"{shard}/{name}" for shard, name in zip(shards, names, strict=True))
    return names
