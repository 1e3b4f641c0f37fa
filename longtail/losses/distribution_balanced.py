"""Distribution-balanced loss."""

import torch
from torch import Tensor
from torch.nn import functional as F

from longtail.checks import check_number
from longtail.counts import Counts, counts_tensor
from longtail.losses.base import FromCounts
from longtail.losses.sigmoid import SigmoidLoss


class DistributionBalancedLoss(FromCounts, SigmoidLoss):
    r"""Binary cross-entropy that makes good what classes that come together do to a class-balanced sampling, and that
    does not push absent classes down without an end.

    .. math::
        L_i = \sum_c \hat r_{ic} \left( y_{ic} \, \mathrm{softplus}(-(x_{ic} - \nu_c))
              + \frac{1 - y_{ic}}{\lambda} \, \mathrm{softplus}(\lambda (x_{ic} - \nu_c)) \right)

    Re-balanced weighting: drawn class by class, an image comes once for each class that it has. The part of class c in
    that is :math:`r_{ic} = n_c^{-1} / \sum_k y_{ik} n_k^{-1}`, and its weight
    :math:`\hat r = \alpha + \sigma(\beta (r - \mu))`; for an image without a class r is infinite. Negative-tolerant
    regularisation: the offset :math:`\nu_c = \kappa \log (N / n_c - 1)` begins with the share of a class in the N
    training images, and with :math:`\lambda > 1` a negative that is told apart already has hardly any gradient left.

    Shapes: logits (M, C), labels (M, C), 0 or 1 of any type; returns a scalar, or (M,) with ``reduction="none"``, in
    both cases the sum over the classes, where the paper takes their mean. An empty batch gives 0. Computed in float32
    under autocast.

    Args:
        class_counts: training images of each class (C,), all positive.
        alpha: least weight, not negative.
        beta: steepness of the weight, not negative.
        mu: where the weight is alpha + 1/2.
        scale: lambda, positive.
        bias: kappa, not negative.
        images: N; by default the sum of the counts, as if each image had one class, until `set_images` says it.
        reduction: "mean" or "none".

    Raises:
        ValueError: on counts that are not positive, an option outside its range, fewer images than a class has, a wrong
            shape, or a label that is neither 0 nor 1.

    Source: Wu et al., Distribution-balanced loss for multi-label classification in long-tailed datasets, ECCV 2020, its
    re-balanced weighting and negative-tolerant regularisation, with the values for COCO-MLT. The released code divides
    the offsets by lambda and multiplies the loss by a focal factor, which is left out here.
    """

    inverse: Tensor
    offsets: Tensor

    def __init__(
        self,
        class_counts: Counts,
        alpha: float = 0.1,
        beta: float = 10.0,
        mu: float = 0.2,
        scale: float = 2.0,
        bias: float = 0.05,
        images: int | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction)
        for name, value in (("alpha", alpha), ("beta", beta), ("bias", bias)):
            check_number(name, value, low=0)
        check_number("scale", scale, low=1e-6)
        counts = counts_tensor(class_counts)
        self.num_classes = len(counts)
        self.alpha, self.beta, self.mu, self.scale, self.bias = alpha, beta, mu, scale, bias
        self.register_buffer("inverse", (counts.min() / counts.double()).float(), persistent=False)
        self.register_buffer("offsets", torch.zeros(len(counts)))  # saved, as a resumed run may lack some images
        self._counts = counts
        self.set_images(int(counts.sum()) if images is None else images)

    def set_images(self, images: int) -> None:
        check_number("images", images, low=int(self._counts.max()))
        rest = (images - self._counts).clamp(min=1)  # a class that all images have would start at infinity
        self.offsets.copy_(self.bias * (rest / self._counts.double()).log())

    def weights(self, labels: Tensor) -> Tensor:
        """The weight (M, C) of each class for each row, by labels (M, C) as floats."""
        inverse = self.inverse.to(labels.dtype)
        part = (inverse / (labels @ inverse)[:, None]).clamp(max=1e30)  # without a class there is nothing to divide by
        return self.alpha + torch.sigmoid(self.beta * part - self.beta * self.mu)

    def terms(self, logits: Tensor, labels: Tensor) -> Tensor:
        x = logits - self.offsets.to(logits.dtype)
        costs = labels * F.softplus(-x) + (1 - labels) * F.softplus(self.scale * x) / self.scale
        return self.weights(labels) * costs
