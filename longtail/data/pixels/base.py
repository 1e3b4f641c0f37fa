"""What the data modules for semantic segmentation share: images, and a PNG for each with the class of its pixels."""

import logging
import os
from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset

from longtail.augment.pixels import IGNORED, PixelView, ScaleCropFlip
from longtail.augment.preprocessing import STANDARD, Channels, Preprocessing
from longtail.data.base import LongTailData
from longtail.data.loader import EpochBatches, Loader, collate_lists
from longtail.data.pixels.dataset import Part, PixelBatch, SegmentationImages, for_network, stacked
from longtail.data.pixels.example import class_overlay
from longtail.data.record import Recall, SplitFiles, SplitRecord, names_below
from longtail.data.sampling import Sampling
from longtail.data.split import check_fraction
from longtail.data.splits import Split, Splits, depth_input, hold_out_images, tell_untrained
from longtail.errors import InputError
from longtail.files.images.passed_over import Why
from longtail.files.images.reading import decode, few, tell_depth
from longtail.files.listing import class_rows
from longtail.files.pixels.counts import count_pixels
from longtail.files.pixels.labels import IndexLabels, PixelLabels, check_names
from longtail.files.pixels.pairs import ByteArray, Pairs, lookup_table
from longtail.files.tables.groups import group_names, tell_shared
from longtail.messages import and_more, escape, plural, some
from longtail.plain import AnyPath, Input
from longtail.reports.grains import PIXELS

logger = logging.getLogger(__name__)


class SegmentationData(LongTailData):
    """Base of the data modules for semantic segmentation.

    A batch is a ``PixelBatch``.

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
        group: what keeps images together: a regular expression with one group that is searched in the path.
        skip_bad_images: leave out the pairs of image and annotation that cannot be used, and say how many; otherwise
            they are an error.
        full_check: decode every image and annotation before training in a way that a file cannot hang; otherwise images
            are looked at by their headers.
        bit_depth: how many bits of images of 16 count, where the files do not say it, such as 12; by default all.
        mean, std: of red, green and blue, to normalise images by; those of the network's weights, or ImageNet's.
    """

    movable: ClassVar[frozenset[str]] = LongTailData.movable | {"num_workers", "root"}
    split_options: ClassVar[frozenset[str]] = frozenset({"val_fraction", "split_seed", "group"})
    skips: ClassVar[str | None] = "skip_bad_images"
    stills: ClassVar[bool] = True
    grain = PIXELS
    recipe = "segmentation/logit_adjusted"

    def __init__(
        self,
        root: AnyPath,
        view: PixelView | None = None,
        batch_size: int = 8,
        num_workers: int | None = None,
        sampling: Sampling | None = None,
        image_size: int | None = None,
        val_fraction: float = 0.1,
        split_seed: int = 0,
        group: str | None = None,
        skip_bad_images: bool = False,
        full_check: bool = False,
        bit_depth: int | None = None,
        mean: Channels | None = None,
        std: Channels | None = None,
    ) -> None:
        super().__init__(batch_size, num_workers, sampling)
        check_fraction("val_fraction", val_fraction)
        if image_size is not None and image_size < 1:
            raise InputError(f"image_size must be at least 1 pixel, got {image_size}")
        self.root, self.image_size = Path(root), image_size
        self.home = self.root  # below which files are what a run calls them by, wherever the set lies
        self.view = view or ScaleCropFlip()
        self.val_fraction, self.split_seed, self.group = val_fraction, split_seed, group
        self.skip_bad_images, self.full_check, self.bit_depth = skip_bad_images, full_check, bit_depth
        self.normalise, _ = Preprocessing(mean, std).over(STANDARD).parts()

    @abstractmethod
    def read_classes(self) -> list[str]:
        """The class names, in the order of their labels."""

    def table(self, classes: Sequence[str]) -> ByteArray:
        """The label of every value in an annotation (256,): 0..C-1, 255 for ignored or 254 for none at all. Here values
        are the indices of the classes, and 255 is ignored."""
        return lookup_table({**{c: c for c in range(len(classes))}, IGNORED: IGNORED})

    def reader(self, classes: Sequence[str]) -> PixelLabels:
        """How annotations tell the class of each pixel: here by ``table``."""
        return IndexLabels(self.table(classes), len(classes))

    @abstractmethod
    def find(self) -> dict[str, Pairs]:
        """The files of "train", "val" and "test", as far as there are such splits."""

    @property
    def source(self) -> str:
        """The folder."""
        return str(self.root)

    @property
    def input(self) -> Input:
        """Shorter side that larger images are resized to, and bits that count, if they are given; mean and deviation of
        the channels; the label of pixels that do not count."""
        size: Input = {} if self.image_size is None else {"size": self.image_size}
        channels: Input = {"mean": list(self.normalise.mean), "std": list(self.normalise.std)}
        return {**size, **depth_input(self.bit_depth), **channels, "ignore_index": IGNORED}

    @cached_property
    def names(self) -> list[str]:
        """The class names, checked."""
        if not self.root.is_dir():
            raise InputError(f"no folder at {escape(self.root)}")
        names = self.read_classes()
        check_names(names, self.source)
        return names

    @cached_property
    def parts(self) -> dict[str, Part]:
        """The splits there are."""
        reader = self.reader(self.names)
        parts = {}
        for name, pairs in self.find().items():
            counts = count_pixels(pairs, reader, self.names, self.root, name, self.full_check)
            part = self._usable(name, Part(pairs.images, pairs.annotations, reader, counts), pairs.alone)
            if part.pixels.labelled().any():
                parts[name] = part
            elif name == "test":
                self.leave_out(len(part), "test image", "without a labelled pixel")
                logger.info(f"{self.source}: no pixel of the test images has a class, so there is no test split")
            else:
                raise InputError(f"{self.source}: no pixel of the {name} images has a class: give their annotations")
        if self.recall is not None:
            return self._of_run(parts, self.recall)
        groups = {name: self.groups(part.images, self.group) for name, part in parts.items() if self.group is not None}
        tell_shared(groups, "image")
        if "val" not in parts and self.val_fraction:
            train = parts["train"]
            labels, own = (train.pixels.labels, train.pixels.owners), groups.get("train")
            held_out = hold_out_images(len(train), labels, self.val_fraction, self.split_seed, own)
            train_rows, val_rows, self.ways_out["val"] = held_out
            if len(train_rows) == 0:
                raise InputError(f"{self.source} has too few images to hold out some of them: give a val folder")
            parts["train"], parts["val"] = train.subset(train_rows), train.subset(val_rows)
        return parts

    def groups(self, images: Sequence[str], group: str) -> list[str]:
        """The group of each of some images: here what a regular expression finds in its path."""
        return group_names(images, group)

    def keep_splits(self, record: SplitRecord, measured_alone: bool) -> None:
        """As in the base; images without an annotation and annotations without an image are no error then."""
        super().keep_splits(record, measured_alone)
        self.skip_bad_images = True

    def _of_run(self, parts: dict[str, Part], recall: Recall) -> dict[str, Part]:
        """The parts of a run: its images that are as they were, each in its split."""
        rows = recall.rows({name: self._files_of(name, part) for name, part in parts.items()})
        own = {name: parts.get(name, parts["train"]).subset(rows[name]) for name in rows}
        return {name: part for name, part in own.items() if len(part) or name == "train"}

    def _files_of(self, split: str, part: Part) -> SplitFiles:
        names = names_below(part.images, self.home, split, self.home)
        return SplitFiles.of(names, part.pixels.checksums(), part.images, True)

    def split_files(self, split: str) -> SplitFiles:
        """The images of a split, and checksums of the pixels of their classes."""
        return self._files_of(split, self.parts[split])

    def labelled(self, split: str, classes: list[str]) -> Split:
        """The images of the split, or all where there are no splits."""
        reader = self.reader(self.names).mapped(class_rows(self.source, self.names, classes))
        splits = self.find()
        if split not in splits and list(splits) != ["train"]:
            raise InputError(f"{self.source} has no {split} split, only {some(list(splits))}: add one")
        pairs = splits[split if split in splits else "train"]
        counts = count_pixels(pairs, reader, classes, self.root, split, self.full_check)
        part = self._usable(split, Part(pairs.images, pairs.annotations, reader, counts), pairs.alone)
        if not part.pixels.labelled().any():
            raise InputError(f"{self.source}: no pixel of the images has a class: give their annotations")
        self.parts = {split: part}
        return self._split_of(part, None)

    def _usable(self, name: str, part: Part, alone: list[str]) -> Part:
        """The pairs of a split that nothing is wrong with, if others are to be left out."""
        problems = list(part.pixels.problems)
        if name == "train":
            for row in np.flatnonzero(part.pixels.labelled() == 0):
                problems[row] = problems[row] or f"{escape(part.annotations[row])}: no pixel has a class"
        if not (bad := [*alone, *filter(None, problems)]):
            return part
        if not self.skip_bad_images:
            more = and_more(bad)
            raise InputError(f"{bad[0]}{more}; repair or remove it, or leave such files out by --skip-bad-images")
        rows = np.flatnonzero([not problem for problem in problems])
        if len(rows) == 0:
            raise InputError(f"{self.source}: no {name} image can be used, such as {bad[0]}")
        logger.info(f"left out {plural(len(bad), f'{name} file')} that cannot be used: {some(bad)}")
        self.leave_out(len(bad), f"{name} file", "that cannot be used", Why.FAULTY)
        return part.subset(rows)

    def read(self) -> Splits:
        """Find the files, and count the pixels."""
        views = {"train": self.view}
        return Splits.of(self.names, {name: self._split_of(part, views.get(name)) for name, part in self.parts.items()})

    def _split_of(self, part: Part, view: PixelView | None) -> Split:
        images = SegmentationImages(part, self.image_size, view, self.bit_depth)
        return Split(images, part.pixels.labels, part.pixels.owners, len(part))

    def check(self, splits: Splits) -> None:
        """Classes without training pixels are told."""
        super().check(splits)
        tell_depth(few(self.parts["train"].images), self.bit_depth)
        tell_untrained(splits, "pixel")

    @property
    def pixel_counts(self) -> list[int]:
        """Training pixels of each class."""
        if self.trained is not None:
            return self.trained.label_counts
        return [int(count) for count in self.parts["train"].pixels.per_class(len(self.classes))]

    @property
    def group_noun(self) -> str:
        """A pixel."""
        return "pixel"

    def class_size(self, label: int) -> str:
        """Its pixels and their share."""
        return f"{super().class_size(label)} ({self.pixel_counts[label] / sum(self.pixel_counts):.2%})"

    @property
    def time_options(self) -> list[str]:
        """Smaller training crops, by the option of the view."""
        return [f"a smaller --data.view.{size}" for size in self.view.sizes]

    @property
    def label_counts(self) -> list[int]:
        """``pixel_counts``: what carries a label is a pixel."""
        return self.pixel_counts

    @property
    def group_counts(self) -> list[int]:
        """``pixel_counts``: groups go by the share of the pixels."""
        return self.pixel_counts

    def make_loader(self, images: Dataset[object], batches: EpochBatches) -> Loader:
        """Make the loader of a split, with worker processes."""
        collate = stacked if batches.shuffle else collate_lists
        return Loader(images, batches, self.num_workers, collate, torch.cuda.is_available())

    def on_after_batch_transfer(self, batch: PixelBatch, dataloader_idx: int) -> PixelBatch:
        """Normalise the images of a batch on its device."""
        return for_network(batch, self.normalise)

    def picture(self, split: str, row: int) -> Image.Image:
        """An image as it lies in its file."""
        return decode(self.parts[split].images[row], bit_depth=self.bit_depth)

    def file_name(self, split: str, row: int) -> str:
        """Path of an image below the folder of the set."""
        return Path(os.path.relpath(self.parts[split].images[row], self.root)).as_posix()

    def example(self, row: int, label: int) -> Image.Image:
        """A training image with the pixels of a class painted."""
        return class_overlay(self.picture("train", row), self.annotation("train", row), label, self.classes)

    def example_rows(self, number: int) -> list[list[int]]:
        """Those with most pixels of the class."""
        return [self.rows_with_most("train", label, number) for label in range(len(self.classes))]

    def rows_with_most(self, split: str, label: int, number: int) -> list[int]:
        """Rows of the images with most pixels of a class, at most ``number``."""
        return self.parts[split].pixels.most(label, number)

    def annotation(self, split: str, row: int) -> ByteArray:
        """The class of each pixel of an image (H, W), uint8; 255 is ignored."""
        return self.parts[split].labels(row)
