"""Writing a file whole or not at all."""

import contextlib
import os
import uuid
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
