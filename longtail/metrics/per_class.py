"""Accuracy per class and what is derived from it."""

import torch
from torch import Tensor
from torchmetrics import Metric

from longtail.checks import Numbers, as_tensor, check_logits, undefined_outputs
from longtail.errors import InputError


class PerClassAccuracy(Metric):
    """Counts per class: images, top-1 and top-5 hits, predictions. Sums over batches and over processes.

    Shapes: ``update`` takes logits (M, C) and targets (M,). ``compute`` returns a dict of tensors: "images",
    "accuracy" (top-1 recall, NaN for a class without images), "precision" (NaN for a class never predicted) and "f1"
    (the harmonic mean of the two, 2 hits / (images + predictions), NaN for a class with neither), all (C,), and the
    scalars "top1" and "top5" over all images (top-5 of fewer than five classes is 1), and "cohen_kappa", see
    ``cohen_kappa``.

    Raises:
        InputError: in ``compute``, if the largest logit of a row was NaN or infinite: such a row predicts no class. It
            is said there, as ``update`` would have to wait for an accelerator.
    """

    full_state_update = False
    images: Tensor
    hits: Tensor
    hits5: Tensor
    predicted: Tensor
    undefined: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        for state in ("images", "hits", "hits5", "predicted"):
            self.add_state(state, torch.zeros(num_classes, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("undefined", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, logits: Numbers, targets: Numbers) -> None:
        logits, targets = check_logits(logits, targets, len(self.images))
        self.undefined += (~logits.amax(1).isfinite()).sum()
        top = logits.topk(min(5, logits.shape[1])).indices
        correct = top == targets[:, None]
        self.images.index_add_(0, targets, torch.ones_like(targets))
        self.hits.index_add_(0, targets, correct[:, 0].long())
        self.hits5.index_add_(0, targets, correct.any(1).long())
        self.predicted.index_add_(0, top[:, 0], torch.ones_like(targets))

    def compute(self) -> dict[str, Tensor]:
        total = self.images.sum()
        if undefined := int(self.undefined):
            raise InputError(undefined_outputs(f"{undefined} of {int(total)} rows of logits"))
        return {
            "images": self.images.clone(),  # the state goes on counting
            "accuracy": self.hits / self.images,
            "precision": self.hits / self.predicted,
            "f1": 2 * self.hits / (self.images + self.predicted),
            "top1": self.hits.sum() / total,
            "top5": self.hits5.sum() / total,
            "cohen_kappa": cohen_kappa(self.images, self.hits, self.predicted),
        }


def geometric_mean(accuracy: Numbers, floor: float = 1e-3) -> Tensor:
    """Geometric mean of the per-class accuracies (C,), each raised to at least ``floor``; NaN entries are left out.

    Without the floor one class at zero would make the mean zero, however good the others are.
    """
    accuracy = as_tensor("accuracy", accuracy, "C")
    return accuracy[~accuracy.isnan()].clamp_min(floor).log().mean().exp()


def harmonic_mean(accuracy: Numbers, floor: float = 1e-3) -> Tensor:
    """Harmonic mean of the per-class accuracies (C,), each raised to at least ``floor``; NaN entries are left out."""
    accuracy = as_tensor("accuracy", accuracy, "C")
    return 1 / accuracy[~accuracy.isnan()].clamp_min(floor).reciprocal().mean()


def mean_precision(precision: Numbers, images: Numbers) -> Tensor:
    """Mean over the classes that have images of the precision per class (C,), 0 for one that is never predicted.

    With the mean recall, which is the balanced accuracy, it is what papers on EGTEA report.
    """
    precision = as_tensor("precision", precision, "C")
    images = as_tensor("images", images, "C", device=precision.device)
    return precision.nan_to_num()[images > 0].mean()


def cohen_kappa(images: Numbers, hits: Numbers, predicted: Numbers) -> Tensor:
    r"""Cohen's kappa, :math:`(p_o - p_e) / (1 - p_e)`: how far the agreement of predictions and labels is above that of
    chance. 1 for no mistake, 0 for predictions that know nothing of the image, below 0 for worse ones.

    :math:`p_o = \sum_c h_c / M` is the accuracy, :math:`p_e = \sum_c n_c m_c / M^2` that of predictions drawn with the
    frequencies :math:`m_c / M` at random. Counts are all it takes, and it is computed of whole numbers.

    Args:
        images: n (C,), of each class; M together.
        hits: h (C,), those of them that were found.
        predicted: m (C,), how often each class was predicted.

    Returns:
        A scalar; NaN without images, and where all are of one class and predicted as it: chance alone would do as well.

    Source: Cohen, A coefficient of agreement for nominal scales, Educational and Psychological Measurement 1960.
    """
    images = as_tensor("images", images, "C")
    hits = as_tensor("hits", hits, "C", device=images.device)
    predicted = as_tensor("predicted", predicted, "C", device=images.device)
    total, by_chance = images.sum(), (images * predicted).sum()  # by_chance: times M, as is what it is taken from
    return (total * hits.sum() - by_chance) / (total**2 - by_chance)
