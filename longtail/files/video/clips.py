"""Clips of a video, as evaluation and prediction take them."""

import numpy as np
from torch import Tensor

from longtail.augment.preprocessing import Resize
from longtail.files.crops import STANDARD, central_crop
from longtail.files.video.reading import count_frames, read_frames, segment_indices


def read_clips(
    path: str,
    frames: int,
    size: int,
    clips: int = 1,
    count: int | None = None,
    resize: Resize = STANDARD,
    bit_depth: int | None = None,
) -> Tensor:
    """Clips of a video for evaluation and prediction, with the central crop: uint8 (clips, 3, frames, size, size).

    ``count`` is the number of frames of the video, where that is known, and ``bit_depth`` how many bits of frames of 16
    count, where they do not say it.
    """
    count = count or count_frames(path)
    indices = np.concatenate([segment_indices(count, frames, None, clip, clips) for clip in range(clips)])
    central = central_crop(read_frames(path, indices.tolist(), bit_depth), size, resize)
    return central.reshape(clips, frames, 3, size, size).transpose(1, 2)
