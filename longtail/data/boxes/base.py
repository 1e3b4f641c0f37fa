"""What the data modules for detection and instance segmentation share."""

import logging
import os
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset

from longtail.augment.instances import InstanceView, MultiScale, with_seed
from longtail.data.base import LongTailData, Split, Splits
from longtail.data.loader import EpochBatches, Loader
from longtail.data.sampling import Sampling
from longtail.data.split import random_split
from longtail.errors import InputError
from longtail.files.coco.annotations import Annotations, check_files, read_annotations
from longtail.files.images import check_images, decode
from longtail.files.listing import IntArray
from longtail.messages import and_more, some

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Part:
    """A split: the images ``rows`` (N,) of some annotations, in a folder."""

    annotations: Annotations
    folder: Path
    rows: IntArray

    def path(self, row: int) -> str:
        """File of an image of the split."""
        return str(self.folder / self.annotations.file_names[self.rows[row]])

    def instances(self, row: int) -> IntArray:
        """Annotations of an image of the split that are trained on: all but crowds."""
        of_image = self.annotations.rows(int(self.rows[row]))
        kept: IntArray = of_image.start + np.flatnonzero(~self.annotations.crowd[of_image])
        return kept

    def labels(self) -> tuple[IntArray, IntArray]:
        """Label and row in the split of every annotation but crowds, (M,) each."""
        place = np.full(len(self.annotations), -1, dtype=np.int64)
        place[self.rows] = np.arange(len(self.rows))
        owners = place[self.annotations.images]
        kept = (owners >= 0) & ~self.annotations.crowd
        return self.annotations.labels[kept], owners[kept]

    def truth(self, masks: bool) -> dict[str, Any]:
        """The split as a dictionary in COCO's format."""
        return self.annotations.truth(masks, self.rows)

    @property
    def image_ids(self) -> IntArray:
        """Ids of the images (N,), as in the file."""
        return self.annotations.image_ids[self.rows]


class InstanceImages(Dataset[dict[str, Any]]):
    """The images of a split with their boxes, labels and masks; indexed by a pair of row and draw.

    Args:
        part: the split.
        masks: whether to make the masks.
        view: what augments an image, with ``draw`` as its only source of randomness; None leaves it as it is and
            without masks, for evaluation.
    """

    def __init__(self, part: Part, masks: bool, view: InstanceView | None) -> None:
        self.part, self.masks, self.view = part, masks, view

    def __len__(self) -> int:
        return len(self.part.rows)

    def __getitem__(self, index: tuple[int, int]) -> dict[str, Any]:
        row, draw = index
        part, annotations = self.part, self.part.annotations
        image = torch.from_numpy(np.array(decode(part.path(row)))).permute(2, 0, 1)
        height, width = annotations.sizes[part.rows[row]].tolist()
        if image.shape[1:] != (height, width):
            raise InputError(
                f"{part.path(row)} is {image.shape[2]} x {image.shape[1]} pixels, {annotations.file} says "
                f"{width} x {height}: give the images that were annotated"
            )
        chosen = part.instances(row)
        target = {
            "boxes": torch.from_numpy(annotations.boxes[chosen]),
            "labels": torch.from_numpy(annotations.labels[chosen]),
        }
        if self.view is not None:
            if self.masks:
                masks = [annotations.mask(k) for k in chosen.tolist()]
                stacked = np.stack(masks) if masks else np.zeros((0, height, width), np.uint8)
                target["masks"] = torch.from_numpy(stacked)
            image, target = with_seed(self.view, image, target, draw)
        return {"image": image, "target": target, "row": row}


def _collate(samples: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        "images": [sample["image"] for sample in samples],
        "targets": [sample["target"] for sample in samples],
        "rows": torch.tensor([sample["row"] for sample in samples]),
    }


class DetectionData(LongTailData):
    """Base of the data modules for detection.

    Batches are dicts: "images", a list of N images (3, H, W), uint8; "targets", a list of N dicts with "boxes" (n, 4),
    "labels" (n,) and, in training with masks, "masks" (n, H, W); "rows" (N,).

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
        super().__init__(batch_size, min(8, os.cpu_count() or 1) if num_workers is None else num_workers, sampling)
        if not 0 <= val_fraction < 1:
            raise InputError(f"val_fraction must be in [0, 1), got {val_fraction}")
        self.root, self.files = root, {"train": train, "val": val, "test": test}
        if val_as_test and test is not None:
            raise InputError("val_as_test makes a test set of the validation file: leave out it or the test file")
        self.masks, self.val_as_test = masks, val_as_test
        self.view = view or MultiScale()
        self.val_fraction, self.split_seed = val_fraction, split_seed
        self.check_images, self.skip_bad_annotations = check_images, skip_bad_annotations

    @property
    def source(self) -> str:
        """The folder."""
        return str(self.root)

    @property
    def input(self) -> dict[str, Any]:
        """The category id of each class, for results; the detector resizes and normalises by itself."""
        return {"category_ids": self.parts["train"].annotations.category_ids.tolist()}

    @abstractmethod
    def folder(self, file: Path) -> Path:
        """The folder of the images that an annotation file names."""

    def _file(self, split: str) -> Path | None:
        given = self.files[split]
        if given is not None:
            return given
        if not self.root.is_dir():
            raise InputError(f"no folder at {self.root}")
        found = [file for pattern in self.patterns for file in sorted(self.root.glob(pattern.format(split=split)))]
        if len(found) > 1:
            raise InputError(f"{self.root} has several files for {split}, {some(found)}: give --data.{split} FILE")
        if split == "train" and not found:
            names = " or ".join(pattern.format(split=split) for pattern in self.patterns)
            raise InputError(f"{self.root} has no {names}: give --data.train FILE")
        return found[0] if found else None

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
                there = "has a test file too" if "test" in parts else "has no validation file"
                raise InputError(f"{self.root} {there}: leave out --data.val_as_test")
            parts["test"] = parts.pop("val")
        if "val" not in parts and self.val_fraction:
            train = parts["train"]
            kept, held_out = random_split(len(train.rows), self.val_fraction, self.split_seed)
            parts["train"] = Part(train.annotations, train.folder, kept)
            parts["val"] = Part(train.annotations, train.folder, held_out)
        return parts

    def _check_images(self, part: Part) -> None:
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
        counts = np.bincount(splits.train.targets, minlength=len(splits.classes))
        if without := [splits.classes[c] for c in np.flatnonzero(counts == 0)]:
            logger.info(
                f"{len(without)} of {len(splits.classes)} classes have no training instance and will not be found: "
                f"{some(without)}"
            )

    def make_loader(self, images: Dataset[Any], batches: EpochBatches) -> Loader:
        """Make the loader of a split, with worker processes."""
        return Loader(images, batches, self.num_workers, _collate, torch.cuda.is_available())

    def picture(self, split: str, row: int) -> Image.Image:
        """An image as it lies in its file."""
        return decode(self.parts[split].path(row))
