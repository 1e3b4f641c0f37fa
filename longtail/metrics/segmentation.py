"""Figures of a segmentation, from how many pixels of each class got which."""

import torch
from torch import Tensor
from torchmetrics import Metric

from longtail.checks import Numbers, as_tensor, check_integers
from longtail.counts import Counts
from longtail.metrics.shots import shot_accuracy

SCALARS = (
    "miou",
    "mean_accuracy",
    "frequency_weighted_iou",
    "pixel_accuracy",
    "iou_many",
    "iou_medium",
    "iou_few",
    "worst_class",
)


class PixelConfusion(Metric):
    """Pixels by their true and their predicted class. Sums over batches and over processes, in whole numbers.

    With n_tp pixels of class t that got class p:

    - IoU of class c: n_cc / (sum_p n_cp + sum_t n_tc - n_cc); NaN for a class that is neither there nor predicted
    - accuracy of class c: n_cc / sum_p n_cp; NaN for a class that is not there
    - "miou", "mean_accuracy": their means over the classes where they are defined
    - "frequency_weighted_iou": the mean of the IoU weighted by the pixels of the classes
    - "pixel_accuracy": the part of all labelled pixels that got their class
    - "iou_many", "iou_medium", "iou_few": the mean IoU of groups of classes by their training pixels
    - "worst_class": the lowest IoU

    Args:
        train_counts: training pixels of each class (C,).
        many: classes with more training pixels are many-shot.
        few: classes with fewer training pixels are few-shot.

    Source: Long et al., Fully convolutional networks for semantic segmentation, CVPR 2015, section 5.
    """

    full_state_update = False
    confusion: Tensor
    images: Tensor

    def __init__(self, train_counts: Counts, many: int, few: int) -> None:
        super().__init__()
        self.train_counts = as_tensor("train_counts", train_counts, "C")
        self.many, self.few = many, few
        classes = len(self.train_counts)
        self.add_state("confusion", torch.zeros(classes, classes, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("images", torch.zeros(classes, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, predicted: Numbers, targets: Numbers) -> None:
        """Add an image: classes (H, W), and labels (H, W), of which those outside 0..C-1 do not count."""
        targets = check_integers("targets", targets, "H", "W", device=self.confusion.device)
        predicted = check_integers("predicted", predicted, *targets.shape, device=self.confusion.device)
        classes = len(self.confusion)
        valid = (targets >= 0) & (targets < classes)
        pairs = targets[valid] * classes + predicted[valid]
        confusion = torch.bincount(pairs, minlength=classes**2).view(classes, classes)
        self.confusion += confusion
        self.images += confusion.sum(1) > 0

    def compute(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the scalars by name, and the figures per class (C,): "images", "pixels", "iou" and "accuracy"."""
        pixels, hits = self.confusion.sum(1), self.confusion.diagonal()
        iou = hits.double() / (pixels + self.confusion.sum(0) - hits)
        accuracy = hits.double() / pixels
        groups = shot_accuracy(iou, self.train_counts, self.many, self.few)
        scalars = {
            "miou": iou.nanmean(),
            "mean_accuracy": accuracy.nanmean(),
            "frequency_weighted_iou": (iou.nan_to_num() * pixels).sum() / pixels.sum(),
            "pixel_accuracy": hits.sum().double() / pixels.sum(),
            **{f"iou_{group}": value for group, value in groups.items()},
            "worst_class": iou.nanquantile(0.0),
        }
        return scalars, {"images": self.images, "pixels": pixels, "iou": iou, "accuracy": accuracy}
