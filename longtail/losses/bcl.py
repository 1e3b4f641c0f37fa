"""Balanced contrastive loss."""

import torch
from torch import Tensor

from longtail.losses.base import Loss, check_targets, full_precision


class BalancedContrastiveLoss(Loss):
    r"""Supervised contrastive loss in which every class weighs the same, present in the batch or not.

    Anchors are the M = N V embeddings; keys are the anchors and the C class prototypes. For an anchor i of class y with
    positives P_i, the keys of class y other than i (its prototype is always among them):

    .. math::
        L_i = -\frac{1}{|P_i|} \sum_{p \in P_i} \Big[ \frac{z_i \cdot z_p}{\tau}
              - \log \sum_{j \neq i} \frac{\exp(z_i \cdot z_j / \tau)}{m_j} \Big]

    m_j is the number of keys of j's class, not counting i. Dividing by it is the class-averaging, the prototypes are
    the class-complement of the paper.

    Shapes: embeddings (N, V, D), L2-normalised; targets (N,); prototypes (C, D), L2-normalised. Returns a scalar, or
    (N V,) with ``reduction="none"``, views of an image side by side. An empty batch gives 0.

    Args:
        temperature: tau, positive.
        reduction: "mean" or "none".

    Raises:
        ValueError: on a temperature that is not positive, a wrong shape, or a label outside 0..C-1.

    Source: Zhu et al., Balanced contrastive learning for long-tailed visual recognition, CVPR 2022, equations 5 to 7.
    """

    def __init__(self, temperature: float = 0.1, reduction: str = "mean") -> None:
        super().__init__(reduction)
        if temperature <= 0:
            raise ValueError(f"temperature must be positive, got {temperature}")
        self.temperature = temperature

    def forward(self, embeddings: Tensor, targets: Tensor, prototypes: Tensor) -> Tensor:
        if embeddings.ndim != 3:
            raise ValueError(f"embeddings must have shape (N, V, D), got {tuple(embeddings.shape)}")
        n, views, dim = embeddings.shape
        if prototypes.ndim != 2 or prototypes.shape[1] != dim:
            raise ValueError(f"prototypes must have shape (C, {dim}), got {tuple(prototypes.shape)}")
        check_targets(targets, n, len(prototypes))

        anchors = embeddings.flatten(0, 1)
        classes = targets.repeat_interleave(views)  # (M,)
        scaled = anchors / self.temperature
        to_anchors = full_precision(scaled @ anchors.T)  # (M, M)
        to_prototypes = full_precision(scaled @ prototypes.T)  # (M, C)
        own = classes[:, None]  # (M, 1), the column of the own prototype

        ones = torch.ones_like(classes, dtype=to_anchors.dtype)
        in_batch = ones.new_zeros(len(prototypes)).index_add(0, classes, ones)  # (C,) embeddings of each class
        positives = in_batch[classes]  # |P_i|: the class's embeddings less i, plus its prototype
        log_keys = torch.log1p(in_batch)  # log m_j where j is of another class
        not_self = (torch.log1p(positives) - positives.log())[:, None]  # m_j is one less in the own class

        same = classes == own
        diagonal = torch.eye(len(anchors), dtype=torch.bool, device=anchors.device)
        pull = (to_anchors * (same & ~diagonal)).sum(1) + to_prototypes.gather(1, own).squeeze(1)
        weighted = torch.cat(
            [
                (to_anchors - log_keys[classes] + not_self * same).masked_fill(diagonal, -torch.inf),
                (to_prototypes - log_keys).scatter_add(1, own, not_self),
            ],
            dim=1,
        )
        return self.reduce(weighted.logsumexp(1) - pull / positives)
