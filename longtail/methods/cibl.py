"""Class instance balanced learning."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from longtail.counts import Counts
from longtail.distributed import gather
from longtail.losses.base import Loss, build_loss
from longtail.losses.cibl import ClassInstanceBalancedLoss
from longtail.methods.base import OneCosine
from longtail.models.heads import ProjectionHead


class CIBL(OneCosine):
    """Class instance balanced learning: cross-entropy of view 1 and supervised contrastive loss of views 2 and 3,
    balanced for each image by the instances of its class in the batch.

    The classifier is a cosine classifier, which the paper reports to need far fewer epochs. Several processes count
    and contrast the instances of all.

    Args:
        class_counts: training images of each class (C,).
        backbone: images to features, with an attribute ``num_features``.
        trade_off: the head-to-tail dial; 0 is plain cross-entropy, a larger one moves accuracy from head to tail.
        hidden_features: hidden width of the projection head.
        embedding_features: length of an embedding.
        temperature: of the contrastive loss.
        scale: of the cosine classifier.
        logit_loss: in place of the cross-entropy, a loss of logits, or what makes it from the class counts.

    Source: Lavoie and Waslander, Class instance balanced learning for long-tailed classification, CRV 2023. The
    formula of the balance and the three views are our reading; see ``longtail.losses.ClassInstanceBalancedLoss``.
    """

    num_views = 3

    def __init__(
        self,
        class_counts: Counts,
        backbone: nn.Module,
        trade_off: float = 1.0,
        hidden_features: int = 512,
        embedding_features: int = 128,
        temperature: float = 0.1,
        scale: float = 30.0,
        logit_loss: Loss | Callable[[Counts], Loss] | None = None,
    ) -> None:
        super().__init__(class_counts, backbone, scale)
        self.projection = ProjectionHead(self.num_features, hidden_features, embedding_features)
        of_logits = None if logit_loss is None else build_loss(logit_loss, class_counts)
        self.loss = ClassInstanceBalancedLoss(trade_off, temperature, logit_loss=of_logits)

    def forward(self, views: Sequence[Tensor], targets: Tensor) -> dict[str, Tensor]:
        self.check_views(views)
        first, second, third = self.backbone(torch.cat(list(views))).chunk(3)
        logits = self.classifier(first)
        embeddings = torch.stack(self.projection(torch.cat([second, third])).chunk(2), dim=1)  # (N, 2, D)
        loss = self.loss(gather(logits), gather(embeddings), gather(targets))
        return {"loss": loss, "logits": logits.detach()}
