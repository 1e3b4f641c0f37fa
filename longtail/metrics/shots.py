"""Accuracy of the many-, medium- and few-shot classes."""

from torch import Tensor

from longtail.checks import Numbers, as_tensor
from longtail.counts import Counts, shot_groups


def shot_accuracy(accuracy: Numbers, class_counts: Counts, many: int = 100, few: int = 20) -> dict[str, Tensor]:
    """Mean accuracy of the classes in each shot group.

    Args:
        accuracy: per class (C,); NaN marks a class without images, which is left out.
        class_counts: training images of each class (C,).
        many: classes with more training images are many-shot.
        few: classes with fewer training images are few-shot.

    Returns:
        "many", "medium" and "few"; NaN for a group without a measured class.

    Source: Liu et al., Large-scale long-tailed recognition in an open world, CVPR 2019.
    """
    accuracy = as_tensor("accuracy", accuracy, "C")
    groups = shot_groups(class_counts, many, few)
    return {name: accuracy[mask.to(accuracy.device)].nanmean() for name, mask in groups.items()}
