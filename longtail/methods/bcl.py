"""Balanced contrastive learning."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from longtail.counts import Counts
from longtail.distributed import gather
from longtail.losses.base import Loss, build_loss
from longtail.losses.bcl import BalancedContrastiveLoss
from longtail.losses.logit_adjusted import LogitAdjustedLoss
from longtail.methods.base import OneCosine
from longtail.models.heads import ClassPrototypes, ProjectionHead


class BCL(OneCosine):
    """Balanced contrastive learning: L = classifier_weight * L_LA(view 1) + contrastive_weight * L_BCL(views 2, 3).

    L_LA is the logit-adjusted cross-entropy of a cosine classifier, L_BCL the balanced contrastive loss between the
    projected views and the class prototypes, which are a projection of the classifier's weight rows. Several processes
    contrast their views with those of all.

    Args:
        class_counts: training images of each class (C,).
        backbone: images to features, with an attribute ``num_features``.
        hidden_features: hidden width of the projection and the prototype head.
        embedding_features: length of an embedding.
        temperature: of the contrastive loss.
        classifier_weight: alpha of the released code.
        contrastive_weight: beta of the released code.
        scale: of the cosine classifier.
        logit_loss: of the classifier, or what makes it from the class counts.

    Source: Zhu et al., Balanced contrastive learning for long-tailed visual recognition, CVPR 2022, equation 8.
    """

    num_views = 3

    def __init__(
        self,
        class_counts: Counts,
        backbone: nn.Module,
        hidden_features: int = 512,
        embedding_features: int = 128,
        temperature: float = 0.1,
        classifier_weight: float = 2.0,
        contrastive_weight: float = 0.6,
        scale: float = 30.0,
        logit_loss: Loss | Callable[[Counts], Loss] = LogitAdjustedLoss,
    ) -> None:
        super().__init__(class_counts, backbone, scale)
        self.projection = ProjectionHead(self.num_features, hidden_features, embedding_features)
        self.prototypes = ClassPrototypes(self.num_features, hidden_features, embedding_features)
        self.logit_loss = build_loss(logit_loss, class_counts)
        self.prior_strength = self.logit_loss.prior_strength
        self.contrastive = BalancedContrastiveLoss(temperature)
        self.classifier_weight = classifier_weight
        self.contrastive_weight = contrastive_weight

    def forward(self, views: Sequence[Tensor], targets: Tensor) -> dict[str, Tensor]:
        self.check_views(views)
        first, second, third = self.backbone(torch.cat(list(views))).chunk(3)
        logits = self.classifier(first)
        embeddings = torch.stack(self.projection(torch.cat([second, third])).chunk(2), dim=1)  # (N, 2, D)
        classifier = self.logit_loss(logits, targets)
        prototypes = self.prototypes(self.classifier.weight)
        contrastive = self.contrastive(gather(embeddings), gather(targets), prototypes)
        return {
            "loss": self.classifier_weight * classifier + self.contrastive_weight * contrastive,
            "classifier": classifier.detach(),
            "contrastive": contrastive.detach(),
            "logits": logits.detach(),
        }
