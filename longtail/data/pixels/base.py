"""What the data modules for semantic segmentation share: images, and a PNG for each with the class of its pixels."""

import logging
import os
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from longtail.augment.normalise import IMAGENET_MEAN, IMAGENET_STD, Normalise
from longtail.augment.pixels import IGNORED, PixelView, ScaleCropFlip, resize_mask
from longtail.data.base import LongTailData, Split, Splits
from longtail.data.loader import EpochBatches, Loader
from longtail.data.sampling import Sampling
from longtail.data.split import random_split
from longtail.errors import InputError
from longtail.files.images import decode
from longtail.files.listing import IntArray
from longtail.files.pixels.counts import PixelCounts, count_pixels
from longtail.files.pixels.pairs import INVALID, ByteArray, Pairs, read_image, read_values
from longtail.messages import and_more, shown, some

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Part:
    """A split: paths of its N images and annotations, the label of every value in these, and their pixels."""

    images: list[str]
    annotations: list[str]
    table: ByteArray
    counts: PixelCounts

    def __len__(self) -> int:
        return len(self.images)

    def subset(self, rows: IntArray) -> "Part":
        """The images ``rows``, ascending, without others."""
        images, annotations = ([paths[row] for row in rows] for paths in (self.images, self.annotations))
        return Part(images, annotations, self.table, self.counts.subset(rows))

    def labels(self, row: int) -> ByteArray:
        """The class of each pixel of an image (H, W)."""
        return self.table[read_values(self.annotations[row])]


class SegmentationImages(Dataset[dict[str, Any]]):
    """The images of a split with the class of each pixel; indexed by a pair of row and draw.

    Args:
        part: the split.
        image_size: what the shorter side of the images is resized to, in pixels, where it is longer.
        view: what augments an image and its mask, with ``draw`` as its only source of randomness; None leaves the
            image as it is read, and the mask as it lies in its file, for evaluation.
    """

    def __init__(self, part: Part, image_size: int | None, view: PixelView | None) -> None:
        self.part, self.image_size, self.view = part, image_size, view

    def __len__(self) -> int:
        return len(self.part)

    def __getitem__(self, index: tuple[int, int]) -> dict[str, Any]:
        row, draw = index
        image = read_image(self.part.images[row], self.image_size)
        labels = torch.from_numpy(self.part.labels(row))
        if self.view is not None:
            labels = resize_mask(labels, (image.shape[1], image.shape[2]))
            image, labels = self.view(image, labels, torch.Generator().manual_seed(draw))
        return {"image": image, "target": labels, "row": row}


def _collate(samples: Sequence[dict[str, Any]]) -> dict[str, Any]:
    images, targets = ([sample[name] for sample in samples] for name in ("image", "target"))
    return {"images": images, "targets": targets, "rows": torch.tensor([sample["row"] for sample in samples])}


def _stack(samples: Sequence[dict[str, Any]]) -> dict[str, Any]:
    batch = _collate(samples)
    return {**batch, "images": torch.stack(batch["images"]), "targets": torch.stack(batch["targets"])}


class SegmentationData(LongTailData):
    """Base of the data modules for semantic segmentation.

    Batches are dicts. In training: "images", float (N, 3, H, W), and "targets", the class of each pixel, int64
    (N, H, W); 255 is ignored. Outside training both are lists, of float (3, h, w) and of int64 (H, W), as figures are
    measured at the size of the annotation. "rows" (N,). What the loader gives is uint8.

    Args:
        root: folder of the set.
        view: what training images and masks go through.
        batch_size: images of a batch in one process.
        num_workers: processes that decode images; by default one for each core, at most 8.
        sampling: how training images are drawn, by the classes in them; each once an epoch where left out.
        image_size: what the shorter side of the images, and of the masks in training, is resized to when they are
            read, in pixels; smaller images stay as they are. None leaves all.
        val_fraction: part of the training images that is held out where there is no validation split; 0 for none.
        split_seed: of that.
        skip_bad_images: leave out the pairs of image and annotation that cannot be used, and say how many; otherwise
            they are an error.
    """

    mean, std = IMAGENET_MEAN, IMAGENET_STD

    def __init__(
        self,
        root: Path,
        view: PixelView | None = None,
        batch_size: int = 8,
        num_workers: int | None = None,
        sampling: Sampling | None = None,
        image_size: int | None = None,
        val_fraction: float = 0.1,
        split_seed: int = 0,
        skip_bad_images: bool = False,
    ) -> None:
        super().__init__(batch_size, min(8, os.cpu_count() or 1) if num_workers is None else num_workers, sampling)
        if not 0 <= val_fraction < 1:
            raise InputError(f"val_fraction must be in [0, 1), got {val_fraction}")
        if image_size is not None and image_size < 1:
            raise InputError(f"image_size must be at least 1 pixel, got {image_size}")
        self.root, self.image_size = root, image_size
        self.view = view or ScaleCropFlip()
        self.val_fraction, self.split_seed = val_fraction, split_seed
        self.skip_bad_images = skip_bad_images
        self.normalise = Normalise(self.mean, self.std)

    @abstractmethod
    def read_classes(self) -> list[str]:
        """The class names, in the order of their labels."""

    @abstractmethod
    def table(self, classes: Sequence[str]) -> ByteArray:
        """The label of every value in an annotation (256,): 0..C-1, 255 for ignored or 254 for none at all."""

    @abstractmethod
    def find(self) -> dict[str, Pairs]:
        """The files of "train", "val" and "test", as far as there are such splits."""

    @property
    def source(self) -> str:
        """The folder."""
        return str(self.root)

    @property
    def input(self) -> dict[str, Any]:
        """Shorter side that larger images are resized to, if any; mean and deviation of the channels; the label of
        pixels that do not count."""
        size = {} if self.image_size is None else {"size": self.image_size}
        return {**size, "mean": list(self.mean), "std": list(self.std), "ignore_index": IGNORED}

    @cached_property
    def names(self) -> list[str]:
        """The class names, checked."""
        if not self.root.is_dir():
            raise InputError(f"no folder at {shown(self.root)}")
        names = self.read_classes()
        if len(names) < 2:
            raise InputError(f"{self.source} has {len(names)} class names, and needs at least two")
        if len(names) > INVALID:
            raise InputError(f"{self.source} has {len(names)} class names; a PNG of 8 bits has room for {INVALID}")
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise InputError(f"{self.source}: the class names {some(twice)} come more than once: make them differ")
        return names

    @cached_property
    def parts(self) -> dict[str, Part]:
        """The splits there are."""
        table = self.table(self.names)
        parts = {}
        for name, pairs in self.find().items():
            counts = count_pixels(pairs, table, self.names, self.root, name)
            part = self._usable(name, Part(pairs.images, pairs.annotations, table, counts), pairs.alone)
            if part.counts.labelled().any():
                parts[name] = part
            elif name == "test":
                logger.info(f"{self.source}: no pixel of the test images has a class, so there is no test split")
            else:
                raise InputError(f"{self.source}: no pixel of the {name} images has a class: give their annotations")
        if "val" not in parts and self.val_fraction:
            train = parts["train"]
            kept, held_out = random_split(len(train), self.val_fraction, self.split_seed)
            if len(kept) == 0:
                raise InputError(f"{self.source} has too few images to hold out some of them: give a val folder")
            parts["train"], parts["val"] = train.subset(kept), train.subset(held_out)
        return parts

    def _usable(self, name: str, part: Part, alone: list[str]) -> Part:
        """The pairs of a split that nothing is wrong with, if others are to be left out."""
        problems = list(part.counts.problems)
        if name == "train":
            for row in np.flatnonzero(part.counts.labelled() == 0):
                problems[row] = problems[row] or f"{shown(part.annotations[row])}: no pixel has a class"
        bad = [*alone, *filter(None, problems)]
        if not bad:
            return part
        if not self.skip_bad_images:
            more = and_more(bad)
            raise InputError(f"{bad[0]}{more}; repair or remove it, or leave such files out by --skip-bad-images")
        rows = np.flatnonzero([not problem for problem in problems])
        if len(rows) == 0:
            raise InputError(f"{self.source}: no {name} image can be used, such as {bad[0]}")
        logger.info(f"left out {len(bad)} {name} files that cannot be used: {some(bad)}")
        return part.subset(rows)

    def read(self) -> Splits:
        """Find the files, and count the pixels."""
        splits = {}
        for name, part in self.parts.items():
            images = SegmentationImages(part, self.image_size, self.view if name == "train" else None)
            splits[name] = Split(images, part.counts.labels, part.counts.owners, len(part))
        return Splits.of(self.names, splits)

    def check(self, splits: Splits) -> None:
        """Classes without training pixels are told."""
        super().check(splits)
        counts = np.bincount(splits.train.targets, minlength=len(splits.classes))
        if without := [splits.classes[c] for c in np.flatnonzero(counts == 0)]:
            logger.info(
                f"{len(without)} of {len(splits.classes)} classes have no training pixel and will not be found: "
                f"{some(without)}"
            )

    @property
    def class_counts(self) -> list[int]:
        """Training pixels of each class."""
        counts: list[int] = self.parts["train"].counts.per_class(len(self.classes)).tolist()
        return counts

    @property
    def train_counts(self) -> list[int]:
        """Size of each class in training: its pixels."""
        return self.class_counts

    def make_loader(self, images: Dataset[Any], batches: EpochBatches) -> Loader:
        """Make the loader of a split, with worker processes."""
        collate = _stack if batches.shuffle else _collate
        return Loader(images, batches, self.num_workers, collate, torch.cuda.is_available())

    def on_after_batch_transfer(self, batch: dict[str, Any], dataloader_idx: int) -> dict[str, Any]:
        """Normalise the images of a batch on its device."""
        images, targets = batch["images"], batch["targets"]
        if isinstance(images, Tensor):
            return {**batch, "images": self.normalise(images), "targets": targets.long()}
        normalised = [self.normalise(image[None])[0] for image in images]
        return {**batch, "images": normalised, "targets": [target.long() for target in targets]}

    def picture(self, split: str, row: int) -> Image.Image:
        """An image as it lies in its file."""
        return decode(self.parts[split].images[row])

    def annotation(self, split: str, row: int) -> ByteArray:
        """The class of each pixel of an image (H, W), uint8; 255 is ignored."""
        return self.parts[split].labels(row)
