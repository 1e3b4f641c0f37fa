"""Data modules for clips: videos in class folders or a table, and EGTEA."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_info
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from longtail.augment.base import Operator
from longtail.augment.geometric import ResizedCrop
from longtail.data.file_data import FileData, Folder, Table
from longtail.data.files import Sample, random_crop, resized
from longtail.data.folder import Kind
from longtail.data.listing import Listing, shown, some
from longtail.data.table import file_text
from longtail.data.video import VIDEO_SUFFIXES, count_frames, read_frames, segment_indices
from longtail.data.video_checks import checked_videos
from longtail.errors import InputError

VIDEOS = Kind("video", VIDEO_SUFFIXES, folders=True)


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
        counts: frames of the videos by path, as far as they are known; others are counted when they are read.
    """

    def __init__(
        self,
        listing: Listing,
        frames: int,
        size: int,
        crops: Sequence[ResizedCrop | None] | None = None,
        clips: int = 1,
        counts: Mapping[str, int] | None = None,
    ) -> None:
        self.listing, self.frames, self.size = listing, frames, size
        self.crops, self.clips = crops, clips
        self.counts = counts or {}

    def __len__(self) -> int:
        return len(self.listing)

    def __getitem__(self, index: tuple[int, int]) -> Sample:
        row, draw = index
        path = self.listing.paths[row]
        count = self.counts.get(path)
        if self.crops is None:
            images = read_clips(path, self.frames, self.size, self.clips, count)
        else:
            random = np.random.default_rng(draw)
            chosen = segment_indices(count or count_frames(path), self.frames, random)
            frames = read_frames(path, chosen.tolist())
            views = [
                central_crop(frames, self.size) if crop is None else random_crop(frames, self.size, crop, random)
                for crop in self.crops
            ]
            images = torch.stack(views).transpose(1, 2)
        return {"images": images, "target": int(self.listing.targets[row]), "row": row}


def read_clips(path: str, frames: int, size: int, clips: int = 1, count: int | None = None) -> Tensor:
    """Clips of a video for evaluation and prediction, with the central crop: uint8 (clips, 3, frames, size, size).

    ``count`` is the number of frames of the video, where that is known.
    """
    count = count or count_frames(path)
    chosen = np.concatenate([segment_indices(count, frames, None, clip, clips) for clip in range(clips)])
    central = central_crop(read_frames(path, chosen.tolist()), size)
    return central.reshape(clips, frames, 3, size, size).transpose(1, 2)


def central_crop(pixels: Tensor, size: int) -> Tensor:
    """The centre of frames (T, 3, H, W) whose shorter side is resized first: uint8 (T, 3, size, size)."""
    height, width = pixels.shape[2:]
    new_height, new_width = (resized(size) * side // min(height, width) for side in (height, width))
    pixels = F.interpolate(pixels, (new_height, new_width), mode="bilinear", antialias=True)
    top, left = (new_height - size) // 2, (new_width - size) // 2
    return pixels[..., top : top + size, left : left + size]


class ClipData(FileData):
    """Base of the data modules for clips: classification with a clip in the place of an image.

    Views are float (N, 3, T, H, W). What is drawn for a clip holds for all its frames.

    Args:
        frames: T, frames of a clip, one of each of T equal parts of the video. Of a shorter video some come twice.
        test_clips: clips of a test video, whose logits are averaged.
        kwargs: see ``FileData``; files are videos.
    """

    noun = "video"
    kind = VIDEOS
    largest_size: ClassVar[int] = 112

    def __init__(self, frames: int = 8, test_clips: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if frames < 1 or test_clips < 1:
            raise InputError(f"frames and test_clips must be at least 1, got {frames} and {test_clips}")
        self.frames, self.test_clips = frames, test_clips
        self._counts: dict[str, int] = {}  # frames of the videos that were checked

    @property
    @abstractmethod
    def folder(self) -> Path:
        """Folder of the set, where it is kept which videos are good."""

    @property
    def input(self) -> dict[str, Any]:
        """What is known of images, and the frames of a clip."""
        return {**super().input, "frames": self.frames}

    def find_bad(self, paths: Sequence[str]) -> list[tuple[str, str]]:
        """Videos that cannot be read, with the reasons; of short ones it is said that frames come twice."""
        found = dict(zip(paths, checked_videos(paths, self.folder), strict=True))
        counts = {path: frames for path, (frames, reason) in found.items() if not reason}
        if short := [f"{shown(path)} ({count})" for path, count in counts.items() if count < self.frames]:
            rank_zero_info(f"{len(short)} videos have fewer than {self.frames} frames, some come twice: {some(short)}")
        self._counts |= counts
        return sorted((path, reason) for path, (_, reason) in found.items() if reason)

    def shorter_side(self, path: str) -> int:
        """That of a frame, in pixels."""
        return min(read_frames(path, [0]).shape[2:])

    def open(self, listing: Listing, split: str) -> Dataset[Any]:
        """The clips of a split."""
        crops = self.decoder_crops() if split == "train" else None
        clips = self.test_clips if split == "test" else 1
        return ClipFiles(listing, self.frames, self.image_size, crops, clips, self._counts)

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
        count = self._counts.get(path) or count_frames(path)
        frame = read_frames(path, segment_indices(count, 1, None).tolist())[0]
        return Image.fromarray(frame.permute(1, 2, 0).numpy())


class VideoFolder(ClipData, Folder):
    """Videos in one folder for each class, below train/, val/ and test/ or flat. A folder of images is a video too.

    Args:
        root: the folder.
        kwargs: see ``ClipData``.
    """

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

    @property
    def folder(self) -> Path:
        """That relative paths start from."""
        return self.root or Path(self.source).parent


class EGTEA(ClipData):
    """EGTEA Gaze+: clips of ``root/<session>/<clip>.mp4``, or right in ``root``, or folders of frames called so.

    The split files have lines of the name of a clip and the numbers of its action, its verb and its nouns, from 1 on;
    the first noun counts. Numbers that no clip has, such as the nouns 16 and 44, are no classes.

    Args:
        root: folder of the clips.
        lists: folder of the split files; by default ``root``.
        label: which of the three is the class.
        kwargs: see ``ClipData``.

    Source: Li et al., In the eye of beholder, ECCV 2018; the splits as in the released code of CDB.
    """

    files: ClassVar[dict[str, str]] = {split: f"EGTEA_{split}_split.txt" for split in ("train", "val", "test")}
    sizes: ClassVar[dict[str, int]] = {"action": 106, "verb": 19, "noun": 53}

    def __init__(
        self,
        root: Path,
        lists: Path | None = None,
        label: Literal["action", "verb", "noun"] = "verb",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.root, self.lists, self.label = root, lists or root, label

    @property
    def folder(self) -> Path:
        """That of the clips."""
        return self.root

    @property
    def source(self) -> str:
        """The folder."""
        return str(self.root)

    def list_images(self) -> dict[str, Listing]:
        """Read the split files."""
        if not self.root.is_dir():
            raise InputError(f"no folder at {shown(self.root)}: give --data.root FOLDER with the clips of EGTEA")
        rows = {split: self._rows(self.lists / name) for split, name in self.files.items()}
        numbers = sorted({number for each in rows.values() for _, number in each})
        names = [f"{self.label} {number}" for number in numbers]
        return {
            split: Listing([path for path, _ in each], np.searchsorted(numbers, [number for _, number in each]), names)
            for split, each in rows.items()
        }

    def _rows(self, file: Path) -> list[tuple[str, int]]:
        """Paths of the clips that a split file names, and their numbers."""
        column, size = [*self.sizes].index(self.label) + 1, self.sizes[self.label]
        rows = []
        for number, line in enumerate(file_text(file).splitlines(), 1):
            if not line.strip():
                continue
            words = line.split()
            if len(words) < 4 or not all(word.isdecimal() for word in words[1:]):
                raise InputError(
                    f"{shown(file)}, line {number}: expected a clip and at least three numbers, got {shown(line)}"
                )
            if not 1 <= int(words[column]) <= size:
                raise InputError(
                    f"{shown(file)}, line {number}: {self.label} {words[column]} is not one of 1 to {size}"
                )
            rows.append((self._path(file, number, words[0]), int(words[column])))
        return rows

    def _path(self, file: Path, number: int, clip: str) -> str:
        session = "-".join(clip.split("-")[:3])
        for folder in (self.root / session, self.root):
            for path in (folder / f"{clip}.mp4", folder / clip):
                if path.exists():
                    return str(path)
        raise InputError(
            f"{shown(file)}, line {number}: there is no {session}/{clip}.mp4 in {shown(self.root)}: give the folder of "
            "the clips by --data.root"
        )
