"""Plain softmax cross-entropy."""

from torch import Tensor
from torch.nn import functional as F

from longtail.losses.base import Loss, check_logits, full_precision


class CrossEntropyLoss(Loss):
    """Softmax cross-entropy, L_i = -log softmax(logits_i)[y_i].

    Shapes: logits (M, C), targets (M,); returns a scalar, or (M,) with ``reduction="none"``. An empty batch gives 0.
    Computed in float32 under autocast.

    Raises:
        ValueError: on a wrong shape or a label outside 0..C-1.
    """

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        check_logits(logits, targets)
        return self.reduce(F.cross_entropy(full_precision(logits), targets, reduction="none"))
