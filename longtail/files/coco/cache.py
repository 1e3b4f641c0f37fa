"""The content of large JSON files of COCO format, kept as arrays in a hidden folder ``.longtail`` beside each."""

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO
from zlib import crc32

import numpy as np

from longtail.files.cache import cache_folder, keep, settle
from longtail.files.coco.reader import Content, parse

_CACHED_FROM = 2**24  # bytes; a smaller file is read as quickly as its cache
_VERSION = 4  # a new one whenever the arrays or their checks change
_ABOUT = "about.json"


def cached(file: Path, masks: bool) -> Content:
    """The content of a file: mapped from its cache where there is one, else parsed, and kept if the file is large.

    Raises as ``parse`` does.
    """
    if file.stat().st_size < _CACHED_FROM:
        return parse(file, masks)
    cache = _Cache(file, masks)
    content = mapped(cache.folder)
    if content is None:
        content = parse(file, masks)
        cache.write(content)
        content = mapped(cache.folder) or content
    return content


def mapped(folder: Path, check: bool = True) -> Content | None:
    """The content that is kept in ``folder``, mapped into memory; None where it is missing or damaged.

    Args:
        folder: the cache.
        check: read the arrays once, to see whether they are what was written.
    """
    try:
        digest, _, text = (folder / _ABOUT).read_bytes().partition(b"\n")
        if sha256(text).hexdigest().encode() != digest:
            return None
        about = json.loads(text)
        arrays = {}
        for name, (kind, shape, checksum) in about.pop("arrays").items():
            arrays[name] = np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r"))
            if [arrays[name].dtype.str, *arrays[name].shape] != [kind, *shape]:
                return None
            if check and crc32(arrays[name].data) != checksum:
                return None
    except Exception:  # whatever a damaged file leads to
        return None
    return Content(arrays, about, folder)


class _Cache:
    """The cache of a file. The folder is called by the file's size and time, so that of a changed file is not found."""

    def __init__(self, file: Path, masks: bool) -> None:
        stat = file.stat()
        state = f"{_VERSION} {stat.st_size} {stat.st_mtime_ns}"
        self._prefix = f"{file.name}-{'masks' if masks else 'boxes'}-"
        self.folder = cache_folder(file.parent) / (self._prefix + sha256(state.encode()).hexdigest()[:16])

    def write(self, content: Content) -> None:
        """Write all of it under another name and rename it; goes without where that is not possible."""
        temporary = self.folder.with_name(f".{self.folder.name}.{uuid.uuid4().hex}.tmp")
        try:
            keep(self.folder.parent, lambda: self._write(content, temporary))
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _write(self, content: Content, temporary: Path) -> None:
        _write(temporary, content)
        settle(temporary, self.folder, lambda: mapped(self.folder) is not None)
        for other in self.folder.parent.iterdir():
            if other.name.startswith(self._prefix) and other != self.folder:
                shutil.rmtree(other, ignore_errors=True)


def _write(folder: Path, content: Content) -> None:
    """What ``mapped`` reads, in a new folder."""
    folder.mkdir()
    for name, values in content.arrays.items():
        with _to_disk(folder / f"{name}.npy") as file:
            np.save(file, values)
    arrays = {
        name: [values.dtype.str, values.shape, crc32(np.ascontiguousarray(values).data)]
        for name, values in content.arrays.items()
    }
    text = json.dumps({**content.about, "arrays": arrays}).encode()
    with _to_disk(folder / _ABOUT) as file:
        file.write(sha256(text).hexdigest().encode() + b"\n" + text)


@contextmanager
def _to_disk(path: Path) -> Iterator[BinaryIO]:
    """A new file, of which everything has reached the disk in the end."""
    with path.open("xb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
