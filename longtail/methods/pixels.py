"""Semantic segmentation: a network whose pixels are classified, by any loss of logits."""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from longtail.checks import as_tensor, check_outputs
from longtail.counts import Counts, counts_tensor
from longtail.errors import InputError
from longtail.losses.base import Loss
from longtail.losses.cross_entropy import CrossEntropyLoss
from longtail.losses.pixels import PixelLoss
from longtail.models.segmenters import SMP, PixelBackbone, Size

OVERLAP = 1 / 3  # of neighbouring windows
AT_ONCE = 16  # classes whose logits are enlarged together: those of all take gigabytes for a large photo


class PixelMethod(nn.Module, ABC):
    """Base of the methods of segmentation: a backbone, a classifier of its features, and a loss of the logits.

    Args:
        class_counts: training pixels of each class (C,); 0 is taken for 1.
        backbone: images to maps of features.
        loss: of the logits of pixels, or what makes it from the class counts; not one of sigmoids.
        classifier: called with (features, classes) to make the classifier of pixels; ``torch.nn.Linear`` or
            ``longtail.models.CosineClassifier``.
        ignore_index: target of a pixel without a label.
        window: side in pixels of the square windows, a third over each other, in which images are segmented outside
            training; the logits are averaged where they overlap. Whole images where left out.

    Attributes:
        num_classes: C.
    """

    def __init__(
        self,
        class_counts: Counts,
        backbone: PixelBackbone | None = None,
        loss: Loss | Callable[[Counts], Loss] = CrossEntropyLoss,
        classifier: Callable[[int, int], nn.Module] = nn.Linear,
        ignore_index: int = 255,
        window: int | None = None,
    ) -> None:
        super().__init__()
        if window is not None and window < 1:
            raise InputError(f"window is a side in pixels, at least 1, got {window}")
        counts = as_tensor("class_counts", class_counts, "C").clamp(min=1)
        self.num_classes = len(counts_tensor(counts))
        self.backbone = backbone or SMP()
        self.classifier = classifier(self.backbone.num_features, self.num_classes)
        try:
            self.loss = PixelLoss(counts, loss, ignore_index)
        except ValueError as error:
            raise InputError(f"--model.method.loss: {error}") from error
        self.ignore_index, self.window = ignore_index, window

    @abstractmethod
    def forward(self, images: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Compute the training loss.

        Args:
            images: (N, 3, H, W).
            targets: labels (N, H, W), int64.

        Returns:
            "loss", a scalar to minimise, and its parts by name, detached.
        """

    def classify(self, features: Tensor, size: Size) -> Tensor:
        """Logits (N, C, H, W) from features (N, F, h, w) of images of the size (H, W)."""
        rows = features.movedim(1, -1)
        logits = self.classifier(rows.reshape(-1, rows.shape[-1])).view(*rows.shape[:-1], self.num_classes)
        return self.backbone.enlarge(logits.movedim(-1, 1), size)

    def filled(self, targets: Tensor) -> Tensor:
        """Targets of images as the backbone fills them up: what is added has no label.

        In training the logits keep that size, as cutting them to that of the images would copy them.
        """
        height, width = self.backbone.filled((targets.shape[1], targets.shape[2]))
        added = (0, width - targets.shape[2], 0, height - targets.shape[1])
        return F.pad(targets, added, value=self.ignore_index)

    def segment(self, images: Tensor) -> Tensor:
        """Logits (N, C, H, W) of images (N, 3, H, W), as they are used to predict."""
        height, width = images.shape[2:]
        if self.window is None or max(height, width) <= self.window:
            return self.classify(self.backbone(images), (height, width))
        total = images.new_zeros(len(images), self.num_classes, height, width, dtype=torch.float32)
        times = images.new_zeros(height, width)
        for rows in window_slices(height, self.window):
            for columns in window_slices(width, self.window):
                part = images[..., rows, columns]
                logits = self.classify(self.backbone(part), (part.shape[2], part.shape[3]))
                total[..., rows, columns] += logits
                times[rows, columns] += 1
        return total / times


class PixelPlain(PixelMethod):
    """A network of pixels trained with one loss of logits: cross-entropy, logit adjustment and their kind.

    Args:
        class_counts: training pixels of each class (C,); 0 is taken for 1.
        options: those of `PixelMethod`.
    """

    def forward(self, images: Tensor, targets: Tensor) -> dict[str, Tensor]:
        targets = self.filled(targets)
        size = (targets.shape[1], targets.shape[2])
        return {"loss": self.loss(self.classify(self.backbone(images), size), targets)}


def window_slices(length: int, window: int) -> list[slice]:
    """Windows that cover a side, evenly spread, each over at least a third of its neighbour; one if it is short.

    >>> window_slices(10, 6)
    [slice(0, 6, None), slice(4, 10, None)]
    """
    left = max(0, length - window)
    steps = -(-left // max(1, int(window * (1 - OVERLAP))))
    return [slice(round(k * left / max(steps, 1)), round(k * left / max(steps, 1)) + window) for k in range(steps + 1)]


def labels_at(logits: Tensor, size: Size) -> Tensor:
    """The class of highest logit (N, H, W) of logits (N, C, h, w) enlarged to the size (H, W), bilinear.

    Raises:
        InputError: if the highest logit of a pixel is NaN or infinite.
    """
    at_once = logits.shape[1] if logits.shape[2:] == size else AT_ONCE
    highest, labels = _highest(logits[:, :at_once], size)
    for first in range(at_once, logits.shape[1], AT_ONCE):
        values, indices = _highest(logits[:, first : first + AT_ONCE], size)
        labels = torch.where(values > highest, indices + first, labels)
        highest = torch.maximum(values, highest)
    check_outputs(highest, "pixels of the network's outputs", dim=None)
    return labels


def _highest(logits: Tensor, size: Size) -> tuple[Tensor, Tensor]:
    if logits.shape[2:] == size:
        values, indices = logits.max(1)
        return values, indices
    values, indices = F.interpolate(logits.float(), size, mode="bilinear", align_corners=False).max(1)
    return values, indices
