"""Base of the data modules whose images fit into memory: one tensor on the device, cropped and augmented there."""

import hashlib
from collections.abc import Sequence
from typing import ClassVar, TypeVar

import lightning.pytorch as pl
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from longtail.augment.base import View
from longtail.augment.geometric import PadCrop, ResizedCrop
from longtail.augment.preprocessing import Preprocessing
from longtail.augment.resample import resampled_crop
from longtail.data.images.base import ImageData, LoadedImages
from longtail.data.loader import EpochBatches, Loader
from longtail.data.sampling import Sampling
from longtail.errors import InputError
from longtail.files.images.crops import frame_crops, mirrored
from longtail.plain import AnyPath

T = TypeVar("T", bound="TensorImages")


class TensorImages(Dataset[LoadedImages]):
    """Images of one size as one uint8 tensor, fetched a whole batch at a time.

    Args:
        images: uint8 (M, 3, H, W).
        targets: int64 (M,).
    """

    def __init__(self, images: Tensor, targets: Tensor) -> None:
        self.images, self.targets = images, targets

    def __len__(self) -> int:
        return len(self.targets)

    def to(self: T, device: torch.device) -> T:
        """The same set on a device."""
        return type(self)(self.images.to(device), self.targets.to(device))

    def pick(self, rows: Tensor, draws: Sequence[int]) -> Tensor:
        """The images (N, 1, 3, H, W) of some rows (N,); these are the same whatever is drawn for them."""
        return self.images[rows, None]

    def __getitems__(self, pairs: list[tuple[int, int]]) -> LoadedImages:
        """A batch: images (N, 1, 3, H, W), targets (N,), rows (N,) and the seed of its augmentation."""
        rows = torch.tensor([row for row, _ in pairs]).to(self.images.device, non_blocking=True)
        return {
            "images": self.pick(rows, [draw for _, draw in pairs]),
            "targets": self.targets[rows],
            "rows": rows,
            "seed": pairs[0][1],
        }


def _as_fetched(batch: LoadedImages) -> LoadedImages:
    return batch


def whole_batches(images: Dataset[object], batches: EpochBatches, trainer: pl.Trainer | None) -> Loader:
    """A loader of a set in memory, which fetches whole batches, on the device of the trainer."""
    assert isinstance(images, TensorImages)
    device = trainer.strategy.root_device if trainer is not None else torch.device("cpu")
    return Loader(images.to(device), batches, collate=_as_fetched)


class MemoryData(ImageData):
    """Base of the data modules that hold their images as one tensor on the device.

    Args:
        views: what augments each view of a training image.
        batch_size: images of a batch in one process.
        padding: zero padding of the random crop of a view that does not say how it crops, in pixels.
        sampling: how training images are drawn; each once an epoch where left out.
        image_size: side of the images that the network sees, in pixels; by default that of the set. They are resized
            to it after their augmentation, or by the crop of a view that resizes.
        preprocessing: see ``ImageData``.
        test_crops: see ``ImageData``; five and ten are of a larger image, whose side is ``image_size`` over the crop of
            the preprocessing.
        class_names: see ``ImageData``.

    Attributes:
        native_size: side of the images of the set.
    """

    native_size: ClassVar[int]
    movable: ClassVar[frozenset[str]] = ImageData.movable | {"test_crops"}

    def __init__(
        self,
        views: Sequence[View] | None = None,
        batch_size: int = 128,
        padding: int = 4,
        sampling: Sampling | None = None,
        image_size: int | None = None,
        preprocessing: Preprocessing | None = None,
        test_crops: int = 1,
        class_names: AnyPath | None = None,
    ) -> None:
        super().__init__(views, batch_size, 0, sampling, preprocessing, test_crops, class_names)
        self._crop = PadCrop(padding)
        self._image_size = self.native_size if image_size is None else image_size
        if self._image_size < 1:
            raise InputError(f"image_size must be at least 1, got {image_size}")

    @property
    def image_size(self) -> int:
        """Side of the images that the network sees, in pixels."""
        return self._image_size

    def fit_size(self, images: Tensor) -> Tensor:
        """Views (N, 3, H, W), uint8, at the size that the network sees."""
        side = self.image_size
        if images.shape[-1] == side:
            return images
        return F.interpolate(images, (side, side), mode=self.resize.interpolation, antialias=True)

    def evaluation_views(self, images: Tensor, testing: bool) -> list[Tensor]:
        """The image, or in a test as many crops of it as are wanted."""
        if testing and self.test_crops >= 5:
            return list(frame_crops(images[:, 0], self.image_size, self.resize, self.test_crops))
        views = super().evaluation_views(images, testing)
        return mirrored(views, self.test_crops) if testing else views

    def crop(self, images: Tensor, view: int, generator: torch.Generator) -> Tensor:
        """Cut every view from the one image, each in its own way and with its own draw."""
        crop, whole, side = self.views[view].crop or self._crop, images[:, 0], self.image_size
        standard = side == self.native_size and self.resize.interpolation == "bilinear"
        if standard or not isinstance(crop, ResizedCrop) or crop.size is not None:
            return crop(whole, generator)
        boxes = crop.draw(len(whole), whole.shape[2], whole.shape[3], generator)
        return resampled_crop(whole, boxes, side, side, self.resize.interpolation)

    def make_loader(self, images: Dataset[object], batches: EpochBatches) -> Loader:
        """Make a loader that fetches whole batches, on the device of the trainer."""
        return whole_batches(images, batches, self.trainer)

    def fingerprint(self, name: str) -> str:
        """The SHA-256 of the images of a split."""
        split = self.split(name)
        assert split is not None
        assert isinstance(split.images, TensorImages)
        return hashlib.sha256(split.images.images.cpu().numpy().tobytes()).hexdigest()

    def picture(self, split: str, row: int) -> Image.Image:
        """An image of the tensor."""
        part = self.split(split)
        assert part is not None
        assert isinstance(part.images, TensorImages)
        return Image.fromarray(part.images.images[row].permute(1, 2, 0).cpu().numpy())
