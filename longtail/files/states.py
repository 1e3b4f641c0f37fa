"""What tells that a file is another than it was, and stays the same where it is copied."""

import os
import zlib
from collections.abc import Sequence
from hashlib import sha256
from stat import S_ISDIR

import numpy as np

from longtail.files.listing import IntArray
from longtail.files.members import Members, member_of
from longtail.files.stores import read_bytes, state

_END = 1024  # bytes: they hold the checksum of a PNG, and follow from all before them in a JPEG


def file_sizes(paths: Sequence[str]) -> IntArray:
    """Bytes of each file (N,), of a folder those of the files in it; -1 for one that cannot be asked for."""
    if isinstance(paths, Members):
        return paths.end - paths.start
    return np.fromiter(map(_size, paths), dtype=np.int64, count=len(paths))


def file_ends(paths: Sequence[str]) -> IntArray:
    """CRC-32 of the last KiB of each file (N,); of a folder that of the names in it, and of the first and the last of
    its files. -1 for one that cannot be read."""
    return np.fromiter((_end(path) for path in paths), dtype=np.int64, count=len(paths))


def fingerprint(paths: Sequence[str], start: str = "") -> str:
    """The SHA-256 of the names, sizes and times of files, of a folder those of the files in it, which follow a text
    that it starts with; for those in shards of their places and of what ``stores.state`` says of the shards, each of
    which is asked once."""
    digest, shards = sha256(start.encode()), dict[str, str]()
    for path in paths:
        digest.update(f"{path}\0{_state(path, shards)}\0".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _state(path: str, shards: dict[str, str]) -> str:
    if member := member_of(path):
        if member.shard not in shards:
            shards[member.shard] = " ".join(map(str, state(member.shard)))
        return f"{member.end - member.start}\0{shards[member.shard]}"
    status = os.stat(path)  # noqa: PTH116 - millions of paths, as strings
    if S_ISDIR(status.st_mode):  # a clip as its frames: one that is written over leaves the folder as it was
        with os.scandir(path) as entries:
            frames = [(entry.name, entry.stat()) for entry in entries if entry.is_file()]
        return "\0".join(f"{name}\0{frame.st_size}\0{frame.st_mtime_ns}" for name, frame in sorted(frames))
    return f"{status.st_size}\0{status.st_mtime_ns}"


def _size(path: str) -> int:
    if member := member_of(path):
        return member.end - member.start
    try:
        status = os.stat(path)  # noqa: PTH116 - millions of paths, as strings
        if not S_ISDIR(status.st_mode):
            return status.st_size
        with os.scandir(path) as entries:
            return sum(entry.stat().st_size for entry in entries if entry.is_file())
    except OSError:
        return -1


def _end(path: str) -> int:
    try:
        if member := member_of(path):
            return zlib.crc32(read_bytes(member.shard, max(member.start, member.end - _END), member.end))
        if os.path.isdir(path):  # noqa: PTH112 - as above
            names = sorted(os.listdir(path))  # noqa: PTH208 - as above
            ends = [_end(os.path.join(path, name)) for name in names[:1] + names[-1:]]  # noqa: PTH118 - as above
            return zlib.crc32(repr((names, ends)).encode(errors="surrogateescape"))
        with open(path, "rb") as file:  # noqa: PTH123 - as above
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _END))
            return zlib.crc32(file.read())
    except OSError:
        return -1
