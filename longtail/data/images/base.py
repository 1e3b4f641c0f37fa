"""What the data modules for whole images share: views and normalisation."""

from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar, TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from longtail.augment.base import Operator, View
from longtail.augment.mixing import Mixing
from longtail.augment.preprocessing import STANDARD, Preprocessing
from longtail.augment.resizing import ProgressiveResizing
from longtail.augment.views import PlainView
from longtail.data.base import LongTailData
from longtail.data.loader import EpochBatches
from longtail.data.sampling import Sampling
from longtail.data.splits import Splits
from longtail.errors import InputError
from longtail.files.images.crops import CROPS
from longtail.files.tables.class_names import read_class_names
from longtail.messages import some
from longtail.plain import AnyPath, Input
from longtail.reports.grains import IMAGES
from longtail.samplers.power import PowerSampler


class LoadedImages(TypedDict):
    """What a loader gives: ``images`` uint8 (N, V, 3, H, W) with V views, or for clips (N, V, 3, T, H, W); ``targets``
    and ``rows`` (N,), int64; ``seed``, the random number that the augmentation starts from. Where an image may have
    several classes, ``targets`` are bool (N, C)."""

    images: Tensor
    targets: Tensor
    rows: Tensor
    seed: int


class ImageBatch(TypedDict):
    """What a task gets: ``views``, float32 (N, 3, H, W) each, or for clips (N, 3, T, H, W); ``targets`` and ``rows``
    (N,), int64. Where an image may have several classes, ``targets`` are bool (N, C); where images are mixed they are
    soft: (N, C), float32."""

    views: list[Tensor]
    targets: Tensor
    rows: Tensor


class ImageData(LongTailData):
    """Base of the data modules whose images have one label each, or in some several or none.

    The loaders give ``LoadedImages``, and on its device a batch is an ``ImageBatch``: a view for every entry of
    ``views``; outside training they are not augmented, and there is one unless the set has more.

    Args:
        views: what augments each view of a training image; as many as the method wants.
        batch_size: images of a batch in one process.
        num_workers: processes that decode images.
        sampling: how training images are drawn; each once an epoch where left out.
        preprocessing: normalisation, interpolation and central crop; what it leaves out is as ``usual``.
        test_crops: views of a test image, whose logits are averaged: 1, the central crop; 5, with those of the corners;
            2 and 10, these and their mirror images.
        class_names: file of what a text start reads in the place of the names of the set; see
            ``longtail.files.tables.class_names``.

    Attributes:
        usual: the preprocessing of the set for networks that start from random weights.
        several_labels: whether an image may have several classes, or none.
        mixing: that of the task, which mixes the one view of each training image with that of another.
        resizing: that of the task, which makes the views of training images smaller in early epochs.
    """

    usual: ClassVar[Preprocessing] = STANDARD
    several_labels: ClassVar[bool] = False
    grain = IMAGES
    recipe = "logit_adjusted"
    mixing: Mixing | None = None
    resizing: ProgressiveResizing | None = None

    def __init__(
        self,
        views: Sequence[View] | None = None,
        batch_size: int = 64,
        num_workers: int | None = 0,
        sampling: Sampling | None = None,
        preprocessing: Preprocessing | None = None,
        test_crops: int = 1,
        class_names: AnyPath | None = None,
    ) -> None:
        super().__init__(batch_size, num_workers, sampling)
        self.views: list[View] = [PlainView()] if views is None else list(views)
        self.normalise, self.resize = (preprocessing or Preprocessing()).over(self.usual).parts()
        if test_crops not in CROPS:
            raise InputError(f"test_crops must be 1, 2, 5 or 10, got {test_crops}")
        if test_crops >= 5 and self.resize.crop == 1:
            raise InputError(f"{test_crops} crops of whole images would all be one: give --data.preprocessing.crop 0.9")
        self.test_crops, self.names_file = test_crops, None if class_names is None else Path(class_names)

    def begin_epoch(self, epoch: int) -> None:
        """Tell the crops of the views, and the resizing, which epoch begins."""
        epochs = self.trainer.max_epochs if self.trainer is not None else None
        if self.resizing is not None:
            self.resizing.set_epoch(epoch, epochs or 1)
        for view in self.views:
            if view.crop is not None:
                view.crop.set_epoch(epoch, epochs or 1)

    def batches(self, name: str) -> EpochBatches:
        """The batches of a split in this process; of training images also what they are mixed with."""
        batches = super().batches(name)
        if name == "train" and self.mixing is not None and self.mixing.power is not None:
            targets = torch.from_numpy(self.splits.train.targets)
            batches.partners = PowerSampler(targets, self.mixing.power, seed=self.seed + 1)  # other draws than sampling
        return batches

    @cached_property
    def _class_counts(self) -> Tensor:
        return torch.tensor(self.image_counts)

    @cached_property
    def class_texts(self) -> list[str]:
        """What the classes are called in words, for a text tower: by the file ``class_names``, else as in the set."""
        return self.classes if self.names_file is None else read_class_names(self.names_file, self.classes)

    @property
    @abstractmethod
    def image_size(self) -> int:
        """Side of the images that the network sees, in pixels."""

    @property
    def input(self) -> Input:
        """Side of the images in pixels, mean and deviation of the channels, interpolation and central crop."""
        return {
            "size": self.image_size,
            "mean": list(self.normalise.mean),
            "std": list(self.normalise.std),
            "interpolation": self.resize.interpolation,
            "crop": self.resize.crop,
            "crop_mode": self.resize.crop_mode,
        }

    def check(self, splits: Splits) -> None:
        """Every class has training images, and there are two at least."""
        counts = np.bincount(splits.train.targets, minlength=len(splits.classes))
        if len(splits.classes) < 2:
            raise InputError(f"{self.source} has a single class: there is nothing to tell apart")
        if counts.min() == 0:
            empty = [splits.classes[c] for c in np.flatnonzero(counts == 0)]
            raise InputError(f"{self.source}: no training {self.noun} of {some(empty)}: add some or remove the class")
        super().check(splits)

    @abstractmethod
    def crop(self, images: Tensor, view: int, generator: torch.Generator) -> Tensor:
        """Cut a training view: uint8 (N, 3, H, W) from the images (N, V, 3, H, W) of a batch."""

    def augment(self, operator: Operator, images: Tensor, generator: torch.Generator) -> Tensor:
        """Apply a view, or another operator, to the images (N, 3, H, W) of a batch."""
        return operator(images, generator)

    def fit_size(self, images: Tensor) -> Tensor:
        """Views (N, 3, H, W), uint8, at the size that the network sees; here they have it."""
        return images

    def on_after_batch_transfer(self, batch: LoadedImages, dataloader_idx: int) -> ImageBatch:
        """Draw the views of a batch on its device."""
        trainer = self.trainer
        return self.make_views(batch, trainer is not None and trainer.training, trainer is not None and trainer.testing)

    def make_views(self, batch: LoadedImages, training: bool, testing: bool = False) -> ImageBatch:
        """The views of a batch, normalised: drawn anew for training, else as evaluation, or a test, shows them."""
        images = batch["images"]
        generator = torch.Generator().manual_seed(batch["seed"])
        if training:
            crops = (self.crop(images, v, generator) for v in range(len(self.views)))
            views = [self.augment(view, crop, generator) for view, crop in zip(self.views, crops, strict=True)]
        else:
            views = self.evaluation_views(images, testing)
        views = [self.fit_size(view) for view in views]
        if training and self.resizing is not None:
            views = [self.resizing(view) for view in views]
        normalised = [self.normalise(view) for view in views]
        targets, rows = batch["targets"], batch["rows"]
        if training and self.mixing is not None:
            (view,) = normalised
            mixed, targets = self.mixing(view, targets, self._class_counts, generator)
            normalised, rows = [mixed], rows[: len(mixed)]
        return {"views": normalised, "targets": targets, "rows": rows}

    def evaluation_views(self, images: Tensor, testing: bool) -> list[Tensor]:
        """The views of a batch out of training, as the loader gives them."""
        return list(images.unbind(1))

    def step_cost(self, epoch: int, epochs: int) -> float:
        """As in the base: the pixels of smaller images."""
        return 1.0 if self.resizing is None else self.resizing.size_in(epoch, epochs) ** 2

    def views_shown(self, name: str) -> int:
        """Views of each image of a split that evaluation shows, V."""
        return self.test_crops if name == "test" else 1

    def fixed_images(self, name: str) -> Dataset[object]:
        """The images of a split as evaluation shows them, also those of training; here they lie in memory whole."""
        split = self.split(name)
        assert split is not None
        return split.images

    def fingerprint(self, name: str) -> str | None:
        """What changes with the images of a split, or None where that cannot be told: what is made of them is then
        not kept."""
        return None
