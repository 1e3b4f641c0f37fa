"""Reading video files with PyAV; ``reading`` calls it where it is installed.

The message of an ``InputError`` is the reason alone.
"""

from __future__ import annotations

import errno
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from longtail.errors import InputError
from longtail.files.apart import beat
from longtail.files.video.container import decoding, opened, reason
from longtail.files.video.frames import check_last, check_sizes, stacked

if TYPE_CHECKING:
    from torch import Tensor

# Formats that store when a frame is shown. In others that is guessed from when it is decoded.
_TIMED = {"mp4", "matroska", "mpegts", "flv"}


class _Key(NamedTuple):
    """A packet that decoding can start from: when its frame is shown, and the time to seek."""

    pts: int
    seek: int


class _Index(NamedTuple):
    """What the packets of a file tell.

    Attributes:
        keys: sorted by ``pts``.
        pts: times of the frames, in the order in which they are shown; None where the packets do not tell them surely.
            Such a file is decoded from its start and its frames are counted.
        fault: what is missing at the end, or None.
    """

    keys: list[_Key]
    pts: list[int] | None
    fault: str | None


def is_plain(path: str) -> bool:
    return _index(path).pts is not None and _stored_upright(*_version(path))


def count(path: str) -> int:
    pts = _index(path).pts
    return _decoded_count(*_version(path)) if pts is None else len(pts)


def read(path: str, indices: Sequence[int]) -> Tensor:
    index, numbers = _index(path), set(indices)
    if index.pts is None:
        frames = _from_start(path, numbers)
    else:
        check_last(path, max(numbers), len(index.pts))
        frames = _from_keys(path, index.keys, {index.pts[number]: number for number in numbers})
    return stacked([frames[number] for number in indices])


def check(path: str) -> int:
    index = _index(path)
    if index.fault:
        raise InputError(index.fault)
    frames = _decoded_count(*_version(path))
    if index.pts is None:
        return frames
    if frames < len(index.pts):
        raise InputError(f"only {frames} of {len(index.pts)} frames can be decoded")
    return len(index.pts)


def _version(path: str) -> tuple[str, int, int]:
    status = Path(path).stat()
    return path, status.st_size, status.st_mtime_ns


def _index(path: str) -> _Index:
    return _read_index(*_version(path))


@lru_cache(maxsize=512)
def _read_index(path: str, size: int, modified: int) -> _Index:
    """Read the packets of a file; ``size`` and ``modified`` tell its versions apart."""
    with opened(path) as (container, stream), decoding("at the start"):
        kinds = set(container.format.name.split(","))
        # An MP4 file counts packets that its edit list then leaves out; only the index has neither more nor less.
        promised = len(stream.index_entries) if "mp4" in kinds else stream.frames
        packets = [packet for packet in container.demux(stream) if packet.size]
        surely = (kinds & _TIMED or not stream.codec_context.has_b_frames) and stream.codec_context.name != "vp8"
        end = _seconds(stream.metadata.get("DURATION", ""))  # Matroska counts no frames
        times = [packet.pts for packet in packets if packet.pts is not None and not packet.is_discard]
        keys = sorted(
            _Key(packet.pts, packet.pts if packet.dts is None else packet.dts)
            for packet in packets
            if packet.is_keyframe and packet.pts is not None
        )
        last = float(max(times) * stream.time_base) if times and stream.time_base else 0.0
    if not times or not keys:
        raise InputError("no frames")
    fault = None
    if len(packets) < promised:
        fault = f"truncated: holds {len(packets)} of {promised} frames"
    elif last < end - 1:
        fault = f"truncated: holds {last:.1f} of {end:.1f} seconds"
    order = [packet.dts for packet in packets if packet.dts is not None]
    plain = (
        surely
        and all(packet.pts is not None for packet in packets)
        and len(set(times)) == len(times)
        and all(before < after for before, after in pairwise(order))
        and packets[0].is_keyframe
        and min(times) >= keys[0].pts
    )
    return _Index(keys, sorted(times) if plain else None, fault)


def _seconds(text: str) -> float:
    """Seconds of a time such as 00:01:02.500000000; 0 if it is none."""
    try:
        hours, minutes, seconds = (float(part) for part in text.split(":"))
    except ValueError:
        return 0.0
    return 3600 * hours + 60 * minutes + seconds


@lru_cache(maxsize=512)
def _stored_upright(path: str, size: int, modified: int) -> bool:
    """Whether the first frame is to be shown as it is stored."""
    with opened(path) as (container, stream), decoding("at the start"):
        return next((frame.side_data.get("DISPLAYMATRIX") is None for frame in container.decode(stream)), True)


@lru_cache(maxsize=100_000)  # numbers only, and each is the work of a whole decode
def _decoded_count(path: str, size: int, modified: int) -> int:
    frames, sizes = 0, set()
    with opened(path) as (container, stream):
        for packet in _packets(container, stream):
            beat()
            with decoding(f"around frame {frames}"):
                for frame in packet.decode():
                    _check_sound(frame)
                    frames += 1
                    sizes.add((frame.width, frame.height))
    if frames == 0:
        raise InputError("no frames")
    check_sizes(sizes)
    return frames


def _from_start(path: str, numbers: set[int]) -> dict[int, NDArray[Any]]:
    """The frames of these numbers, counted from the start."""
    images: dict[int, NDArray[Any]] = {}
    frames = 0
    with opened(path) as (container, stream):
        for packet in _packets(container, stream):
            with decoding(f"around frame {frames}"):
                decoded = packet.decode()
                for frame in decoded:
                    _check_sound(frame)
            images |= {number: _rgb(frame) for number, frame in enumerate(decoded, frames) if number in numbers}
            frames += len(decoded)
            if frames > max(numbers):
                return images
    check_last(path, max(numbers), frames)
    return images


def _from_keys(path: str, keys: list[_Key], numbers: dict[int, int]) -> dict[int, NDArray[Any]]:
    """The frames shown at the times in ``numbers``, by the number of each, decoded from a key frame before it."""
    groups: dict[int, set[int]] = {}
    for time in numbers:
        # A frame shown before a key frame may need the one before that, even if it comes later in the file.
        groups.setdefault(bisect_right(keys, time, key=lambda key: key.pts) - 1, set()).add(time)
    images: dict[int, NDArray[Any]] = {}
    with opened(path) as (container, stream):
        for key, times in sorted(groups.items()):
            error = ""
            # Not every key frame lets decoding start, and not every seek arrives.
            for start in dict.fromkeys((key, max(key - 1, 0), 0)):
                try:
                    frames = _after(container, stream, keys[start], frozenset(times), start == key, start == 0)
                    for frame in frames:
                        if frame.pts in times:
                            images[numbers[frame.pts]] = _rgb(frame)
                            times.remove(frame.pts)
                except av.FFmpegError as raised:
                    error = error or reason(raised)
                if not times:
                    break
            else:
                number = numbers[min(times)]
                raise InputError(f"cannot be decoded around frame {number} ({error or 'the frame does not come'})")
    return images


def _after(
    container: InputContainer, stream: VideoStream, key: _Key, times: frozenset[int], skip: bool, first: bool
) -> Iterator[VideoFrame]:
    """Decode from a key frame until all of ``times`` have passed.

    Args:
        container: of the file.
        stream: of the container.
        key: the key frame.
        times: of the wanted frames.
        skip: leave out frames that no other needs, unless they are wanted.
        first: it is the first key frame, so that what follows is what a whole decode gives.
    """
    container.seek(key.seek, stream=stream)
    started, complete = False, first
    for packet in _packets(container, stream):
        started = started or packet.pts == key.pts
        if not started:
            continue
        needless = skip and packet.pts not in times and packet.pts != key.pts
        stream.codec_context.skip_frame = "NONREF" if needless else "DEFAULT"
        for frame in packet.decode():
            if frame.pts is None or frame.pts < key.pts:
                continue
            complete = complete or frame.pts == key.pts
            if not complete:  # the image builds up over several frames, and only about
                return
            _check_sound(frame)
            yield frame
            if frame.pts >= max(times):
                return


def _packets(container: InputContainer, stream: VideoStream) -> Iterator[av.Packet[VideoStream]]:
    """Packets to decode. An empty one stands for a repeated frame, except for the last: it ends the decoding."""
    return (packet for packet in container.demux(stream) if packet.size or packet.dts is None)


def _check_sound(frame: VideoFrame) -> None:
    if frame.is_corrupt:
        raise av.InvalidDataError(errno.EINVAL, "damaged data")


def _rgb(frame: VideoFrame) -> NDArray[Any]:
    """Upright pixels, uint8 (H, W, 3)."""
    pixels = frame.to_ndarray(format="rgb24", threads=1)
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")  # a buffer, which the types do not tell
    return pixels if matrix is None else _upright(pixels, np.frombuffer(matrix, np.int32))


def _upright(pixels: NDArray[Any], matrix: NDArray[np.int32]) -> NDArray[Any]:
    """Turn and mirror an image (H, W, 3) by the nearest quarter turn of its display matrix.

    The matrix a b u, c d v, x y w takes the place (p, q) of a pixel, to the right and down, to (a p + c q, b p + d q).
    """
    a, b, _, c, d = matrix[:5].tolist()
    if abs(a) + abs(d) >= abs(b) + abs(c):
        right, down = a, d
    else:
        pixels, right, down = pixels.transpose(1, 0, 2), c, b
    return pixels[:: -1 if down < 0 else 1, :: -1 if right < 0 else 1]
