"""Supervised contrastive loss."""

import torch
from torch import Tensor

from longtail.checks import check_shape, check_targets, check_temperature
from longtail.losses.base import Loss, full_precision
from longtail.losses.contrast import contrast


class SupervisedContrastiveLoss(Loss):
    r"""Supervised contrastive loss: an embedding is pulled to the others of its class.

    For an anchor i among the M = N V embeddings, with positives P_i, the other embeddings of its class:

    .. math::
        L_i = -\frac{1}{|P_i|} \sum_{p \in P_i}
              \left[ \frac{z_i \cdot z_p}{\tau} - \log \sum_{j \neq i} \exp(z_i \cdot z_j / \tau) \right]

    An anchor without a positive gives 0 and counts in the mean.

    Shapes: embeddings (N, V, D), L2-normalised; targets (N,), any labels from 0 on. Returns a scalar, or (N V,) with
    ``reduction="none"``, views of an image side by side. An empty batch gives 0. Computed in float32 under autocast.

    Args:
        temperature: tau, positive.
        reduction: "mean" or "none".

    Raises:
        ValueError: on a temperature that is not positive, a wrong shape, or a negative label.

    Source: Khosla et al., Supervised contrastive learning, NeurIPS 2020, equation 2 (without the constant factor
    of the released code, the temperature over a base temperature).
    """

    def __init__(self, temperature: float = 0.1, reduction: str = "mean") -> None:
        super().__init__(reduction)
        check_temperature(temperature)
        self.temperature = temperature

    def forward(self, embeddings: Tensor, targets: Tensor) -> Tensor:
        embeddings = check_shape("embeddings", embeddings, "N", "V", "D")
        n, views, _ = embeddings.shape
        targets = check_targets(targets, n, device=embeddings.device)
        anchors = full_precision(embeddings).flatten(0, 1)
        classes, instances = groups(targets.repeat_interleave(views))  # (M,) each
        weights = torch.zeros(2, len(anchors), dtype=anchors.dtype, device=anchors.device)
        positives = (instances - 1).to(anchors.dtype)
        rows = contrast(anchors, anchors[:0], classes, weights[0], weights[1], positives, self.temperature)
        return self.reduce(rows)


def groups(labels: Tensor) -> tuple[Tensor, Tensor]:
    """For each label (M,) a number below M that only equal labels share, and how many of these there are; int64."""
    ordered = labels.sort().values
    first = torch.searchsorted(ordered, labels)
    return first, torch.searchsorted(ordered, labels, right=True) - first
