"""Frames as they come from a decoder, as one tensor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from longtail.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor


def stacked(frames: Sequence[NDArray[Any]]) -> Tensor:  # PyAV does not say that they are uint8
    """Frames uint8 (H, W, 3) as one tensor uint8 (T, 3, H, W), channels last in memory.

    Raises:
        InputError: they differ in size. The message is the reason alone.
    """
    import torch  # not needed to check videos

    check_sizes((frame.shape[1], frame.shape[0]) for frame in frames)
    return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)


def check_sizes(sizes: Iterable[tuple[int, int]]) -> None:
    """Raise an ``InputError`` if frames of these widths and heights differ; the message is the reason alone."""
    examples = [f"{width} x {height}" for width, height in sorted(set(sizes))]
    if len(examples) > 1:
        raise InputError(f"its frames differ in size ({' and '.join(examples[:2])})")


def check_last(path: str, last: int, frames: int) -> None:
    """Raise a ``ValueError`` if the video at ``path`` has no frame number ``last``."""
    if last >= frames:
        raise ValueError(f"{path} has {frames} frames and none of number {last}")
