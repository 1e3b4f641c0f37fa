"""Writing a file or a folder whole or not at all."""

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from longtail.errors import InputError


def write_atomically(path: Path, content: str | bytes) -> None:
    """Replace ``path`` by ``content``: readers see the old file or the new one, never a part.

    The content goes to a temporary file beside ``path``, reaches the disk and then takes its name. On failure the
    temporary file is removed and ``path`` stays as it was.

    Raises:
        InputError: if it cannot be written.
    """
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
def whole_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder beside ``folder`` that takes its name at the end, or is removed on failure.

    Raises:
        InputError: if the folder is not empty, or cannot be written.
    """
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
