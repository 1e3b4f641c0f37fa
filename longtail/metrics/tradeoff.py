"""What adjusting the logits of a trained classifier does to the frequent and the rare classes."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from longtail.checks import Numbers, check_logits, check_outputs
from longtail.counts import Counts, log_prior
from longtail.metrics.shots import shot_accuracy


def adjusted_accuracy(
    logits: Numbers,
    targets: Numbers,
    class_counts: Counts,
    strengths: Sequence[float],
    many: int = 100,
    few: int = 20,
) -> dict[str, Tensor]:
    """Accuracies of predicting argmax_c(logits_c - s * log p_c), p_c = n_c / sum n, for each strength s.

    Args:
        logits: (M, C).
        targets: labels (M,).
        class_counts: training images of each class (C,).
        strengths: the values of s (S,); 0 predicts by the logits as they are, a larger one the rarer classes more.
        many: classes with more training images are many-shot.
        few: classes with fewer training images are few-shot.

    Returns:
        "many", "medium", "few", "balanced_accuracy" and "top1" over all rows, each (S,); NaN where nothing is measured.

    Raises:
        ValueError: on a wrong shape, a label outside 0..C-1, or a strength that is not finite.
        InputError: if the largest logit of a row is NaN or infinite.

    Source: Menon et al., Long-tail learning via logit adjustment, ICLR 2021, equation 9.
    """
    logits, targets = check_logits(logits, targets, len(class_counts))
    check_outputs(logits)
    if not all(map(math.isfinite, strengths)):
        raise ValueError(f"strengths must be finite, got {list(strengths)}")
    prior = log_prior(class_counts).to(logits.device)
    images = targets.bincount(minlength=len(prior))
    rows = []
    for strength in strengths:
        predicted = (logits - strength * prior).argmax(1)
        hits = targets[predicted == targets].bincount(minlength=len(prior))
        accuracy = hits / images
        groups = shot_accuracy(accuracy, class_counts, many, few)
        rows.append(torch.stack([*groups.values(), accuracy.nanmean(), hits.sum() / images.sum()]))
    columns = torch.stack(rows, 1) if rows else prior.new_zeros(5, 0)
    return dict(zip(("many", "medium", "few", "balanced_accuracy", "top1"), columns, strict=True))
