"""Reading video files with torchcodec; ``reading`` calls it where it is installed and loads.

The message of an ``InputError`` is the reason alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torchcodec
from torch import Tensor
from torchcodec.decoders import VideoDecoder

from longtail.errors import InputError
from longtail.files.video.frames import check_last
from longtail.messages import escape

if getattr(torchcodec, "ffmpeg_major_version", 0) is None:  # some versions tell a missing library only here
    raise ImportError("torchcodec finds no FFmpeg")


def is_plain(path: str) -> bool:
    """Whether it is an MP4 or a Matroska file: torchcodec mixes up the frames of formats without times to show."""
    with Path(path).open("rb") as file:
        start = file.read(8)
    return start[4:] in (b"ftyp", b"moov", b"mdat", b"wide", b"free") or start[:4] == b"\x1a\x45\xdf\xa3"


def count(path: str) -> int:
    return len(_opened(path))


def read(path: str, indices: Sequence[int]) -> Tensor:
    decoder = _opened(path)
    check_last(path, max(indices), len(decoder))
    try:
        frames: Tensor = decoder.get_frames_at(list(indices)).data
        return frames
    except (RuntimeError, ValueError, IndexError) as error:
        around = min(indices) if len(set(indices)) == 1 else f"{min(indices)} to {max(indices)}"
        raise InputError(f"cannot be decoded around frame {around} ({_reason(error)})") from error


def check(path: str) -> int:
    decoder = _opened(path)
    promised = decoder.metadata.num_frames_from_header or 0
    if len(decoder) < promised:
        raise InputError(f"truncated: holds {len(decoder)} of {promised} frames")
    for start in range(0, len(decoder), 16):  # few enough for the memory
        read(path, range(start, min(start + 16, len(decoder))))
    return len(decoder)


def _opened(path: str) -> VideoDecoder:
    if not is_plain(path):
        raise InputError("only PyAV (pip install av) reads a file that is neither MP4 nor Matroska frame by frame")
    try:
        return VideoDecoder(path, device="cpu")
    except (RuntimeError, ValueError) as error:
        raise InputError(f"not a video that torchcodec can open ({_reason(error)})") from error


def _reason(error: Exception) -> str:
    return escape(str(error).strip().split("\n")[0])
