"""Tables that are stored by columns, Parquet and Arrow: their schema and their rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from longtail.errors import InputError
from longtail.messages import escape

SUFFIXES = (".parquet", ".arrow")
_BATCH = 256  # rows that are held in memory, as each may have an image


class Columnar(Protocol):
    """A table that is open for reading.

    Attributes:
        schema: of pyarrow.
    """

    schema: Any  # of pyarrow, which ships no types

    def batches(self, columns: Sequence[str]) -> Iterator[Any]:  # of pyarrow, which ships no types
        """Some of the columns of all rows, in record batches of pyarrow."""


class _Parquet:
    def __init__(self, file: Any) -> None:  # pyarrow's, which ships no types
        self._file, self.schema = file, file.schema_arrow

    def batches(self, columns: Sequence[str]) -> Iterator[Any]:  # of pyarrow, which ships no types
        batches: Iterator[Any] = self._file.iter_batches(_BATCH, columns=list(columns))
        return batches


class _Arrow:
    def __init__(self, file: Path) -> None:
        pa = arrow(file)
        source = pa.memory_map(str(file))
        try:
            self._stream = pa.ipc.open_stream(source)  # as Hugging Face writes it
        except pa.ArrowInvalid:
            whole = pa.ipc.open_file(source)
            self._stream = (whole.get_batch(i) for i in range(whole.num_record_batches))
            self.schema = whole.schema
        else:
            self.schema = self._stream.schema

    def batches(self, columns: Sequence[str]) -> Iterator[Any]:  # of pyarrow, which ships no types
        for batch in self._stream:
            part = batch.select(list(columns))
            yield from (part.slice(start, _BATCH) for start in range(0, len(part), _BATCH))


def arrow(file: Path) -> ModuleType:
    """pyarrow, with its part for Parquet; raises InputError about the file where it is not installed."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        kind = file.suffix[1:].title()
        raise InputError(f'{escape(file)}: {kind} needs pyarrow; pip install "longtail[parquet]"') from error
    module: ModuleType = pyarrow
    return module


@contextmanager
def columnar(file: Path) -> Iterator[Columnar]:
    """A Parquet or Arrow file, whose batches can be read once.

    Raises:
        InputError: it cannot be read, or pyarrow is missing.
    """
    kind, pa = file.suffix[1:].title(), arrow(file)
    try:
        if kind == "Arrow":
            yield _Arrow(file)
        else:
            with pa.parquet.ParquetFile(file) as source:
                yield _Parquet(source)
    except (pa.ArrowException, OSError, UnicodeDecodeError, OverflowError) as error:
        reason = escape(str(error).partition("\n")[0])
        raise InputError(f"{escape(file)}: not a readable {kind} file ({reason}); write it again") from error


def first_rows(file: Path, columns: Sequence[str], count: int) -> list[dict[str, Any]]:  # Python's, of any type
    """So many of the first rows, as Python's values."""
    with columnar(file) as table:
        rows = (row for batch in table.batches(columns) for row in batch.to_pylist())
        return list(islice(rows, count))
