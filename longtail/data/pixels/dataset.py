"""Images with the class of each pixel as a torch data set."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypedDict

import torch
from torch import Tensor
from torch.utils.data import Dataset

from longtail.augment.pixels import PixelView, resize_mask
from longtail.files.listing import IntArray
from longtail.files.pixels.counts import PixelCounts
from longtail.files.pixels.labels import PixelLabels
from longtail.files.pixels.pairs import ByteArray, read_image


@dataclass(frozen=True)
class Part:
    """A split: paths of its N images and annotations, how these tell the classes, and the pixels of these in each."""

    images: list[str]
    annotations: list[str]
    reader: PixelLabels
    pixels: PixelCounts

    def __len__(self) -> int:
        return len(self.images)

    def subset(self, rows: IntArray) -> "Part":
        """The images ``rows`` in that order, without others."""
        images, annotations = ([paths[row] for row in rows] for paths in (self.images, self.annotations))
        return Part(images, annotations, self.reader, self.pixels.subset(rows))

    def labels(self, row: int) -> ByteArray:
        """The class of each pixel of an image (H, W)."""
        return self.reader.read(self.images[row], self.annotations[row])


class PixelSample(TypedDict):
    """One image: ``image`` uint8 (3, h, w); ``target`` uint8 (H, W), the class of each pixel or 255, in training of the
    size of the image and else of the annotation; its ``row`` in the split."""

    image: Tensor
    target: Tensor
    row: int


class PixelBatch(TypedDict):
    """N images and the class of each pixel, 255 where there is none; ``rows`` (N,).

    In training ``images`` (N, 3, H, W) and ``targets`` (N, H, W) are tensors. Outside training they are lists, of
    (3, h, w) and (H, W), as figures are measured at the size of the annotation. A loader gives uint8; on its device a
    batch has images in float32, normalised, and targets in int64.
    """

    images: Tensor | list[Tensor]
    targets: Tensor | list[Tensor]
    rows: Tensor


def stacked(samples: Sequence[PixelSample]) -> PixelBatch:
    """Training samples as a batch."""
    return {
        "images": torch.stack([sample["image"] for sample in samples]),
        "targets": torch.stack([sample["target"] for sample in samples]),
        "rows": torch.tensor([sample["row"] for sample in samples]),
    }


def for_network(batch: PixelBatch, normalise: Callable[[Tensor], Tensor]) -> PixelBatch:
    """A batch as it lies on its device, as the network takes it."""
    images, targets = batch["images"], batch["targets"]
    return {
        "images": normalise(images) if isinstance(images, Tensor) else [normalise(image[None])[0] for image in images],
        "targets": targets.long() if isinstance(targets, Tensor) else [target.long() for target in targets],
        "rows": batch["rows"],
    }


class SegmentationImages(Dataset[PixelSample]):
    """The images of a split with the class of each pixel; indexed by a pair of row and draw.

    Args:
        part: the split.
        image_size: what the shorter side of the images is resized to, in pixels, where it is longer.
        view: what augments an image and its mask, with ``draw`` as its only source of randomness; None leaves the
            image as it is read, and the mask as it lies in its file, for evaluation.
        bit_depth: how many bits of images of 16 count, where they do not say it.
    """

    def __init__(
        self, part: Part, image_size: int | None, view: PixelView | None, bit_depth: int | None = None
    ) -> None:
        self.part, self.image_size, self.view, self.bit_depth = part, image_size, view, bit_depth

    def __len__(self) -> int:
        return len(self.part)

    def path(self, row: int) -> str:
        """The file of an image."""
        return str(self.part.images[row])

    def __getitem__(self, index: tuple[int, int]) -> PixelSample:
        row, draw = index
        image = read_image(self.part.images[row], self.image_size, self.bit_depth)
        labels = torch.from_numpy(self.part.labels(row))
        if self.view is not None:
            labels = resize_mask(labels, (image.shape[1], image.shape[2]))
            image, labels = self.view(image, labels, torch.Generator().manual_seed(draw))
        return {"image": image, "target": labels, "row": row}
