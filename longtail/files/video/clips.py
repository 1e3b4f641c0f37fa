"""Clips of a video, as evaluation and prediction take them."""

import numpy as np
from torch import Tensor

from longtail.augment.preprocessing import Resize
from longtail.files.images.crops import STANDARD, frame_crops
from longtail.files.video.reading import count_frames, read_frames, segment_indices
from longtail.plain import AnyPath


def read_clips(
    path: AnyPath,
    frames: int,
    size: int,
    clips: int = 1,
    count: int | None = None,
    resize: Resize = STANDARD,
    bit_depth: int | None = None,
    crops: int = 1,
    pattern: str | None = None,
) -> Tensor:
    """Clips of a video for evaluation and prediction: uint8 (crops * clips, 3, frames, size, size).

    The crop is the central one; with ``crops`` = 5 the clips come again with those of the four corners.

    ``count`` is the number of frames of the video, where that is known, and ``bit_depth`` how many bits of frames of 16
    count, where they do not say it; ``pattern`` is what the names of frames in a folder are like.
    """
    count = count or count_frames(path, pattern)
    indices = np.concatenate([segment_indices(count, frames, None, clip, clips) for clip in range(clips)])
    views = frame_crops(read_frames(path, indices.tolist(), bit_depth, pattern), size, resize, crops)
    return views.reshape(crops * clips, frames, 3, size, size).transpose(1, 2)
