"""One network, one classifier, one logit loss."""

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from longtail.counts import Counts
from longtail.losses.base import Loss, build_loss
from longtail.methods.base import OneNetwork


class Plain(OneNetwork):
    """A classifier trained with any loss on logits: cross-entropy, logit adjustment and their kind.

    Args:
        class_counts: training images of each class (C,).
        backbone: images to features, with an attribute ``num_features``; ``longtail.models.Backbone`` or your own.
        loss: called with (logits, targets); or what makes it from the class counts, such as
            ``longtail.losses.LogitAdjustedLoss``.
        classifier: called with (features, classes) to make the classifier; ``torch.nn.Linear`` or
            ``longtail.models.CosineClassifier``.
    """

    def __init__(
        self,
        class_counts: Counts,
        backbone: nn.Module,
        loss: Loss | Callable[[Counts], Loss],
        classifier: Callable[[int, int], nn.Module] = nn.Linear,
    ) -> None:
        super().__init__(class_counts, backbone, classifier)
        self.loss = build_loss(loss, class_counts)
        self.prior_strength = self.loss.prior_strength

    @property
    def takes_soft_targets(self) -> bool:
        return self.loss.takes_soft_targets

    def forward(self, views: Sequence[Tensor], targets: Tensor) -> dict[str, Tensor]:
        self.check_views(views)
        logits = self.classify(views[0])
        return {"loss": self.loss(logits, targets), "logits": logits.detach()}
