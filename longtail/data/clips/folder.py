"""Data modules for clips: their base, and videos in class folders or a table."""

import logging
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from longtail.augment.base import Operator
from longtail.data.clips.dataset import ClipFiles
from longtail.data.images.dataset import Sample
from longtail.data.images.files import FileData
from longtail.data.images.folder import Folder, Table
from longtail.data.introduction import Located
from longtail.data.names import handed_on
from longtail.errors import InputError
from longtail.files.formats.known import is_labels
from longtail.files.images.folder import VIDEOS
from longtail.files.listing import Listing
from longtail.files.video.checks import checked_videos
from longtail.files.video.reading import count_frames, frame_files, other_images, read_frames, segment_indices
from longtail.messages import escape, plural, some
from longtail.plain import Input
from longtail.reports.grains import CLIPS

logger = logging.getLogger(__name__)


class ClipData(FileData):
    """Base of the data modules for clips: classification with a clip in the place of an image.

    Views are float (N, 3, T, H, W). What is drawn for a clip holds for all its frames.

    Args:
        frames: T, frames of a clip, one of each of T equal parts of the video. Of a shorter video some come twice.
        test_clips: clips of a test video, whose logits are averaged.
        frame_pattern: what the names of frames in a folder are like, such as ``img_*.jpg``; by default images of
            optical flow beside others are no frames.
        kwargs: see ``FileData``; files are videos.
    """

    movable: ClassVar[frozenset[str]] = FileData.movable | {"test_clips"}
    noun = "video"
    grain = CLIPS
    recipe = "clips/logit_adjusted"
    kind = VIDEOS
    stills = packs = False
    largest_size: ClassVar[int] = 112
    picks_recipe: ClassVar[bool] = False

    def __init__(
        self,
        frames: int = 8,
        test_clips: int = 1,
        frame_pattern: str | None = None,
        **kwargs: Any,  # the options of the base class
    ) -> None:
        super().__init__(**kwargs)
        if self.cache is not None:
            raise InputError("--data.cache keeps images, and these are videos: leave it out")
        if frames < 1 or test_clips < 1:
            raise InputError(f"frames and test_clips must be at least 1, got {frames} and {test_clips}")
        self.frames, self.test_clips, self.frame_pattern = frames, test_clips, frame_pattern
        self._frame_counts: dict[str, int] = {}  # frames of the videos that were checked

    @property
    @abstractmethod
    def folder(self) -> Path:
        """Folder of the set, where it is kept which videos are good."""

    @property
    def input(self) -> Input:
        """What is known of images, the frames of a clip, and what they are called in folders, where it is given."""
        pattern: Input = {} if self.frame_pattern is None else {"frame_pattern": self.frame_pattern}
        return {**super().input, "frames": self.frames, **pattern}

    @property
    def time_options(self) -> list[str]:
        """Smaller images, and fewer of them in a clip."""
        return [*super().time_options, f"fewer --data.frames (now {self.frames})"]

    def find_bad(self, paths: Sequence[str]) -> list[tuple[str, str]]:
        """Videos that cannot be read, with the reasons; of short ones it is said that frames come twice, and images
        beside the frames that are none are told."""
        known = checked_videos(paths, self.folder, self.frame_pattern, self.full_check)
        checks = dict(zip(paths, known, strict=True))
        frame_counts = {path: frames for path, (frames, reason) in checks.items() if not reason}
        if short := [f"{escape(path)} ({count})" for path, count in frame_counts.items() if count < self.frames]:
            logger.info(
                f"{plural(len(short), 'video')} of fewer than {self.frames} frames, some come twice: {some(short)}"
            )
        if others := {path: number for path in frame_counts if (number := other_images(path, self.frame_pattern))}:
            what = "of optical flow" if self.frame_pattern is None else f"of other names than {self.frame_pattern}"
            logger.info(
                f"left out {plural(sum(others.values()), 'image')} {what}, which are no frames, beside those of "
                f"{plural(len(others), 'video')}: {some([escape(path) for path in others])}"
            )
        self._frame_counts |= frame_counts
        return sorted((path, reason) for path, (_, reason) in checks.items() if reason)

    def images_in(self, paths: Sequence[str]) -> list[str]:
        """The first frames, of those that are folders of frames."""
        return [frame_files(path, self.frame_pattern)[0] for path in paths if Path(path).is_dir()]

    def shorter_side(self, path: str) -> int:
        """That of a frame, in pixels."""
        return min(read_frames(path, [0], pattern=self.frame_pattern).shape[2:])

    def open(self, listing: Listing, split: str) -> Dataset[Sample]:
        """The clips of a split."""
        crops = self.decoder_crops() if split == "train" else None
        clips = self.test_clips if split == "test" else 1
        how = (
            self._frame_counts,
            self.resize,
            self.bit_depth,
            self.test_crops if split == "test" else 1,
            self.frame_pattern,
        )
        return ClipFiles(listing, self.frames, self.image_size, crops, clips, *how)

    def views_shown(self, name: str) -> int:
        """Clips of each video, and crops of each clip."""
        return super().views_shown(name) * (self.test_clips if name == "test" else 1)

    def augment(self, operator: Operator, images: Tensor, generator: torch.Generator) -> Tensor:
        """Apply a view, or another operator, to the clips (N, 3, T, H, W) of a batch, with the same draws for every
        frame."""
        state = generator.get_state()
        frames = []
        for frame in images.unbind(2):
            generator.set_state(state)
            frames.append(operator(frame, generator))
        return torch.stack(frames, 2)

    def picture(self, split: str, row: int) -> Image.Image:
        """The middle frame of a video."""
        path = self._listings[split].paths[row]
        count = self._frame_counts.get(path) or count_frames(path, self.frame_pattern)
        middle = segment_indices(count, 1, None).tolist()
        frame = read_frames(path, middle, self.bit_depth, self.frame_pattern)[0]
        return Image.fromarray(frame.permute(1, 2, 0).numpy())


class VideoFolder(ClipData, Folder):
    """Videos in one folder for each class, below train/, val/ and test/ or flat. A folder of images is a video too.

    Args:
        root: the folder.
        kwargs: see ``ClipData``.
    """

    needs: ClassVar[str] = "give --data FOLDER with one subfolder of videos for each class, or --data TABLE"
    movable: ClassVar[frozenset[str]] = ClipData.movable | Folder.movable

    @classmethod
    def located(cls, path: Path) -> Located:
        """The folder, or for ``VideoTable`` a table."""
        if path.is_file() and is_labels(path):
            return handed_on(cls, VideoFolder, Located(VideoTable, {"table": path}))
        return super().located(path)

    @property
    def folder(self) -> Path:
        """That of the videos."""
        return self.root


class VideoTable(ClipData, Table):
    """Videos named by a table: CSV, TSV, Parquet, or a list file with "path label" lines. A path may be that of a
    folder of images.

    Args:
        table: the training videos.
        kwargs: see ``Table`` and ``ClipData``.
    """

    needs: ClassVar[str] = VideoFolder.needs
    movable: ClassVar[frozenset[str]] = ClipData.movable | Table.movable

    @classmethod
    def located(cls, path: Path) -> Located:
        """The table, or for ``VideoFolder`` a folder."""
        if path.is_dir():
            return handed_on(cls, VideoTable, Located(VideoFolder, {"root": path}))
        return super().located(path)

    @property
    def folder(self) -> Path:
        """That relative paths start from."""
        return self.root or self.table.parent
