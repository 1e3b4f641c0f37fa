"""The features of a frozen network in the place of the images they were made of."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from longtail.data.images.base import ImageBatch, ImageData, LoadedImages
from longtail.data.images.memory import TensorImages, whole_batches
from longtail.data.loader import EpochBatches, Loader
from longtail.data.splits import Split, Splits
from longtail.plain import Input


class FeatureRows(TensorImages):
    """Features in the place of training images.

    Args:
        images: float32 (M, K, D), K features of each image, of which the draw takes one.
        targets: int64 (M,), or where an image may have several classes bool (M, C).
    """

    def pick(self, rows: Tensor, draws: Sequence[int]) -> Tensor:
        """A feature (N, 1, D) of each of some rows (N,)."""
        if self.images.shape[1] == 1:
            return self.images.index_select(0, rows)
        copies = torch.tensor([draw % self.images.shape[1] for draw in draws]).to(rows.device, non_blocking=True)
        return self.images[rows, copies][:, None]


class FeatureViews(TensorImages):
    """Features in the place of images that are evaluated.

    Args:
        images: float32 (M, V, D), those of the V views of each image.
        targets: as of ``FeatureRows``.
    """

    def pick(self, rows: Tensor, draws: Sequence[int]) -> Tensor:
        """The features (N, V, D) of some rows (N,)."""
        return self.images.index_select(0, rows)


class FeatureData(ImageData):
    """A data set whose images are replaced by their features; the rest is that of the set of images.

    Args:
        data: the images.
        features: of each split, float32 (M, K, D): of K augmented views of each training image, and of all views of
            another that evaluation shows.
    """

    movable: ClassVar[frozenset[str]] = frozenset()
    roots: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, data: ImageData, features: Mapping[str, Tensor]) -> None:
        super().__init__(None, data.batch_size, 0, data.sampling)
        self.images, self.features, self.seed, self.trained = data, features, data.seed, data.trained
        self.noun = data.noun  # type: ignore[misc]  # as the set has it
        self.grain = data.grain
        self.several_labels = data.several_labels  # type: ignore[misc]  # as above

    def read(self) -> Splits:
        """The splits of the images, with their features."""
        return Splits.of(self.images.classes, {name: self._split(name) for name in self.features})

    def _split(self, name: str) -> Split:
        split = self.images.split(name)
        assert split is not None
        rows = FeatureRows if name == "train" else FeatureViews
        targets = split.targets if split.owners is None else split.table(len(self.images.classes))
        return replace(split, images=rows(self.features[name], torch.from_numpy(targets)))

    def check(self, splits: Splits) -> None:
        """Nothing: the images were checked."""

    @property
    def source(self) -> str:
        """Where the images come from."""
        return self.images.source

    @property
    def input(self) -> Input:
        """What the frozen network takes."""
        return self.images.input

    @property
    def image_size(self) -> int:
        """Side of the images that the frozen network sees, in pixels."""
        return self.images.image_size

    def picture(self, split: str, row: int) -> Image.Image:
        """An image as a person would look at it."""
        return self.images.picture(split, row)

    def crop(self, images: Tensor, view: int, generator: torch.Generator) -> Tensor:
        """The features, of which nothing is cut."""
        return images[:, view]

    def make_loader(self, images: Dataset[object], batches: EpochBatches) -> Loader:
        """Make a loader that fetches whole batches, on the device of the trainer."""
        return whole_batches(images, batches, self.trainer)

    def on_after_batch_transfer(self, batch: LoadedImages, dataloader_idx: int) -> ImageBatch:
        """The features as views (N, D)."""
        return {"views": list(batch["images"].unbind(1)), "targets": batch["targets"], "rows": batch["rows"]}
