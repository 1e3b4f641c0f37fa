"""Many texts, such as the paths of millions of images, which are Python's strings only as they are asked for."""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from codecs import getincrementaldecoder
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain, islice
from typing import Any, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")

_CHUNK = 2**16  # texts that are strings at a time
_CODEC = ("utf-8", "surrogatepass")  # any string comes back as it was


class Texts(Sequence[str], ABC):
    """N texts in a row, equal to a list of the same."""

    __hash__ = None  # type: ignore[assignment]  # as of a list

    @abstractmethod
    def strings(self, start: int, stop: int) -> list[str]:
        """Some of them as strings; 0 <= start <= stop <= N."""

    @abstractmethod
    def take(self, rows: NDArray[np.int64]) -> Texts:
        """Those at ``rows`` (any number of int64, in that order)."""

    def chunks(self) -> Iterator[list[str]]:
        """All of them, as strings, some thousands at a time."""
        for start in range(0, len(self), _CHUNK):
            yield self.strings(start, min(start + _CHUNK, len(self)))

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self.chunks())

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> Texts: ...
    def __getitem__(self, at: int | slice) -> str | Texts:
        if isinstance(at, slice):
            return self.take(np.arange(*at.indices(len(self)), dtype=np.int64))
        row = range(len(self))[at]
        return self.strings(row, row + 1)[0]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (Texts, list)):
            return NotImplemented
        return len(self) == len(other) and all(map(str.__eq__, self, other))


class Block(Texts):
    """Texts in one block of UTF-8: what is taken of them shares it.

    Args:
        block: the bytes; a text is followed by a NUL, but where it ends the block.
        starts, ends: (N,) where each text is in it.
    """

    def __init__(self, block: bytes, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> None:
        self.block, self.starts, self.ends = block, starts, ends

    @classmethod
    def of(cls, texts: Iterable[str]) -> Block:
        """Those of any sequence; one that is such a block stays as it is."""
        if isinstance(texts, Block):
            return texts
        rest = iter(texts)
        parts: list[bytes] = []
        lengths: list[NDArray[np.int64]] = []
        while strings := list(islice(rest, _CHUNK)):
            text = "\0".join(strings)
            parts.append(text.encode(*_CODEC))
            plain = len(parts[-1]) == len(text)
            sizes: Iterable[int] = map(len, strings) if plain else (len(string.encode(*_CODEC)) for string in strings)
            lengths.append(np.fromiter(sizes, np.int64, len(strings)))
        return cls._of_lengths(parts, lengths)

    @classmethod
    def of_lines(cls, data: bytes) -> Block:
        """Those between the NULs of UTF-8, in which bytes may stand that are none, as in names of files; none of no
        bytes."""
        if not data:
            return cls.of([])
        if not is_utf8(data):
            return cls.of(data.decode("utf-8", "surrogateescape").split("\0"))
        marks = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == 0)
        return cls(data, np.concatenate([[0], marks + 1]), np.append(marks, len(data)))

    @classmethod
    def joined(cls, parts: Sequence[Block]) -> Block:
        """Those of several, one after the other."""
        if len(parts) == 1:
            return parts[0]
        full = [part for part in parts if len(part)]
        lengths = [part.ends - part.starts for part in full]
        return cls._of_lengths([b"\0".join(part.pieces()) for part in full], lengths)

    @classmethod
    def _of_lengths(cls, parts: Sequence[bytes], lengths: Sequence[NDArray[np.int64]]) -> Block:
        sizes = np.concatenate([np.zeros(0, dtype=np.int64), *lengths])
        ends = np.cumsum(sizes + 1) - 1
        return cls(b"\0".join(parts), ends - sizes, ends)

    def __len__(self) -> int:
        return len(self.starts)

    def __reduce__(self) -> tuple[Any, ...]:  # what is not of these texts is not sent along
        whole = Block._of_lengths([b"\0".join(self.pieces())], [self.ends - self.starts])
        return Block, (whole.block, whole.starts, whole.ends)

    def strings(self, start: int, stop: int) -> list[str]:
        """Some of them as strings; 0 <= start <= stop <= N."""
        strings = self._piece(start, stop).decode(*_CODEC).split("\0") if start < stop else []
        if len(strings) == stop - start:
            return strings
        return [text.decode(*_CODEC) for text in self._rows(start, stop)]  # there is a NUL in one

    def take(self, rows: NDArray[np.int64]) -> Block:
        """Those at ``rows`` (any number of int64, in that order)."""
        return Block(self.block, self.starts[rows], self.ends[rows])

    def json(self) -> Iterator[str]:
        """Their JSON, some thousands at a time, as it stands in a list."""
        for start, piece in zip(range(0, len(self), _CHUNK), self.pieces(), strict=True):
            text, count = piece.decode(*_CODEC), min(_CHUNK, len(self) - start)
            joined = text.replace("\0", '","')
            plain = text.isascii() and joined.isprintable() and piece.count(b"\0") == count - 1
            if plain and not (b'"' in piece or b"\\" in piece):
                yield f'"{joined}"'
            else:
                yield json.dumps(self.strings(start, start + count), separators=(",", ":"))[1:-1]

    def blank(self) -> NDArray[np.int64]:
        """The rows of empty ones."""
        return np.flatnonzero(self.starts == self.ends)

    @cached_property
    def folders(self) -> tuple[list[str], NDArray[np.int32]]:
        """The folders of paths, in the order in which they come, and which of them each path is in."""
        folders: dict[str, int] = {}

        def number(head: str) -> int:  # of the folder that is written so
            return folders.setdefault(os.path.split(head)[0], len(folders))

        known = Memo(number)
        heads = ([path[: path.rfind(os.sep) + 1] for path in some] for some in self.chunks())
        owner = np.fromiter(map(known.__getitem__, chain.from_iterable(heads)), np.int32, len(self))
        return list(folders), owner

    def prefixed(self, prefix: str) -> Block:
        """Each behind a prefix."""
        head = prefix.encode(*_CODEC)
        parts = []
        for start, piece in zip(range(0, len(self), _CHUNK), self.pieces(), strict=True):
            stop = min(start + _CHUNK, len(self))
            if piece.count(b"\0") == stop - start - 1:
                parts.append(head + piece.replace(b"\0", b"\0" + head))
            else:
                parts.append(b"\0".join(head + text for text in self._rows(start, stop)))
        return Block._of_lengths(parts, [self.ends - self.starts + len(head)])

    def without(self, prefix: str) -> Block | None:
        """Each less a prefix that all have; None where one does not have it."""
        mark = b"\0" + prefix.encode(*_CODEC)
        parts = []
        for start, piece in zip(range(0, len(self), _CHUNK), self.pieces(), strict=True):
            whole, count = b"\0" + piece, min(_CHUNK, len(self) - start)
            if not whole.count(mark) == whole.count(b"\0") == count:
                return None
            parts.append(whole.replace(mark, b"\0")[1:])
        return Block._of_lengths(parts, [self.ends - self.starts - len(mark) + 1])

    def _rows(self, start: int, stop: int) -> list[bytes]:
        block = self.block
        places = zip(self.starts[start:stop].tolist(), self.ends[start:stop].tolist(), strict=True)
        return [block[at:end] for at, end in places]

    def _piece(self, start: int, stop: int) -> bytes:
        """Some of them with NULs between; those that stand so in the block at a time."""
        starts, ends, block = self.starts[start:stop], self.ends[start:stop], self.block
        cuts = np.flatnonzero(starts[1:] != ends[:-1] + 1)
        runs = zip(starts[np.append(0, cuts + 1)].tolist(), ends[np.append(cuts, -1)].tolist(), strict=True)
        return b"\0".join([block[at:end] for at, end in runs])

    def pieces(self) -> Iterator[bytes]:
        """All of them as bytes with NULs between, some thousands at a time."""
        return (self._piece(start, min(start + _CHUNK, len(self))) for start in range(0, len(self), _CHUNK))


def is_utf8(data: bytes) -> bool:
    """Whether bytes are UTF-8, told without a string of them all."""
    decoder = getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(data), 2**24):
            decoder.decode(data[start : start + 2**24])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


class Memo(dict[str, T]):
    """What a function makes of texts, of each of which it is asked once."""

    def __init__(self, function: Callable[[str], T]) -> None:
        super().__init__()
        self._function = function

    def __missing__(self, text: str) -> T:
        value = self[text] = self._function(text)
        return value


def at_rows(texts: Sequence[str], rows: NDArray[np.int64]) -> Sequence[str]:
    """Those at ``rows``, as a list of a list."""
    return texts.take(rows) if isinstance(texts, Texts) else [texts[row] for row in rows.tolist()]


def all_but(rows: Sequence[int] | NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The rows of 0..count-1 that are not among some."""
    others = np.ones(count, dtype=np.bool_)
    others[rows] = False
    return np.flatnonzero(others)


def repeated(texts: Sequence[str]) -> list[int]:
    """The rows of the texts that come more than once, in order."""
    hashes = _hashes(texts)
    in_order = np.sort(hashes)
    twice = in_order[1:][in_order[1:] == in_order[:-1]]
    if not len(twice):
        return []
    rows = np.flatnonzero(np.isin(hashes, twice)).tolist()
    counts = Counter(texts[row] for row in rows)  # others may have one hash
    return [row for row in rows if counts[texts[row]] > 1]


def places_of(texts: Sequence[str], others: Sequence[str]) -> NDArray[np.int64]:
    """The row of each text among others (N,), the last of several; -1 where it is not there."""
    hashes, own = _hashes(others), _hashes(texts)
    order = np.argsort(hashes, kind="stable")
    in_order = hashes[order]
    if not len(order) or (in_order[1:] == in_order[:-1]).any():  # or two texts of one hash
        rows = {other: row for row, other in enumerate(others)}
        return np.fromiter((rows.get(text, -1) for text in texts), np.int64, len(texts))
    at = np.searchsorted(in_order, own) % len(order)
    there = np.flatnonzero(in_order[at] == own)
    candidates = order[at[there]]
    same = np.fromiter(map(str.__eq__, at_rows(texts, there), at_rows(others, candidates)), np.bool_, len(there))
    places = np.full(len(texts), -1)
    places[there[same]] = candidates[same]
    return places


def _hashes(texts: Sequence[str]) -> NDArray[np.int64]:
    return np.fromiter(map(hash, texts), np.int64, len(texts))
