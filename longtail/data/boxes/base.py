"""What the data modules for detection and instance segmentation share."""

import logging
from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from longtail.augment.instances import InstanceView, MultiScale
from longtail.data.base import Located, LongTailData, Split, Splits, tell_untrained
from longtail.data.boxes.dataset import InstanceImages, Instances, Part
from longtail.data.sampling import Sampling
from longtail.data.split import check_fraction, random_split
from longtail.errors import InputError
from longtail.files.coco.annotations import check_files, read_annotations
from longtail.files.images import HEADERS_ONLY, check_images, decode
from longtail.files.listing import IntArray
from longtail.messages import and_more, shown, some

logger = logging.getLogger(__name__)


class DetectionData(LongTailData):
    """Base of the data modules for detection.

    A batch is a ``BoxBatch``.

    Args:
        root: folder of the images and annotations.
        train: JSON file of the training images; by default looked for in ``root``.
        val: JSON file of the validation images; by default looked for in ``root``. Where there is none, they are held
            out of the training images.
        test: JSON file of the test images.
        masks: whether to read the masks of the instances.
        view: what training images go through.
        batch_size: images of a batch in one process.
        num_workers: processes that decode images; by default one for each core, at most 8.
        sampling: how training images are drawn; each once an epoch where left out.
        val_as_test: use the validation file for the final test, as the papers on COCO and LVIS do, and hold validation
            images out of the training images: what is reported on must not set difficulties or choose an epoch.
        val_fraction: part of the training images that is held out where there is no validation file; 0 for none.
        split_seed: of that.
        check_images: look at every image file before training.
        skip_bad_annotations: leave out annotations that cannot be used, and say how many; otherwise they are an error.
    """

    movable: ClassVar[frozenset[str]] = LongTailData.movable | {"root", "train", "val", "test"}
    patterns: ClassVar[Sequence[str]]

    def __init__(
        self,
        root: Path,
        train: Path | None = None,
        val: Path | None = None,
        test: Path | None = None,
        masks: bool = True,
        view: InstanceView | None = None,
        batch_size: int = 2,
        num_workers: int | None = None,
        sampling: Sampling | None = None,
        val_as_test: bool = False,
        val_fraction: float = 0.1,
        split_seed: int = 0,
        check_images: bool = True,
        skip_bad_annotations: bool = False,
    ) -> None:
        super().__init__(batch_size, num_workers, sampling)
        check_fraction("val_fraction", val_fraction)
        self.root, self.files = root, {"train": train, "val": val, "test": test}
        if val_as_test and test is not None:
            raise InputError("val_as_test makes a test set of the validation file: leave out it or the test file")
        self.masks, self.val_as_test = masks, val_as_test
        self.view = view or MultiScale()
        self.val_fraction, self.split_seed = val_fraction, split_seed
        self.check_images, self.skip_bad_annotations = check_images, skip_bad_annotations

    @classmethod
    def located(cls, path: Path) -> Located:
        """The folder ``root``."""
        if path.suffix.lower() == ".json":
            way_out = f"give --data FOLDER, that of the images, and --data.train {shown(path)}"
            raise InputError(f"{shown(path)} holds annotations alone: {way_out}")
        return super().located(path)

    @property
    def source(self) -> str:
        """The folder."""
        return str(self.root)

    @property
    def input(self) -> dict[str, Any]:  # as in the base
        """The category id of each class, for results; the detector resizes and normalises by itself."""
        return {"category_ids": self.category_ids}

    @property
    def category_ids(self) -> list[int]:
        """Id of each class (C,) in the annotations and in results, whatever the split."""
        ids: list[int] = self.parts["train"].annotations.category_ids.tolist()
        return ids

    @property
    def instance_counts(self) -> list[int]:
        """Training instances of each class, crowds left out."""
        counts: list[int] = np.bincount(self.splits.train.targets, minlength=len(self.classes)).tolist()
        return counts

    @property
    def label_counts(self) -> list[int]:
        """``instance_counts``: what carries a label is an instance."""
        return self.instance_counts

    def image_ids(self, split: str) -> IntArray:
        """Ids of the images of a split (N,), as in the file."""
        return self.parts[split].image_ids

    def file_name(self, split: str, row: int) -> str:
        """Name of an image's file, as in the annotations."""
        part = self.parts[split]
        return str(part.annotations.file_names[part.rows[row]])

    def federated(self, split: str) -> bool:
        """Whether the classes of an image are known only partly, as in LVIS."""
        return self.parts[split].annotations.federated

    def truth(self, split: str, masks: bool) -> dict[str, Any]:  # COCO's JSON
        """A split as a dictionary in COCO's format, with masks or without."""
        return self.parts[split].truth(masks)

    def labels(self, split: str) -> tuple[IntArray, IntArray]:
        """Label and image row of every instance of a split, crowds left out, (M,) each."""
        return self.parts[split].labels()

    def instances(self, split: str, row: int) -> Instances:
        """The annotations of an image, crowds left out."""
        part = self.parts[split]
        numbers = part.instances(row)
        return Instances(part.annotations.boxes[numbers], part.annotations.labels[numbers], numbers)

    def mask(self, split: str, number: int) -> NDArray[np.uint8]:
        """The mask (H, W) of an annotation, of which ``instances`` has the number."""
        return self.parts[split].annotations.mask(number)

    @abstractmethod
    def folder(self, file: Path) -> Path:
        """The folder of the images that an annotation file names."""

    def _file(self, split: str) -> Path | None:
        file = self.files[split]
        if file is not None:
            return file
        if not self.root.is_dir():
            raise InputError(f"no folder at {self.root}")
        files = [file for pattern in self.patterns for file in sorted(self.root.glob(pattern.format(split=split)))]
        if len(files) > 1:
            raise InputError(f"{self.root} has several files for {split}, {some(files)}: give --data.{split} FILE")
        if split == "train" and not files:
            names = " or ".join(pattern.format(split=split) for pattern in self.patterns)
            raise InputError(f"{self.root} has no {names}: give --data.train FILE")
        return files[0] if files else None

    @cached_property
    def parts(self) -> dict[str, Part]:
        """The splits there are."""
        parts: dict[str, Part] = {}
        for split in ("train", "val", "test"):
            file = self._file(split)
            if file is not None:
                annotations = read_annotations(file, self.masks, self.skip_bad_annotations)
                folder = self.folder(file)
                check_files(annotations, folder)
                parts[split] = Part(annotations, folder, np.arange(len(annotations)))
                if self.check_images:
                    self._check_images(parts[split])
                first = parts["train"].annotations
                if (annotations.classes, annotations.category_ids.tolist()) != (
                    first.classes,
                    first.category_ids.tolist(),
                ):
                    raise InputError(f"{file} has other categories than {first.file}: both need the same ids and names")
        if self.val_as_test:
            if "test" in parts or "val" not in parts:
                reason = "has a test file too" if "test" in parts else "has no validation file"
                raise InputError(f"{self.root} {reason}: leave out --data.val_as_test")
            parts["test"] = parts.pop("val")
        if "val" not in parts and self.val_fraction:
            train = parts["train"]
            train_rows, val_rows = random_split(len(train.rows), self.val_fraction, self.split_seed)
            parts["train"] = Part(train.annotations, train.folder, train_rows)
            parts["val"] = Part(train.annotations, train.folder, val_rows)
        return parts

    def _check_images(self, part: Part) -> None:
        logger.info(HEADERS_ONLY)
        bad = check_images([part.path(row) for row in range(len(part.rows))])
        if bad:
            path, reason = bad[0]
            more = and_more(bad)
            raise InputError(f"{path}: {reason}{more}; repair it, or take it out of {part.annotations.file}")

    def read(self) -> Splits:
        """Read the annotations, and find the images."""
        splits = {}
        for name, part in self.parts.items():
            images = InstanceImages(part, self.masks, self.view if name == "train" else None)
            splits[name] = Split(images, *part.labels(), len(part.rows))
        return Splits.of(self.parts["train"].annotations.classes, splits)

    def check(self, splits: Splits) -> None:
        """There are instances to train on; classes without any are told."""
        if len(splits.train.targets) == 0:
            raise InputError(f"{self.parts['train'].annotations.file} has no instance to train on")
        super().check(splits)
        tell_untrained(splits, "instance")

    def picture(self, split: str, row: int) -> Image.Image:
        """An image as it lies in its file."""
        return decode(self.parts[split].path(row))
