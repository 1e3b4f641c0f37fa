"""What is kept of a set for the next time: where it goes, and how it is written."""

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from longtail.errors import InputError
from longtail.files.stores import is_address
from longtail.messages import escape
from longtail.writing import system_error

logger = logging.getLogger(__name__)


def cache_folder(root: Path) -> Path:
    """The hidden folder of a set, or of a file beside which it lies."""
    return root / ".longtail"


def kept_in(place: str | Path, name: str) -> Path:
    """Where what was made of a set is looked for: beside it, or for one that cannot be written in the user's cache.

    Args:
        place: folder or address of the set.
        name: of what is kept.
    """
    if not is_address(str(place)):
        beside = cache_folder(Path(place)) / name
        if beside.is_dir() or os.access(place, os.W_OK):
            return beside
    return _of_user(place, name)


def written_in(place: str | Path, name: str) -> Path:
    """Where it is written: as ``kept_in``, but in the user's cache where another user has made the folder beside."""
    home = kept_in(place, name)
    there = next(folder for folder in (home, *home.parents) if folder.is_dir())
    return home if os.access(there, os.W_OK) else _of_user(place, name)


def _of_user(place: str | Path, name: str) -> Path:
    place = place if is_address(str(place)) else Path(place).resolve()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "longtail" / name / sha256(os.fsencode(place)).hexdigest()[:16]


@contextmanager
def alone(home: Path, name: str = ".lock") -> Iterator[bool]:
    """Other processes wait that would write into a folder, or the part of it that the lock is named after; says whether
    they do, as not all file systems have locks."""
    import filelock

    home.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(home / name)
    with suppress(NotImplementedError):
        lock.acquire()
    try:
        yield lock.is_locked
    finally:
        lock.release()


@contextmanager
def filling(home: Path) -> Iterator[None]:
    """Turns the system's refusal to write into a folder into an ``InputError``."""
    try:
        yield
    except OSError as error:
        refusal = system_error(error, str(home))
        raise refusal or InputError(f"{escape(home)}: cannot be written ({error.strerror or error})") from error


def settle(part: Path, folder: Path, is_whole: Callable[[], bool]) -> None:
    """Give what was written under another name its own, unless another process was quicker.

    Args:
        part: the folder that was written.
        folder: what it is to be called; one of this name that is not whole is replaced.
        is_whole: whether ``folder`` holds all that it should.
    """
    try:
        part.rename(folder)
    except OSError:  # there is one already
        if is_whole():
            shutil.rmtree(part, ignore_errors=True)
            return
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)


def keep(folder: Path, write: Callable[[], None], consequence: str = "nothing is kept for next time") -> None:
    """Make the folder of a cache and write into it; a line is all that is said where that is not possible.

    Args:
        folder: that of the cache.
        write: writes what is to be kept, whole or not at all.
        consequence: what it means that it could not, for the line.
    """
    try:
        folder.mkdir(exist_ok=True)
        write()
    except (OSError, InputError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        reason = getattr(cause, "strerror", None) or type(cause).__name__
        logger.info(f"{escape(folder)}: cannot be written ({reason}), so {consequence}")
