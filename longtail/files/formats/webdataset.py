"""Images in tar shards, as ``longtail pack`` and WebDataset write them."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import shutil
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from longtail.errors import InputError
from longtail.files.cache import alone, kept_in, written_in
from longtail.files.images.reading import SUFFIXES
from longtail.files.listing import Listing
from longtail.files.progress import progress_bar
from longtail.files.shards.index import INDEX, Index, Shard, ends_of
from longtail.files.split_names import split_of, split_of_file
from longtail.files.stores import base_name, entries, is_address, is_there, joined, read_bytes, state
from longtail.files.tables.columns import Columns, likeliest_label
from longtail.files.tables.entries import Reading
from longtail.messages import escape, first_line, plural, some
from longtail.plain import AnyPath
from longtail.writing import whole_folder

logger = logging.getLogger(__name__)

_AHEAD = 2**22  # bytes that are read at a time from a store


def has_index(place: str) -> bool:
    """Whether shards with an index lie in a folder or at an address."""
    return is_there(joined(place, INDEX))


def tars_of_images(place: str, columns: Columns) -> dict[str, bool]:
    """The tar files in a folder and in its folders of splits that begin with an image, and whether something that tells
    a label lies beside that."""
    tars = {}
    for file in _tars(place):
        with suppress(InputError):  # no tar file of any kind
            if first := next(_samples(file, columns.label), None):
                tars[file] = bool(first.texts)
    return tars


def _tars(place: str) -> list[str]:
    """The tar files in a folder, and in those in it that are called as splits."""
    files, folders = entries(place, ".tar")
    for folder in folders:
        if split_of(base_name(folder)):
            files += entries(folder, ".tar")[0]
    return files


def read_shards(place: AnyPath, reading: Reading, classes: Sequence[str] | None = None) -> dict[str, Listing]:
    """The images in the shards at a place, by split.

    Shards without an index are read once for theirs, which is kept; other processes wait.

    Args:
        place: folder or address.
        reading: how to read.
        classes: the class names in order, such as those of the training images.

    Raises:
        InputError: a shard is missing, cut, or another than that of the index, or see ``Index``.
    """
    place = os.fspath(place)
    if has_index(place):
        index = Index.read(place)
        if fault := index.changed(place):
            raise InputError(f"{fault}; copy the whole set again, or pack it again")
    else:
        index = _index_of(place, reading.columns)
    counts = Counter("" if shard.split == "all" else f" of {shard.split}" for shard in index.shards)
    words = ", ".join(plural(count, f"shard{of}", f"shards{of}") for of, count in counts.items())
    logger.info(f"{escape(place)}: read as shards, {words}")
    return index.listings(place, reading, classes)


def _index_of(place: str, columns: Columns) -> Index:
    """The index of the shards of others, made unless that was done before and they are as they were."""
    files = _tars(place)
    # What is taken for the label and for the image is a matter of the columns, each choice with its own index.
    chosen = "-".join(re.sub(r"\W", "_", name or "auto") for name in (columns.path, columns.label))
    if index := _finished(place, kept_in(place, "shards") / chosen, files):
        return index
    home = written_in(place, "shards")
    with alone(home):
        folder = home / chosen
        if index := _finished(place, folder, files):  # of a process that was quicker
            return index
        if (folder / INDEX).is_file():
            logger.info(f"{escape(place)}: the shards are not those that were indexed, and are read again")
            shutil.rmtree(folder, ignore_errors=True)
        index = _index(place, files, columns)
        with whole_folder(folder) as temporary:
            index.write(temporary)
    return index


def _finished(place: str, folder: Path, files: list[str]) -> Index | None:
    """The index in a folder, where there is one of these shards as they are."""
    if (folder / INDEX).is_file():
        with suppress(InputError):  # it is made anew
            index = Index.read(str(folder))
            if [joined(place, shard.name) for shard in index.shards] == files and not index.changed(place):
                return index
    return None


def _index(place: str, files: list[str], columns: Columns) -> Index:
    """Read shards for their index."""
    names: list[str] = []
    labels: dict[str, int] = {}
    rows: list[tuple[int, int, int, int]] = []
    shards: list[Shard] = []
    with progress_bar(len(files), "indexing shards", "shard") as bar:
        for at, file in enumerate(files):
            for sample in _samples(file, columns.label):
                name, start, length = _image(sample, columns.path)
                text = _label(sample, columns.label)
                rows.append((at, start, length, labels.setdefault(text, len(labels)) if text else -1))
                names.append(name)
            size, stamp = state(file)
            below = file.removeprefix(joined(place, "")).lstrip("/\\")
            split = split_of_file(Path(), Path(below.replace("\\", "/")))
            shards.append(Shard(below, split, size, ends_of(file, size), stamp))
            bar.update()
    if not rows:
        raise InputError(f"{escape(place)}: there are no images in the shards, such as {escape(files[0])}")
    shard, start, length, label = np.array(rows, dtype=np.int64).T
    return Index(shards, list(labels), False, "", shard, start, length, label, names, [])


class _Sample(NamedTuple):
    """What lies together in a shard: of each image its name, its first byte and its size, and what tells the label, by
    the endings of their names."""

    shard: str
    images: dict[str, tuple[str, int, int]]
    texts: dict[str, bytes]

    @property
    def place(self) -> str:
        return f"{escape(self.shard)}, {escape(next(iter(self.images.values()))[0])}"


def _samples(shard: str, label: str | None) -> Iterator[_Sample]:
    """The samples with images of a shard: members of the same name up to the first point, as WebDataset has it."""
    with _opened(shard) as stream:
        key, sample = "", _Sample(shard, {}, {})
        for name, start, size in _members(shard, stream):
            folder, slash, base = name.rpartition("/")
            stem, _, ending = base.partition(".")
            ending = ending.lower()
            if not stem or not ending or "__MACOSX" in folder:
                continue
            if sample.images and folder + slash + stem != key:
                yield sample
            if folder + slash + stem != key:
                key, sample = folder + slash + stem, _Sample(shard, {}, {})
            if f".{ending.rpartition('.')[2]}" in SUFFIXES:
                sample.images[ending] = (name, start, size)
            elif ending in ("cls", "json", label):
                stream.seek(start)
                sample.texts[ending] = stream.read(size)
        if sample.images:
            yield sample


def _image(sample: _Sample, end: str | None) -> tuple[str, int, int]:
    """The image of a sample, or of several the one with an ending."""
    images = sample.images
    if end is not None and end not in images:
        raise InputError(f"{sample.place}: there is no {escape(end)} beside it, only {some(images)}")
    if end is None and len(images) > 1:
        way_out = "give one by --data.path_column"
        raise InputError(f"{sample.place}: there are several images of one name, {some(images)}: {way_out}")
    return next(iter(images.values())) if end is None else images[end]


def _label(sample: _Sample, field: str | None) -> str:
    """The label in what stands beside an image: the file or the field that is wanted, else .cls, else the likeliest
    field; empty where there is none."""
    texts = sample.texts
    own = field if field in texts else "cls" if field is None else None
    try:
        if own in texts:
            return texts[str(own)].decode().strip()
        content = json.loads(texts["json"]) if "json" in texts else {}
    except ValueError as error:
        fault = f"the label beside it cannot be read ({escape(first_line(error))})"
        raise InputError(f"{sample.place}: {fault}; write the shard again") from error
    fields = content if isinstance(content, dict) else {}
    name = likeliest_label(list(fields)) if field is None else field
    value = None if name is None else fields.get(name)
    return "" if value is None or isinstance(value, (dict, list)) else str(value).strip()


def _members(shard: str, stream: BinaryIO) -> Iterator[tuple[str, int, int]]:
    """Name, first byte and size of each file in a tar file.

    Raises:
        InputError: it is no plain tar file, or is cut.
    """
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    try:
        with tarfile.open(fileobj=stream, mode="r:") as tar:
            end = 0
            while (info := tar.next()) is not None:
                end = info.offset_data + -(-info.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
                if end > size:
                    raise InputError(f"{escape(shard)}: is cut in {escape(info.name)}; copy it again")
                if info.isfile():
                    yield info.name, info.offset_data, info.size
                tar.members.clear()  # type: ignore[attr-defined]  # it would keep them all
    except tarfile.TarError as error:
        reason = escape(first_line(error))
        raise InputError(f"{escape(shard)}: is no plain tar file, or damaged ({reason}); write it again") from error
    stream.seek(end)
    if not stream.read(tarfile.BLOCKSIZE):
        raise InputError(f"{escape(shard)}: is cut, the end of the archive is missing; copy it again")


def _opened(shard: str) -> BinaryIO:
    if is_address(shard):
        return io.BufferedReader(_Remote(shard), _AHEAD)
    return Path(shard).open("rb")


class _Remote(io.RawIOBase):
    """A file in a store, which is read in parts as they are asked for."""

    def __init__(self, address: str) -> None:
        self._address, self._at, self._size = address, 0, state(address)[0]

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # any buffer
        data = read_bytes(self._address, self._at, min(self._at + len(buffer), self._size))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
