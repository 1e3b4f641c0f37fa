"""The features of a frozen network in the place of the images they were made of."""

from collections.abc import Mapping
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from longtail.data.images.base import ImageBatch, ImageData, LoadedImages
from longtail.data.images.memory import as_fetched
from longtail.data.loader import EpochBatches, Loader
from longtail.data.splits import Split, Splits


class FeatureRows(Dataset[LoadedImages]):
    """Features, fetched a whole batch at a time.

    Args:
        features: float32 (M, K, D), K of each image, of which the draw takes one.
        targets: int64 (M,).
    """

    def __init__(self, features: Tensor, targets: Tensor) -> None:
        self.features, self.targets = features, targets

    def __len__(self) -> int:
        return len(self.targets)

    def to(self, device: torch.device) -> "FeatureRows":
        """The same on a device."""
        return FeatureRows(self.features.to(device), self.targets.to(device))

    def __getitems__(self, pairs: list[tuple[int, int]]) -> LoadedImages:
        """A batch, "images" being features (N, 1, D)."""
        device, copies = self.features.device, self.features.shape[1]
        rows = torch.tensor([row for row, _ in pairs]).to(device, non_blocking=True)
        copy = torch.tensor([draw % copies for _, draw in pairs]).to(device, non_blocking=True)
        batch = self.features[rows, copy][:, None]
        return {"images": batch, "targets": self.targets[rows], "rows": rows, "seed": pairs[0][1]}


class FeatureData(ImageData):
    """A data set whose images are replaced by their features; the rest is that of the set of images.

    Args:
        data: the images.
        features: of each split, float32 (M, K, D); K is 1 but for training.
    """

    def __init__(self, data: ImageData, features: Mapping[str, Tensor]) -> None:
        super().__init__(None, data.batch_size, 0, data.sampling)
        self.images, self.features, self.seed = data, features, data.seed
        self.noun = data.noun  # type: ignore[misc]  # as the set has it

    def read(self) -> Splits:
        """The splits of the images, with their features."""
        return Splits.of(self.images.classes, {name: self._split(name) for name in self.features})

    def _split(self, name: str) -> Split:
        split = self.images.split(name)
        assert split is not None
        return Split(FeatureRows(self.features[name], torch.from_numpy(split.targets)), split.targets)

    def check(self, splits: Splits) -> None:
        """Nothing: the images were checked."""

    @property
    def source(self) -> str:
        """Where the images come from."""
        return self.images.source

    @property
    def input(self) -> dict[str, Any]:  # as in the base
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

    def make_loader(self, images: Dataset[Any], batches: EpochBatches) -> Loader:  # as in the base
        """Make a loader that fetches whole batches, on the device of the trainer."""
        assert isinstance(images, FeatureRows)
        device = self.trainer.strategy.root_device if self.trainer is not None else torch.device("cpu")
        return Loader(images.to(device), batches, collate=as_fetched)

    def on_after_batch_transfer(self, batch: LoadedImages, dataloader_idx: int) -> ImageBatch:
        """The features as the one view (N, D)."""
        return {"views": [batch["images"][:, 0]], "targets": batch["targets"], "rows": batch["rows"]}
