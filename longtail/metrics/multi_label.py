"""Figures of classifiers whose images have several labels or none."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from longtail.checks import Numbers, check_label_table, check_shape, undefined_outputs
from longtail.counts import Counts
from longtail.errors import InputError
from longtail.metrics.shots import shot_accuracy

SCALARS = ("mean_ap", "macro_f1", "mean_ap_many", "mean_ap_medium", "mean_ap_few")


def average_precision(scores: Numbers, labels: Numbers) -> Tensor:
    r"""Average precision of each class, :math:`\sum_k (R_k - R_{k-1}) P_k`, float64 (C,).

    P and R are precision and recall of the images whose score is at least the k-th largest one; equal scores are one
    step. NaN for a class without a positive.

    Args:
        scores: (M, C), larger for what is more likely; any increasing function of them gives the same.
        labels: (M, C), 0 or 1 of any type.

    Raises:
        ValueError: on a wrong shape, or a label that is neither 0 nor 1.

    Source: as ``sklearn.metrics.average_precision_score``, class by class.
    """
    values, truth = _checked(scores, labels)
    steps, hits, ranks = _ranked(values, truth)
    positives = truth.sum(0, dtype=torch.float64)
    # what a step adds to the recall: its hits since the step before
    before = torch.where(steps, hits, 0).cummax(0).values.roll(1, 0)
    if len(before):
        before[0] = 0
    gains = torch.where(steps, (hits / positives - before / positives) * (hits / ranks), 0)
    return gains.sum(0).where(positives > 0, torch.nan)


def best_thresholds(scores: Numbers, labels: Numbers) -> Tensor:
    """The threshold of each class, float64 (C,), from which on an image is said to have it, for the largest F1.

    It lies halfway between the last score that is taken and the first that is not, or on the last of all. Of equally
    good ones the highest is taken. NaN for a class without a positive.

    Args:
        scores: (M, C), larger for what is more likely.
        labels: (M, C), 0 or 1 of any type.

    Raises:
        ValueError: on a wrong shape, or a label that is neither 0 nor 1.
    """
    values, truth = _checked(scores, labels)
    positives = truth.sum(0, dtype=torch.float64)
    if not len(values):
        return torch.full_like(positives, torch.nan)
    steps, hits, ranks = _ranked(values, truth)
    f1 = torch.where(steps, 2 * hits / (ranks + positives), -1)
    ranked = values.sort(0, descending=True).values
    best = f1.argmax(0, keepdim=True)
    following = ranked.gather(0, (best + 1).clamp(max=len(ranked) - 1))
    halfway = (ranked.gather(0, best) / 2 + following / 2)[0]
    return halfway.where(positives > 0, torch.nan)


def _checked(scores: Numbers, labels: Numbers) -> tuple[Tensor, Tensor]:
    values = check_shape("scores", scores, "M", "C")
    return values.double(), check_label_table(labels, values.shape, values.device).bool()


def _ranked(values: Tensor, truth: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """From the largest score of each class down: where a step ends (M, C), and the positives and all images so far."""
    ranked, order = torch.sort(values, dim=0, descending=True, stable=True)
    hits = truth.gather(0, order).cumsum(0).double()
    ranks = torch.arange(1, len(values) + 1, dtype=torch.float64, device=values.device)[:, None]
    ends = torch.ones_like(truth)
    ends[:-1] = ranked[:-1] != ranked[1:]
    return ends, hits, ranks


class LabelScores(Metric):
    """The logits and labels of all images, which are ranked class by class; gathered over processes.

    Shapes: ``update`` takes logits (M, C) and labels (M, C); ``compute`` returns both for all images, in float32 and
    bool.

    Args:
        num_classes: C.

    Raises:
        InputError: in ``compute``, if a logit was NaN or infinite: it ranks nothing.
    """

    full_state_update = False
    logits: list[Tensor]
    labels: list[Tensor]

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.add_state("logits", [], dist_reduce_fx="cat")
        self.add_state("labels", [], dist_reduce_fx="cat")

    def update(self, logits: Numbers, labels: Numbers) -> None:
        scores = check_shape("logits", logits, "M", self.num_classes)
        self.logits.append(scores.float())
        self.labels.append(check_label_table(labels, scores.shape, scores.device).bool())

    def compute(self) -> tuple[Tensor, Tensor]:
        logits, labels = dim_zero_cat(self.logits), dim_zero_cat(self.labels)
        if undefined := int((~logits.isfinite()).any(1).sum()):
            raise InputError(undefined_outputs(f"{undefined} of {len(logits)} rows of logits"))
        return logits, labels


def label_figures(logits: Numbers, labels: Numbers, thresholds: Numbers) -> dict[str, Tensor]:
    r"""Figures of each class, tensors (C,).

    - "images": images that have the class.
    - "ap": see `average_precision`; NaN for a class without an image.
    - "precision", "recall", and "f1", their harmonic mean :math:`2 t / (2 t + f_+ + f_-)`, of the images whose logit is
      at least the threshold; NaN where nothing is there to divide by.

    Args:
        logits: (M, C).
        labels: (M, C), 0 or 1 of any type.
        thresholds: (C,).

    Raises:
        ValueError: on a wrong shape, or a label that is neither 0 nor 1.
    """
    values, truth = _checked(logits, labels)
    limits = check_shape("thresholds", thresholds, values.shape[1], device=values.device)
    said = values >= limits
    images, answers = truth.sum(0), said.sum(0)
    hits = (said & truth).sum(0)
    return {
        "images": images,
        "ap": average_precision(values, truth),
        "f1": 2 * hits / (images + answers),
        "precision": hits / answers,
        "recall": hits / images,
    }


def label_scalars(
    per_class: Mapping[str, Tensor], class_counts: Counts, many: int = 100, few: int = 20
) -> dict[str, Tensor]:
    """What an evaluation gives as a whole: the mean of "ap" over all classes and over each group, and that of "f1".

    Args:
        per_class: as of ``label_figures``.
        class_counts: training images of each class (C,).
        many: classes with more training images are many-shot.
        few: classes with fewer training images are few-shot.
    """
    groups = shot_accuracy(per_class["ap"], class_counts, many, few)
    means = {"mean_ap": per_class["ap"].nanmean(), "macro_f1": per_class["f1"].nanmean()}
    return means | {f"mean_ap_{group}": value for group, value in groups.items()}
