"""Files by their paths on this machine, or by addresses such as ``s3://bucket/set`` that fsspec reads."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from longtail.errors import InputError
from longtail.files.listing import is_file, is_folder
from longtail.files.threads import NoAnswer
from longtail.messages import escape, first_line

T = TypeVar("T")

# Three tries and the pauses between them end before the loader gives a worker process up, see threads.PATIENCE.
_PATIENCE, _PAUSES = 12, (1, 2)  # seconds for an answer, and before each further try
_BLOCK = 2**22  # bytes that are asked for at a time
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+(::[a-z][a-z0-9+.-]+)*://.")


def is_address(place: str) -> bool:
    """Whether a text is an address in a store, and no path."""
    return _ADDRESS.match(place) is not None


def joined(place: str, name: str) -> str:
    """The path or address of what is called ``name`` in a folder."""
    return f"{place.rstrip('/')}/{name}" if is_address(place) else str(Path(place, name))


def base_name(place: str) -> str:
    """The last part of a path or an address."""
    return re.split(r"[/\\]", place.rstrip("/"))[-1]


def read_bytes(place: str, start: int, end: int) -> bytes:
    """The bytes of a file from ``start`` to ``end``.

    Raises:
        InputError: it cannot be read, or ends before.
        NoAnswer: the store does not answer.
    """
    if is_address(place):
        parts = [(at, min(at + _BLOCK, end)) for at in range(start, end, _BLOCK)]
        data = b"".join(answer_of(place, partial(_part, part)) for part in parts)
    else:
        with Path(place).open("rb") as file:
            file.seek(start)
            data = file.read(end - start)
    if len(data) > end - start:
        raise InputError(f"{escape(place)}: the store gives whole files and no parts of them: copy the set from it")
    if len(data) < end - start:
        raise InputError(f"{escape(place)}: is cut, it ends before byte {end}: copy it again")
    return data


def _part(part: tuple[int, int], store: Any, path: str) -> bytes:  # a file system of fsspec
    data: bytes = store.cat_file(path, *part)
    return data


def read_file(place: str) -> bytes:
    """A whole file; raises as ``read_bytes``."""
    return read_bytes(place, 0, state(place)[0])


def state(place: str) -> tuple[int, str]:
    """The size of a file in bytes, and what is another once it was written again: its time, or the tag of the store.

    Raises:
        InputError: it is not there, or cannot be asked for.
        NoAnswer: the store does not answer.
    """
    if not is_address(place):
        status = Path(place).stat()
        return status.st_size, str(status.st_mtime_ns)
    about = answer_of(place, lambda store, path: store.info(path))
    if about.get("size") is None:
        raise InputError(f"{escape(place)}: the store does not say how large it is: copy the set from it")
    tags = (about.get(name) for name in ("ETag", "etag", "md5", "mtime", "LastModified", "created"))
    return int(about["size"]), str(next((tag for tag in tags if tag), ""))


def is_there(place: str) -> bool:
    """Whether a file is there; raises ``NoAnswer`` where the store does not answer."""
    if not is_address(place):
        return Path(place).is_file()
    return answer_of(place, _has)


def _has(store: Any, path: str) -> bool:  # a file system of fsspec, whose ``exists`` takes any error for a no
    try:
        store.info(path)
    except FileNotFoundError:
        return False
    return True


def entries(place: str, suffix: str) -> tuple[list[str], list[str]]:
    """Paths or addresses of the files with a suffix and of the folders in a folder, sorted, hidden ones left out.

    Raises:
        InputError: it is not there.
        NoAnswer: the store does not answer.
    """
    if is_address(place):
        names = answer_of(place, _names)
        files = [joined(place, name) for name, folder in names if not folder and name.endswith(suffix)]
        folders = [joined(place, name) for name, folder in names if folder]
    else:
        with os.scandir(place) as scan:
            known = list(scan)
        files = [entry.path for entry in known if entry.name.endswith(suffix) and is_file(entry)]
        folders = [entry.path for entry in known if is_folder(entry)]
    return _visible(files), _visible(folders)


def _visible(places: list[str]) -> list[str]:
    return sorted(place for place in places if not base_name(place).startswith("."))


def _names(store: Any, path: str) -> list[tuple[str, bool]]:  # a file system of fsspec
    """What is in a folder of a store, and whether these are folders."""
    listed = store.ls(path, detail=True)
    start = f"{path.rstrip('/')}/"
    names = [(entry["name"].rstrip("/").removeprefix(start), entry["type"] == "directory") for entry in listed]
    return [(name, folder) for name, folder in names if "/" not in name]


def answer_of(address: str, question: Callable[[Any, str], T]) -> T:  # of a file system of fsspec
    """What a store answers, which is asked three times where it does not, or says that it cannot.

    Args:
        address: of a file or a folder.
        question: called with the file system and the path there.

    Raises:
        InputError: it is not there, or the store cannot be reached from here at all.
        NoAnswer: no answer.
    """
    try:
        import fsspec
    except ImportError as error:
        raise InputError(f'{escape(address)}: needs fsspec; pip install "longtail[remote]"') from error
    for pause in (*_PAUSES, None):
        try:
            return _within(lambda: question(*fsspec.core.url_to_fs(address)))
        except FileNotFoundError as error:
            raise InputError(f"{escape(address)}: not there; correct the address, or copy it there") from error
        except (ImportError, ValueError) as error:  # its package is missing, or nobody knows such stores
            raise InputError(f"{escape(address)}: {escape(first_line(error))}") from error
        except PermissionError as error:
            way_out = "log in as the package of the store wants it"
            raise InputError(
                f"{escape(address)}: access is refused ({escape(first_line(error))}); {way_out}"
            ) from error
        except Exception as error:  # each kind of store has its own
            if pause is None:
                reason = escape(first_line(error))
                raise NoAnswer(
                    f"{escape(address)}: the store does not answer after {len(_PAUSES) + 1} tries ({reason}); check "
                    "the network and the address"
                ) from error
            time.sleep(pause)
    raise AssertionError("the last try returns or raises")


def _within(call: Callable[[], T]) -> T:
    """What a call returns; it is given up after ``_PATIENCE`` seconds, whatever time limits a store has itself."""
    answer: Future[T] = Future()

    def run() -> None:
        try:
            answer.set_result(call())
        except BaseException as error:  # it is raised where the answer is taken
            answer.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return answer.result(_PATIENCE)
