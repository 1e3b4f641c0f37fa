"""Class instance balanced loss."""

from collections.abc import Callable

import torch
from torch import Tensor

from longtail.checks import check_logits, check_number, check_shape
from longtail.losses.base import Loss
from longtail.losses.cross_entropy import CrossEntropyLoss
from longtail.losses.supcon import SupervisedContrastiveLoss, groups


def instance_share(instances: Tensor, trade_off: float) -> Tensor:
    r"""Share of the contrastive loss, :math:`a K / (1 + a K)`: none for a sample alone in its class, more for common
    classes and for a larger trade-off a."""
    return 1 / (1 + 1 / (trade_off * instances))  # 0 and infinity have their limits


class ClassInstanceBalancedLoss(Loss):
    r"""Cross-entropy and supervised contrastive loss, balanced for each sample by the instances of its class.

    .. math::
        L_i = (1 - s_i) \, \mathrm{CE}_i + s_i \, \mathrm{SupCon}_i, \qquad s_i = \frac{a K_i}{1 + a K_i}

    K_i is the number of positives of sample i in the batch: the embeddings of its class, other than itself. a is the
    head-to-tail dial: 0 is plain cross-entropy, and the larger it is, the more accuracy moves from head to tail. The
    paper states that common classes get more of the contrastive loss; the formula of the share is our reading, so it
    can be replaced.

    Shapes: logits (N, C), embeddings (N, V, D), L2-normalised, targets (N,). Returns a scalar, or (N,) with
    ``reduction="none"``; the contrastive loss of an image is the mean over its V embeddings. An empty batch gives 0.
    Computed in float32 under autocast.

    Args:
        trade_off: a, not negative.
        temperature: of the contrastive loss, positive.
        share: the share s as a function of K (N,) and a.
        logit_loss: a loss of logits in place of the cross-entropy.
        reduction: "mean" or "none".

    Raises:
        ValueError: on a negative trade-off, a temperature that is not positive, a wrong shape, or a label outside
            0..C-1.

    Source: Lavoie and Waslander, Class instance balanced learning for long-tailed classification, CRV 2023.
    """

    def __init__(
        self,
        trade_off: float = 1.0,
        temperature: float = 0.1,
        share: Callable[[Tensor, float], Tensor] = instance_share,
        logit_loss: Loss | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction)
        check_number("trade_off", trade_off, low=0)
        self.trade_off = trade_off
        self.share = share
        self.logit_loss = (logit_loss or CrossEntropyLoss()).with_reduction("none")
        self.contrastive = SupervisedContrastiveLoss(temperature, reduction="none")

    def forward(self, logits: Tensor, embeddings: Tensor, targets: Tensor) -> Tensor:
        logits, targets = check_logits(logits, targets)
        embeddings = check_shape("embeddings", embeddings, len(targets), "V", "D", device=logits.device)
        views = embeddings.shape[1]
        if views == 0:
            raise ValueError(f"embeddings must have at least one view, got {tuple(embeddings.shape)}")
        entropy = self.logit_loss(logits, targets)
        contrastive = self.contrastive(embeddings, targets).unflatten(0, (len(targets), views)).mean(1)
        _, images = groups(targets)
        instances = views * images - 1
        share = self.share(instances.to(contrastive.dtype), self.trade_off)
        return self.reduce(torch.lerp(entropy.to(share.dtype), contrastive, share))
