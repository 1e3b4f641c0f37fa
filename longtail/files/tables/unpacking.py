"""Images whose bytes lie in a table, unpacked once into files, which everything else then reads as such."""

from __future__ import annotations

import glob
import json
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from longtail.files.cache import alone, filling, settle
from longtail.files.images.folder import VIDEO_SUFFIXES
from longtail.files.images.reading import SUFFIXES
from longtail.files.progress import progress_bar
from longtail.files.tables.columnar import columnar
from longtail.plain import JSON

_VERSION = 1  # a new one whenever other files are made of the same table
_INDEX = "index.json"
_STARTS = {  # of the bytes of images, and the suffix that their files get
    b"\xff\xd8\xff": ".jpg",
    b"\x89PNG": ".png",
    b"GIF8": ".gif",
    b"RIFF": ".webp",
    b"BM": ".bmp",
    b"II*\0": ".tif",
    b"MM\0*": ".tif",
    b"\0\0\0\x0cjP": ".jp2",
}


def image_suffix(data: bytes) -> str:
    """That of an image with these bytes, of the common formats; else empty."""
    return next((suffix for start, suffix in _STARTS.items() if data.startswith(start)), "")


def unpacked(file: Path, column: str, home: Path, name: Path) -> list[str]:
    """The images in a column of a table as files, which are written if the table is another than it was.

    A killed process leaves nothing that counts, and several write one after the other.

    Args:
        file: the table.
        column: of the images: their bytes, or structures of "bytes" and "path".
        home: the folder of unpacked images.
        name: what the folder of this table is called in there.

    Returns:
        The path of each row from ``home``; of a row without bytes the path that it has, which may be empty.

    Raises:
        InputError: the table cannot be read, or the files cannot be written.
    """
    status = file.stat()
    state = [_VERSION, column, status.st_size, status.st_mtime_ns]
    paths = _paths_in(home / name, state)
    if paths is not None:
        return paths
    with filling(home), alone(home) as locked:
        paths = _paths_in(home / name, state)  # of a process that was quicker
        if paths is None:
            if locked:  # else another process may be at it
                _clear(home / name)
            paths = _unpack(file, column, home, name, state)
        return paths


def _paths_in(folder: Path, state: list[JSON]) -> list[str] | None:
    """What a folder has of a table in this state; None where it has not."""
    try:
        content = json.loads((folder / _INDEX).read_text())
        paths: list[str] = content["paths"]
        return paths if content["state"] == state else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _clear(folder: Path) -> None:
    """Remove what killed processes have left beside a folder."""
    for left in folder.parent.glob(f".{glob.escape(folder.name)}.*.tmp"):
        shutil.rmtree(left, ignore_errors=True)


def _unpack(file: Path, column: str, home: Path, name: Path, state: list[JSON]) -> list[str]:
    """Write the files under another name, and rename their folder in the end."""
    folder = home / name
    temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.tmp")
    temporary.mkdir(parents=True)
    paths: list[str] = []
    try:
        with progress_bar(None, f"unpacking {file.name}", "image") as bar:
            for value in _images(file, column):
                data, path = (value.get("bytes"), value.get("path")) if isinstance(value, dict) else (value, None)
                if data is not None:
                    file_name = _file_name(len(paths) + 1, data, Path(path or ""))
                    (temporary / file_name).write_bytes(data)
                    path = str(name / file_name)
                paths.append(path or "")
                bar.update()
        (temporary / _INDEX).write_text(json.dumps({"state": state, "paths": paths}))
        settle(temporary, folder, lambda: _paths_in(folder, state) is not None)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return paths


def _images(file: Path, column: str) -> Iterator[Any]:  # bytes, or a structure
    with columnar(file) as table:
        for batch in table.batches([column]):
            yield from batch.column(0).to_pylist()


def _file_name(row: int, data: bytes, path: Path) -> str:
    """What the image of a row is called, with the name that it had before."""
    stem = f"-{path.stem}" if path.stem and path.stem.isprintable() and len(path.stem) < 100 else ""
    suffix = path.suffix.lower() if path.suffix.lower() in SUFFIXES | VIDEO_SUFFIXES else ".bin"
    return f"row{row}{stem}{image_suffix(data) or suffix}"
