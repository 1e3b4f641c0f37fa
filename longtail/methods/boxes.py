"""How a detector classifies boxes: C classes and a background, by any loss of logits."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from longtail.counts import Counts, counts_tensor
from longtail.errors import InputError
from longtail.losses.base import Loss, build_loss
from longtail.losses.cross_entropy import CrossEntropyLoss

LossMaker = Loss | Callable[[Counts], Loss]


def with_background(class_counts: Counts) -> Tensor:
    """Counts (C + 1,) with a background in front, whose count is the mean of the others.

    How many boxes of the background are sampled follows from the sampler and not from the data, so losses of counts
    are to treat it as a class of mean size.
    """
    counts = counts_tensor(class_counts)
    return torch.cat([counts.double().mean().round().to(counts.dtype)[None], counts])


def build_box_loss(loss: LossMaker, class_counts: Counts, sigmoid: bool) -> Loss:
    """The loss itself, or what makes it from the counts of `with_background`, with class 0 as its background.

    Raises:
        InputError: if the loss is not of sigmoids, or is, against what is wanted.
        ValueError: if the loss takes a background and has another one.
    """
    box_loss = build_loss(loss, with_background(class_counts), background=0)
    check_kind(box_loss, sigmoid)
    if getattr(box_loss, "background", 0) != 0:
        raise ValueError(f"{type(box_loss).__name__} needs background 0 here, got {box_loss.background}")
    return box_loss


def check_kind(loss: Loss, sigmoid: bool) -> None:
    """Raise InputError where a loss is not of sigmoids, or is, against what is wanted."""
    if loss.sigmoid != sigmoid:
        which = "SigmoidBoxes" if loss.sigmoid else "SoftmaxBoxes"
        raise InputError(f"{type(loss).__name__} goes with longtail.methods.{which}, give that as --model.method.boxes")


class BoxClassification(nn.Module, ABC):
    """The loss of the class logits of sampled boxes, and the scores they stand for.

    Shapes: logits (M, C + 1), column 0 is that of the background; labels (M,), 0 for the background, else 1..C.

    Args:
        class_counts: training instances of each class (C,).

    Attributes:
        scale: the scores of a box sum to at most this.
    """

    scale: float = 1.0

    def __init__(self, class_counts: Counts) -> None:
        super().__init__()
        self.num_classes = len(counts_tensor(class_counts))

    def start(self, classifier: nn.Module) -> None:
        """Prepare a new classifier."""

    @abstractmethod
    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss, a scalar."""

    @abstractmethod
    def scores(self, logits: Tensor) -> Tensor:
        """Scores (M, C) of the classes in 0..1."""

    def log_shares(self, logits: Tensor) -> Tensor:
        """Logits (M, C + 1) whose softmax is the scores over ``scale``, and in column 0 what is left to 1."""
        shares = self.scores(logits) / self.scale
        rest = 1 - shares.sum(1, keepdim=True)
        return torch.cat([rest, shares], 1).clamp(min=1e-30).log()


class SoftmaxBoxes(BoxClassification):
    """One softmax over the classes and the background; the background is class 0 of the loss.

    Args:
        class_counts: training instances of each class (C,).
        loss: of logits (M, C + 1); or what makes it from C + 1 counts as `with_background` gives them.
    """

    def __init__(self, class_counts: Counts, loss: LossMaker = CrossEntropyLoss) -> None:
        super().__init__(class_counts)
        self.loss = build_box_loss(loss, class_counts, sigmoid=False)

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        loss: Tensor = self.loss(logits, labels)
        return loss

    def scores(self, logits: Tensor) -> Tensor:
        return logits.float().softmax(1)[:, 1:]

    def log_shares(self, logits: Tensor) -> Tensor:
        return logits.float()


class ObjectnessBoxes(BoxClassification):
    r"""Object or background by one logit, and the class of objects by the others: score
    :math:`\sigma(x_0) \, \mathrm{softmax}(x_{1..C})_c`.

    The loss of classes sees boxes of objects alone, so its counts and weights know no background. Both parts are means
    over all boxes.

    Args:
        class_counts: training instances of each class (C,).
        loss: of logits (M, C); or what makes it from the class counts.

    Source: Wang et al., Seesaw loss for long-tailed instance segmentation, CVPR 2021, section 3.3.
    """

    def __init__(self, class_counts: Counts, loss: LossMaker = CrossEntropyLoss) -> None:
        super().__init__(class_counts)
        self.loss = build_loss(loss, class_counts)
        check_kind(self.loss, sigmoid=False)

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        objects = labels > 0
        objectness = F.binary_cross_entropy_with_logits(logits[:, 0].float(), objects.float(), reduction="sum")
        rows = self.loss(logits[objects, 1:], labels[objects] - 1) * objects.sum()
        loss: Tensor = (objectness + rows) / max(len(labels), 1)
        return loss

    def scores(self, logits: Tensor) -> Tensor:
        logits = logits.float()
        return logits[:, :1].sigmoid() * logits[:, 1:].softmax(1)


class SigmoidBoxes(BoxClassification):
    r"""One sigmoid for each class and one for the background: score :math:`\sigma(x_c) (1 - \sigma(x_0))`.

    Args:
        class_counts: training instances of each class (C,).
        loss: of logits (M, C + 1); or what makes it from C + 1 counts as `with_background` gives them:
            ``longtail.losses.EqualizationLossV2`` or ``longtail.losses.FederatedLoss`` with background 0.
        prior: probability that each sigmoid starts with; a large loss in the first steps would spoil the network.

    Source: Tan et al., Equalization loss v2, CVPR 2021, released code; the prior is that of Lin et al., Focal loss for
    dense object detection, ICCV 2017, section 3.3.
    """

    def __init__(self, class_counts: Counts, loss: LossMaker, prior: float = 0.01) -> None:
        super().__init__(class_counts)
        if not 0 < prior < 1:
            raise ValueError(f"prior must be between 0 and 1, got {prior}")
        self.prior = prior
        self.scale = float(self.num_classes)
        self.loss = build_box_loss(loss, class_counts, sigmoid=True)

    def start(self, classifier: nn.Module) -> None:
        """Set the biases to the prior; that of the background to the opposite."""
        bias = getattr(classifier, "bias", None)
        if not isinstance(bias, Tensor):
            raise InputError(
                f"SigmoidBoxes needs a classifier with a bias for its prior, {type(classifier).__name__} has none"
            )
        logit = math.log(self.prior / (1 - self.prior))
        with torch.no_grad():
            bias.fill_(logit)
            bias[0] = -logit

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        loss: Tensor = self.loss(logits, labels)
        return loss

    def scores(self, logits: Tensor) -> Tensor:
        p = logits.float().sigmoid()
        return p[:, 1:] * (1 - p[:, :1])
