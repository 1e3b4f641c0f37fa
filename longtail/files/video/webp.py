"""Reading animated WebP with Pillow, as FFmpeg does not decode it; ``reading`` calls it for such files.

The message of an ``InputError`` is the reason alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from longtail.errors import InputError
from longtail.files.video.frames import check_last, stacked
from longtail.messages import escape

if TYPE_CHECKING:
    from torch import Tensor


def is_plain(path: str) -> bool:
    return False  # no other decoder reads it


def count(path: str) -> int:
    with _opened(path) as image:
        return int(image.n_frames)


def read(path: str, indices: Sequence[int]) -> Tensor:
    with _opened(path) as image:
        check_last(path, max(indices), image.n_frames)
        frames = {number: _rgb(image, number) for number in sorted(set(indices))}
    return stacked([frames[number] for number in indices])


def check(path: str) -> int:
    with _opened(path) as image:
        for number in range(image.n_frames):
            _rgb(image, number)
        return int(image.n_frames)


@contextmanager
def _opened(path: str) -> Iterator[Any]:  # an image with frames, which the types of Pillow do not tell
    """An animation; whatever a damaged one leads to is an ``InputError``."""
    size = Path(path).stat().st_size
    with Path(path).open("rb") as file:
        promised = int.from_bytes(file.read(8)[4:], "little") + 8
        if size < promised:
            raise InputError(f"truncated: holds {size:,} of {promised:,} bytes")
        try:
            with Image.open(file, formats=("WEBP",)) as image:
                yield image
        except (InputError, MemoryError):
            raise
        except Exception as error:  # on damaged files, decoders raise nearly anything
            raise InputError(f"cannot be decoded ({escape(error)})") from error


def _rgb(image: Any, number: int) -> NDArray[np.uint8]:  # of Pillow, with frames
    """A frame (H, W, 3), on white where it is transparent."""
    image.seek(number)
    frame = image.convert("RGBA")
    return np.asarray(Image.alpha_composite(Image.new("RGBA", frame.size, "white"), frame).convert("RGB"))
