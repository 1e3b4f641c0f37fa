"""Writing a file whole or not at all."""

import contextlib
import os
import uuid
from pathlib import Path

from longtail.errors import InputError


def write_atomically(path: Path, text: str) -> None:
    """Replace ``path`` by ``text``: readers see the old file or the new one, never a part.

    The text goes to a temporary file beside ``path``, reaches the disk and then takes its name. On failure the
    temporary file is removed and ``path`` stays as it was.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
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
