"""Writing a file or a folder whole or not at all, and a folder by one process at a time."""

import contextlib
import errno
import json
import logging
import math
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

from longtail.errors import InputError
from longtail.messages import command
from longtail.plain import JSON, AnyPath

logger = logging.getLogger(__name__)

LOCK = ".lock"
LOCK_PATIENCE = 5  # seconds, as the workers of a killed process live a moment longer than it
LEFTOVERS = (".*.tmp", "*.ckpt.part")  # of a process that was killed while it wrote
WAYS_OUT = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space",
    errno.EFBIG: "the limit of the size of files (ulimit -f) is too low",
    errno.EACCES: "check its permissions",
    errno.EPERM: "check its permissions",
    errno.EROFS: "choose another folder",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EIO: "check the disk",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
}


def system_error(error: OSError, where: str = "standard output") -> InputError | None:
    """What the system refused, as one line with the way out; None for an error that is no matter of the user's.

    Args:
        error: of the system.
        where: what it is about, where it does not name a file.
    """
    if error.errno not in WAYS_OUT:
        return None
    name = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else where
    name = name if len(name) <= 200 else f"{name[:80]}...{name[-80:]}"
    return InputError(f"{name}: {error.strerror}: {WAYS_OUT[error.errno]}")


def is_unused(folder: Path) -> bool:
    """Whether a folder is not there, or holds nothing but what a process leaves that is killed as it begins."""
    if not folder.exists():
        return True
    left = {path for pattern in (LOCK, *LEFTOVERS) for path in folder.glob(pattern)} if folder.is_dir() else set()
    return folder.is_dir() and {*folder.iterdir()} <= left


def check_unused(run: Path) -> None:
    """Check that a folder can become that of a new run; raises InputError where it holds something."""
    if not is_unused(run):
        raise InputError(f"{run} exists: choose another --run, or continue it by {command('--resume', run)}")


def check_can_be_made(folder: Path) -> None:
    """Check that a folder can be made and written, before any work is done for it.

    Raises:
        InputError: if not.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise InputError(f"{folder} cannot be made: {there} is no folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"{folder} cannot be written: check the permissions of {there}, or choose another --run")


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder that is there against other processes, and clear what a killed one has left in it.

    The lock is the system's, which takes it back from a process that is gone, however it ended.

    Raises:
        InputError: if another process holds it, or it cannot be written.
    """
    import filelock

    lock = filelock.FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=LOCK_PATIENCE)
    except filelock.Timeout:
        raise InputError(f"{folder} is in use by another process: wait for its end, or choose another --run") from None
    except NotImplementedError:
        logger.info(f"{folder} is on a file system without locks: take care that no other process writes to it")
    try:
        for pattern in LEFTOVERS:
            for path in folder.glob(pattern):
                path.unlink()
        yield
    finally:
        lock.release()


def remove_unused(folder: Path) -> None:
    """Remove a folder in which there is nothing, or nothing but the lock of a process that is done with it."""
    with contextlib.suppress(OSError):
        if {path.name for path in folder.iterdir()} <= {LOCK}:
            (folder / LOCK).unlink(missing_ok=True)
            folder.rmdir()


def is_held(folder: Path) -> bool:
    """Whether a process holds a folder, as far as it can be told without writing to it."""
    import filelock

    if not (folder / LOCK).is_file():
        return False
    lock = filelock.FileLock(folder / LOCK)
    try:
        with lock.acquire(timeout=0):
            return False
    except (filelock.Timeout, OSError, NotImplementedError):
        return True


def write_atomically(path: AnyPath, content: str | bytes) -> None:
    """Replace ``path`` by ``content``: readers see the old file or the new one, never a part.

    The content goes to a temporary file beside ``path``, reaches the disk and then takes its name. On failure the
    temporary file is removed and ``path`` stays as it was.

    Raises:
        InputError: if it cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            reason = error.strerror or type(error).__name__
            raise InputError(f"{path}: cannot be written ({reason}); check the folder and the free space") from error
        raise


@contextlib.contextmanager
def whole_folder(folder: AnyPath) -> Iterator[Path]:
    """A temporary folder beside ``folder`` that takes its name at the end, or is removed on failure.

    Raises:
        InputError: if the folder is not empty, or cannot be written.
    """
    folder = Path(folder)
    target = folder.resolve()
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise InputError(f"{folder} is not an empty folder: give a new one")
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        yield temporary
        if target.exists():
            target.rmdir()  # it is empty; only some systems rename over it
        temporary.replace(target)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError):
            reason = error.strerror or type(error).__name__
            raise InputError(f"{folder}: cannot be written ({reason}); check the folder and the free space") from error
        raise


def finite(value: object) -> object:
    """Replace every number that JSON does not know by None."""
    if isinstance(value, Mapping):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        if {*map(type, value)} <= {float} and all(map(math.isfinite, value)):
            return value  # at once, as there are millions
        return [finite(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def json_text(value: JSON, start: str = "\n") -> str:
    """A value as JSON, an entry a line; a list of plain values stands in one."""
    inner = f"{start} "
    if isinstance(value, dict) and value:
        entries = (f"{inner}{json.dumps(key)}: {json_text(entry, inner)}" for key, entry in value.items())
        return f"{{{','.join(entries)}{start}}}"
    if isinstance(value, list) and {*map(type, value)} & {dict, list}:
        return f"[{','.join(f'{inner}{json_text(entry, inner)}' for entry in value)}{start}]"
    return json.dumps(value, allow_nan=False)
