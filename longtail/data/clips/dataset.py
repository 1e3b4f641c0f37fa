"""Videos as a torch data set of clips: drawn frames and crops for training, the middle ones for evaluation."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from longtail.augment.geometric import ResizedCrop
from longtail.augment.preprocessing import Resize
from longtail.data.images.dataset import Sample
from longtail.files.images.crops import STANDARD, central_crop, random_crop
from longtail.files.listing import Listing
from longtail.files.video.clips import read_clips
from longtail.files.video.reading import count_frames, read_frames, segment_indices


class ClipFiles(Dataset[Sample]):
    """The videos of a listing as clips of T frames, one of each of T equal parts; indexed by a pair of row and draw.

    For training the frames are drawn, and for every view a crop of them, the same for each; ``draw`` is the only source
    of randomness. For evaluation the frames are those in the middle of the parts, or ``clips`` times T frames evenly
    within them, and the crop is the central one.

    ``images`` of a sample are uint8 (V, 3, T, size, size), one for every view or clip.

    Args:
        listing: the videos.
        frames: T.
        size: height and width of a clip, in pixels.
        crops: for training, how each of the V views is cropped; None for a view with the central crop. Left out for
            evaluation.
        clips: V, for evaluation.
        frame_counts: frames of the videos by path, as far as they are known; others are counted when they are read.
        resize: how frames are brought to their size.
        bit_depth: how many bits of frames of 16 count, where they do not say it.
        test_crops: crops of every clip for evaluation, one of ``longtail.files.images.crops.CROPS``.
        pattern: what the names of frames in a folder are like.
    """

    def __init__(
        self,
        listing: Listing,
        frames: int,
        size: int,
        crops: Sequence[ResizedCrop | None] | None = None,
        clips: int = 1,
        frame_counts: Mapping[str, int] | None = None,
        resize: Resize = STANDARD,
        bit_depth: int | None = None,
        test_crops: int = 1,
        pattern: str | None = None,
    ) -> None:
        self.listing, self.frames, self.size = listing, frames, size
        self.crops, self.clips = crops, clips
        self.frame_counts, self.resize, self.bit_depth = frame_counts or {}, resize, bit_depth
        self.test_crops, self.pattern = test_crops, pattern

    def __len__(self) -> int:
        return len(self.listing)

    def path(self, row: int) -> str:
        """The file of a video."""
        return str(self.listing.paths[row])

    def __getitem__(self, index: tuple[int, int]) -> Sample:
        row, draw = index
        path = self.listing.paths[row]
        count = self.frame_counts.get(path)
        if self.crops is None:
            how_shown = (self.resize, self.bit_depth, self.test_crops, self.pattern)
            images = read_clips(path, self.frames, self.size, self.clips, count, *how_shown)
        else:
            random = np.random.default_rng(draw)
            indices = segment_indices(count or count_frames(path, self.pattern), self.frames, random)
            frames = read_frames(path, indices.tolist(), self.bit_depth, self.pattern)
            how = self.resize.interpolation
            views = [
                central_crop(frames, self.size, self.resize)
                if crop is None
                else random_crop(frames, self.size, crop, random, how)
                for crop in self.crops
            ]
            images = torch.stack(views).transpose(1, 2)
        return {"images": images, "target": int(self.listing.targets[row]), "row": row}
