"""Accuracy per class and what is derived from it."""

import torch
from torch import Tensor
from torchmetrics import Metric


class PerClassAccuracy(Metric):
    """Counts per class: images, top-1 and top-5 hits, predictions. Sums over batches and over processes.

    Shapes: ``update`` takes logits (M, C) and targets (M,). ``compute`` returns a dict of tensors: "images",
    "accuracy" (top-1 recall, NaN for a class without images), "precision" (NaN for a class never predicted) and "f1"
    (the harmonic mean of the two, 2 hits / (images + predictions), NaN for a class with neither), all (C,), and the
    scalars "top1" and "top5" over all images (top-5 of fewer than five classes is 1).
    """

    full_state_update = False
    images: Tensor
    hits: Tensor
    hits5: Tensor
    predicted: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        for state in ("images", "hits", "hits5", "predicted"):
            self.add_state(state, torch.zeros(num_classes, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, logits: Tensor, targets: Tensor) -> None:
        top = logits.topk(min(5, logits.shape[1])).indices
        correct = top == targets[:, None]
        self.images.index_add_(0, targets, torch.ones_like(targets))
        self.hits.index_add_(0, targets, correct[:, 0].long())
        self.hits5.index_add_(0, targets, correct.any(1).long())
        self.predicted.index_add_(0, top[:, 0], torch.ones_like(targets))

    def compute(self) -> dict[str, Tensor]:
        total = self.images.sum()
        return {
            "images": self.images.clone(),  # the state goes on counting
            "accuracy": self.hits / self.images,
            "precision": self.hits / self.predicted,
            "f1": 2 * self.hits / (self.images + self.predicted),
            "top1": self.hits.sum() / total,
            "top5": self.hits5.sum() / total,
        }


def geometric_mean(accuracy: Tensor, floor: float = 1e-3) -> Tensor:
    """Geometric mean of the per-class accuracies (C,), each raised to at least ``floor``; NaN entries are left out.

    Without the floor one class at zero would make the mean zero, however good the others are.
    """
    return accuracy[~accuracy.isnan()].clamp_min(floor).log().mean().exp()


def harmonic_mean(accuracy: Tensor, floor: float = 1e-3) -> Tensor:
    """Harmonic mean of the per-class accuracies (C,), each raised to at least ``floor``; NaN entries are left out."""
    return 1 / accuracy[~accuracy.isnan()].clamp_min(floor).reciprocal().mean()


def mean_precision(precision: Tensor, images: Tensor) -> Tensor:
    """Mean over the classes that have images of the precision per class (C,), 0 for one that is never predicted.

    With the mean recall, which is the balanced accuracy, it is what papers on EGTEA report.
    """
    return precision.nan_to_num()[images > 0].mean()
