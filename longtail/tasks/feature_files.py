"""Files of features: each ends in the CRC-32 of its name and of what is before, and so does what an extraction goes on
from."""

import logging
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from longtail.messages import escape

logger = logging.getLogger(__name__)

CHECKSUM = 4  # bytes
ENTRY = struct.Struct("<QI")  # bytes of features, and their CRC-32
CHUNK = 2**24  # bytes that are read at a time


class Part:
    """Features of some batches, in a file that grows batch by batch.

    Beside it lies a file with an entry for each batch, written after it: the bytes so far, and their CRC-32. What is
    beyond the last entry was cut short, and is written again. Where the bytes before do not fit that entry, none is
    used, and a line says so.

    Args:
        stream: the features, open to read and append.
        entries: the entries, as well.

    Attributes:
        size: bytes that are there.
    """

    def __init__(self, stream: BinaryIO, entries: BinaryIO) -> None:
        self._stream, self._entries = stream, entries
        self.size, self._value = 0, _of_name(stream)
        whole = entries.seek(0, 2) // ENTRY.size * ENTRY.size
        if whole:
            entries.seek(whole - ENTRY.size)
            self.size, self._value = ENTRY.unpack(entries.read(ENTRY.size))
        if stream.seek(0, 2) < self.size or _crc(stream, self.size) != self._value:
            logger.warning(
                f"{escape(stream.name)}: the features in it are not those that were written; the extraction starts over"
            )
            self.size, self._value, whole = 0, _of_name(stream), 0
        stream.truncate(self.size)
        entries.truncate(whole)

    def append(self, features: bytes) -> None:
        """Write those of a batch."""
        self._stream.write(features)
        self._stream.flush()
        self._value = zlib.crc32(features, self._value)
        self.size += len(features)
        self._entries.write(ENTRY.pack(self.size, self._value))
        self._entries.flush()

    def finish(self) -> None:
        """Write the checksum of all."""
        self._stream.write(_bytes(self._value))


@contextmanager
def part_of(file: Path) -> Iterator[Part]:
    """What is there of a file of features, to append the rest to; afterwards the file is there, or on an error what can
    be gone on from."""
    path, entries = file.with_suffix(".part"), file.with_suffix(".entries")
    with path.open("a+b") as stream, entries.open("a+b") as beside:
        part = Part(stream, beside)
        yield part
        part.finish()
    path.replace(file)
    entries.unlink()


def is_whole(file: Path, size: int) -> bool:
    """Whether a file is there with features of so many bytes, and these are what was written."""
    if not file.is_file() or file.stat().st_size != size + CHECKSUM:
        return False
    with file.open("rb") as stream:
        return _bytes(_crc(stream, size)) == stream.read(CHECKSUM)


def _crc(stream: BinaryIO, size: int) -> int:
    """The CRC-32 of the name of a file and of its first bytes, which is then read up to there."""
    stream.seek(0)
    value = _of_name(stream)
    for start in range(0, size, CHUNK):
        value = zlib.crc32(stream.read(min(CHUNK, size - start)), value)
    return value


def _of_name(stream: BinaryIO) -> int:
    """The CRC-32 of the name of a file without its ending, by which it is of a network and a set."""
    return zlib.crc32(Path(stream.name).stem.encode())


def _bytes(value: int) -> bytes:
    return value.to_bytes(CHECKSUM, "little")
