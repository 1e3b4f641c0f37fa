"""Reading frames of videos: the wanted ones only, from a video file or from a folder of frame images."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from longtail.errors import InputError
from longtail.files.apart import apart, beat
from longtail.files.images.checks import fault_of
from longtail.files.images.formats import is_animated_webp
from longtail.files.images.reading import SUFFIXES, decode, upright_size
from longtail.files.listing import is_file
from longtail.files.video import webp
from longtail.files.video.flow import without_flow
from longtail.files.video.frames import check_last, stacked
from longtail.messages import escape
from longtail.plain import AnyPath

if TYPE_CHECKING:
    from torch import Tensor


def count_frames(path: AnyPath, pattern: str | None = None) -> int:
    """Number of frames of a video that can be shown, at least 1.

    Args:
        path: a video file, or a folder that holds one image for each frame.
        pattern: as in ``frame_files``.

    Raises:
        InputError: the file or folder holds no frames or cannot be read, or no decoder is installed.
    """
    path = os.fspath(path)
    if Path(path).is_dir():
        with _naming(path):
            return len(frame_files(path, pattern))
    exact = _exact_of(path)
    with _naming(path):
        return exact.count(path)


def read_frames(
    path: AnyPath, indices: Sequence[int], bit_depth: int | None = None, pattern: str | None = None
) -> Tensor:
    """Decode frames of a video, and as little else as its compression allows.

    Frames are numbered from 0 in the order in which they are shown, whatever time each stays on the screen: in a video
    with a variable frame rate an index is a number, not a time. Index i always gives the frame that would come as
    number i if the whole video were decoded. A file that is to be shown rotated or mirrored is.

    Args:
        path: a video file, or a folder that holds one image for each frame. The images are taken in the order of their
            names, with numbers by value.
        indices: T numbers of frames, at least one, in any order; a frame may be wanted more than once.
        bit_depth: how many bits of images of 16 count, where they do not say it.
        pattern: as in ``frame_files``.

    Returns:
        uint8 (T, 3, H, W), RGB; in memory the channels of a pixel lie side by side.

    Raises:
        InputError: the file or folder holds no frames or cannot be read, a wanted frame cannot be decoded, frames
            differ in size, or no decoder is installed.
        ValueError: ``indices`` is empty, or an index is not one of a frame.
    """
    path, numbers = os.fspath(path), [int(index) for index in indices]
    if not numbers or min(numbers) < 0:
        raise ValueError(f"indices must be one or more numbers from 0 on, got {numbers}")
    if Path(path).is_dir():
        return _read_folder(path, numbers, bit_depth, pattern)
    exact = _exact_of(path)
    preferred = None if is_animated_webp(path) else _decoder("torchcodec")
    with _naming(path):
        if preferred not in (None, exact) and exact.is_plain(path):
            with suppress(InputError):  # PyAV reads more, and knows better what is wrong
                return preferred.read(path, numbers)
        return exact.read(path, numbers)


def check_videos(paths: Sequence[str], pattern: str | None = None, full: bool = False) -> Iterator[tuple[int, str]]:
    """Decode videos whole, to find those of which ``read_frames`` would refuse some frame.

    What a decoder conceals is no fault. The images of a folder of frames are checked as ``check_images`` does. A
    variable frame rate is allowed. All this is done in processes of their own, so that a video that hangs its decoder
    is refused too.

    Args:
        paths: of the files and folders.
        pattern: as in ``frame_files``.
        full: whether to decode images of frames as well.

    Yields:
        For each path, in order, the number of its frames and an empty text, or 0 and why it cannot be used.

    Raises:
        InputError: a path is no folder and no decoder is installed.
    """
    if any(not Path(path).is_dir() and not is_animated_webp(path) for path in paths):
        _exact()
    for result, fate in apart(checked, [(path, pattern, full) for path in paths]):
        yield (0, f"cannot be decoded ({fate})") if fate else tuple(result)


def other_images(path: str, pattern: str | None = None) -> int:
    """How many images that are no frames lie beside those of a video; ``pattern`` is as in ``frame_files``.

    Raises:
        InputError: the folder holds no images or cannot be read.
    """
    if not Path(path).is_dir():
        return 0
    with _naming(path):
        names = _image_names(path)
        return len(names) - len(_frames_among(names, pattern))


def segment_indices(
    frames: int, segments: int, generator: np.random.Generator | None, clip: int = 0, clips: int = 1
) -> NDArray[np.int64]:
    """Choose one frame from each of ``segments`` equal parts of a video.

    Frame floor((s + u) * frames / segments) for part s: u is drawn from [0, 1) for each part in training, and is
    (clip + 1) / (clips + 1) in testing. A video of fewer frames than parts repeats some.

    Args:
        frames: of the video.
        segments: number of parts, S.
        generator: draws the frames in training; None in testing.
        clip: which of the test clips, from 0.
        clips: number of test clips, whose frames lie at equal distances; one clip takes the middle of each part.

    Returns:
        (S,) int64, sorted.

    Raises:
        ValueError: ``frames``, ``segments`` or ``clips`` is below 1, or ``clip`` is not one of ``clips``.

    Source: sparse sampling, L. Wang et al., "Temporal Segment Networks" (ECCV 2016), section 3.1.
    """
    if min(frames, segments, clips) < 1:
        raise ValueError(f"frames, segments and clips must be at least 1, got {frames}, {segments} and {clips}")
    if not 0 <= clip < clips:
        raise ValueError(f"clip must lie in 0..{clips - 1}, got {clip}")
    places = np.full(segments, (clip + 1) / (clips + 1)) if generator is None else generator.random(segments)
    positions = (np.arange(segments) + places) * frames / segments
    return np.minimum(positions.astype(np.int64), frames - 1)  # rounding may reach the end


class _Decoder(Protocol):
    """A module that reads video files. The message of its ``InputError`` is the reason alone."""

    def is_plain(self, path: str) -> bool:
        """Whether the packets of a file tell its frames, so that torchcodec numbers them right."""

    def count(self, path: str) -> int:
        """As ``count_frames``."""

    def read(self, path: str, indices: Sequence[int]) -> Tensor:
        """As ``read_frames``."""

    def check(self, path: str) -> int:
        """Decode a file whole and return the number of its frames, or raise what ``check_videos`` reports."""


def _exact_of(path: str) -> _Decoder:
    """The decoder that numbers the frames of a file exactly."""
    return cast(_Decoder, webp) if is_animated_webp(path) else _exact()


def _exact() -> _Decoder:
    """The decoder that numbers the frames of most kinds of file exactly, of those that are installed."""
    decoder = _decoder("pyav") or _decoder("torchcodec")
    if decoder is None:
        raise InputError('videos need torchcodec or PyAV: pip install "longtail[clips]"')
    return decoder


@cache
def _decoder(module: str) -> _Decoder | None:
    with suppress(ImportError, OSError, RuntimeError):  # the latter two: a library that it needs does not load
        return cast(_Decoder, import_module(f"longtail.files.video.{module}"))
    return None


@contextmanager
def _naming(path: str) -> Iterator[None]:
    """Puts the path and the way out around a reason why a video cannot be used."""
    try:
        with _reasoning(path):
            yield
    except InputError as error:
        raise InputError(f"{escape(path)}: {error}; replace or remove the file") from error


@contextmanager
def _reasoning(path: str) -> Iterator[None]:
    """Finds what is missing or empty, and turns what the system refuses into a reason."""
    try:
        if not Path(path).is_dir() and Path(path).stat().st_size == 0:
            raise InputError("empty file")
        yield
    except OSError as error:
        raise InputError((error.strerror or type(error).__name__).lower()) from error


def checked(path: str, pattern: str | None, full: bool) -> tuple[int, str]:
    """What ``check_videos`` says of one video, checked here and now."""
    try:
        with _reasoning(path):
            folder = Path(path).is_dir()
            return (_check_folder(path, pattern, full) if folder else _exact_of(path).check(path)), ""
    except InputError as error:
        return 0, str(error)


def frame_files(folder: str, pattern: str | None = None) -> list[str]:
    """The images of frames in a folder, by name, with numbers by value.

    Args:
        folder: of the images.
        pattern: what the names of frames are like, such as ``img_*.jpg``; by default images of optical flow beside
            others are no frames.
    """
    names = _frames_among(_image_names(folder), pattern)
    return [str(Path(folder) / name) for name in sorted(names, key=_by_number)]


def _frames_among(names: list[str], pattern: str | None) -> list[str]:
    if pattern is None:
        return without_flow(names)
    frames = [name for name in names if fnmatchcase(name, pattern)]
    if not frames:
        raise InputError(f"no image in it is called {pattern}, as frame_pattern has it")
    return frames


def _image_names(folder: str) -> list[str]:
    with os.scandir(folder) as scan:
        files = [entry.name for entry in scan if is_file(entry) and not entry.name.startswith(".")]
    names = [name for name in files if Path(name).suffix.lower() in SUFFIXES]
    if not names:
        raise InputError("the folder holds no images")
    return names


def _by_number(name: str) -> tuple[list[str | int], str]:
    parts = re.split(r"([0-9]+)", name)  # text and digits take turns, so only like is compared with like
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], name


def _check_folder(folder: str, pattern: str | None, full: bool) -> int:
    files = frame_files(folder, pattern)
    for path in files:
        beat()
        if reason := fault_of(path, None, full):
            raise InputError(f"{escape(Path(path).name)}: {reason}")
    sizes = [upright_size(path) for path in files]
    if (odd := next((i for i, size in enumerate(sizes) if size != sizes[0]), None)) is not None:
        names = [f"{escape(Path(files[i]).name)} is {sizes[i][0]} x {sizes[i][1]}" for i in (0, odd)]
        raise InputError(f"its frames differ in size ({', '.join(names)})")
    return len(files)


def _read_folder(folder: str, indices: list[int], bit_depth: int | None, pattern: str | None) -> Tensor:
    with _naming(folder):
        files = frame_files(folder, pattern)
    check_last(folder, max(indices), len(files))
    frames = {index: np.asarray(decode(files[index], bit_depth=bit_depth)) for index in set(indices)}
    with _naming(folder):
        return stacked([frames[index] for index in indices])
