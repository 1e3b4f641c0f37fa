"""Balanced contrastive loss."""

import torch
from torch import Tensor

from longtail.checks import check_shape, check_targets, check_temperature
from longtail.losses.base import Loss, full_precision
from longtail.losses.contrast import contrast


class BalancedContrastiveLoss(Loss):
    r"""Supervised contrastive loss in which every class weighs the same, present in the batch or not.

    Anchors are the M = N V embeddings; keys are the anchors and the C class prototypes. For an anchor i of class y with
    positives P_i, the keys of class y other than i (its prototype is always among them):

    .. math::
        L_i = -\frac{1}{|P_i|} \sum_{p \in P_i} \left[ \frac{z_i \cdot z_p}{\tau}
              - \log \sum_{j \neq i} \frac{\exp(z_i \cdot z_j / \tau)}{m_j} \right]

    m_j is the number of keys of j's class, not counting i. Dividing by it is the class-averaging, the prototypes are
    the class-complement of the paper.

    Shapes: embeddings (N, V, D), L2-normalised; targets (N,); prototypes (C, D), L2-normalised. Returns a scalar, or
    (N V,) with ``reduction="none"``, views of an image side by side. An empty batch gives 0. Computed in float32 under
    autocast.

    Args:
        temperature: tau, positive.
        reduction: "mean" or "none".

    Raises:
        ValueError: on a temperature that is not positive, a wrong shape, or a label outside 0..C-1.

    Source: Zhu et al., Balanced contrastive learning for long-tailed visual recognition, CVPR 2022, equations 5 to 7.
    """

    def __init__(self, temperature: float = 0.1, reduction: str = "mean") -> None:
        super().__init__(reduction)
        check_temperature(temperature)
        self.temperature = temperature

    def forward(self, embeddings: Tensor, targets: Tensor, prototypes: Tensor) -> Tensor:
        embeddings = check_shape("embeddings", embeddings, "N", "V", "D")
        n, views, dim = embeddings.shape
        prototypes = check_shape("prototypes", prototypes, "C", dim, device=embeddings.device)
        targets = check_targets(targets, n, len(prototypes), device=embeddings.device)
        dtype = torch.promote_types(full_precision(embeddings).dtype, prototypes.dtype)
        anchors = embeddings.to(dtype).flatten(0, 1)
        classes = targets.repeat_interleave(views)  # (M,)

        ones = torch.ones_like(classes, dtype=dtype)
        in_batch = ones.new_zeros(len(prototypes)).index_add(0, classes, ones)  # (C,) embeddings of each class
        positives = in_batch[classes]  # |P_i|: the class's embeddings less i, plus its prototype
        log_keys = torch.log1p(in_batch)  # log m_j where j is of another class; in the own class i is not counted
        weights = -torch.cat([log_keys[classes], log_keys])
        rows = contrast(anchors, prototypes.to(dtype), classes, weights, -positives.log(), positives, self.temperature)
        return self.reduce(rows)
