"""Opening video files with PyAV, and what it raises as reasons.

The message of an ``InputError`` is the reason alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from longtail.errors import InputError
from longtail.messages import escape


@contextmanager
def opened(path: str) -> Iterator[tuple[InputContainer, VideoStream]]:
    """A video file and its main stream; whatever a damaged file leads to is an ``InputError``."""
    try:
        with _container(path) as container:
            stream = container.streams.best("video")
            if not isinstance(stream, VideoStream) or stream.disposition & Disposition.attached_pic:
                audio = bool(container.streams.audio)
                raise InputError("no video stream" + (", audio only" if audio else ""))
            if stream.codec_context is None:
                raise InputError("damaged, or of a codec that FFmpeg does not know")
            stream.codec_context.thread_count = 1  # workers decode side by side
            yield container, stream
    except (InputError, OSError, MemoryError):
        raise
    except av.FFmpegError as error:
        raise InputError(f"cannot be decoded ({reason(error)})") from error
    except Exception as error:  # on damaged files, PyAV raises nearly anything
        raise InputError(f"cannot be decoded ({escape(error)})") from error


def _container(path: str) -> InputContainer:
    try:
        # The content of a file must not make FFmpeg fetch another.
        return av.open(f"file:{path}", options={"protocol_whitelist": "file"}, metadata_errors="ignore")
    except av.FFmpegError as error:
        raise InputError(_unopened(path, error)) from error


def _unopened(path: str, error: av.FFmpegError) -> str:
    if not isinstance(error, av.InvalidDataError):
        return reason(error)
    with Path(path).open("rb") as file:
        start = file.read(8)
    if start[4:] == b"ftyp":
        return "truncated or damaged: its index (the moov atom) is missing or cannot be read"
    return "not a video in a known format"


@contextmanager
def decoding(where: str) -> Iterator[None]:
    """Says where decoding failed."""
    try:
        yield
    except av.FFmpegError as error:
        raise InputError(f"cannot be decoded {where} ({reason(error)})") from error


def reason(error: av.FFmpegError) -> str:
    """What FFmpeg says, in lower case."""
    return escape(error.strerror).lower()
