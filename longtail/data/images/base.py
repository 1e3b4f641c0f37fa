"""What the data modules for whole images share: views and normalisation."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from longtail.augment.base import Operator, View
from longtail.augment.normalise import IMAGENET_MEAN, IMAGENET_STD, Normalise
from longtail.augment.views import PlainView
from longtail.data.base import LongTailData, Splits
from longtail.data.sampling import Sampling
from longtail.errors import InputError
from longtail.messages import some


class ImageData(LongTailData):
    """Base of the data modules whose images have one label each.

    Batches are dicts: "views", one float batch (N, 3, H, W) for every entry of ``views`` (outside training unaugmented,
    and one unless the set has more), "targets" (N,) and "rows" (N,), the rows in the split.

    Args:
        views: what augments each view of a training image; as many as the method wants.
        batch_size: images of a batch in one process.
        num_workers: processes that decode images.
        sampling: how training images are drawn; each once an epoch where left out.
    """

    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def __init__(
        self,
        views: Sequence[View] | None = None,
        batch_size: int = 64,
        num_workers: int = 0,
        sampling: Sampling | None = None,
    ) -> None:
        super().__init__(batch_size, num_workers, sampling)
        self.views: list[View] = [PlainView()] if views is None else list(views)
        self._normalise = Normalise(self.mean, self.std)

    @property
    @abstractmethod
    def image_size(self) -> int:
        """Side of the images that the network sees, in pixels."""

    @property
    def input(self) -> dict[str, Any]:
        """Side of the images in pixels, mean and deviation of the channels."""
        return {"size": self.image_size, "mean": list(self.mean), "std": list(self.std)}

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

    def on_after_batch_transfer(self, batch: dict[str, Any], dataloader_idx: int) -> dict[str, Any]:
        """Draw the views of a batch on its device."""
        images: Tensor = batch.pop("images")  # uint8 (N, V, 3, H, W)
        generator = torch.Generator().manual_seed(batch.pop("seed"))
        if self.trainer is not None and self.trainer.training:
            crops = (self.crop(images, v, generator) for v in range(len(self.views)))
            views = [self.augment(view, crop, generator) for view, crop in zip(self.views, crops, strict=True)]
        else:
            views = list(images.unbind(1))
        batch["views"] = [self._normalise(view) for view in views]
        return batch
