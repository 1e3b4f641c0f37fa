"""Classifiers on pooled features; the linear one is ``torch.nn.Linear``."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class CosineClassifier(nn.Module):
    r"""Normalised classifier, the logit of class c is
    :math:`\mathrm{scale} \cdot \frac{f \cdot w_c}{\lVert f \rVert \lVert w_c \rVert}`.

    Shapes: features (M, in_features) to logits (M, num_classes).

    Args:
        in_features: length of a feature.
        num_classes: C.
        scale: factor of the cosines.

    Source: Kang et al., Decoupling representation and classifier, ICLR 2020; scale 30 as in the released BCL code.
    """

    def __init__(self, in_features: int, num_classes: int, scale: float = 30.0) -> None:
        super().__init__()
        self.scale = scale
        self.weight = nn.Parameter(torch.empty(num_classes, in_features))
        nn.init.normal_(self.weight)
        with torch.no_grad():
            self.weight.copy_(F.normalize(self.weight))

    def forward(self, features: Tensor) -> Tensor:
        # in full precision: 8 bits of mantissa would resolve a logit of 30 in steps of 1/8
        with torch.autocast(features.device.type, enabled=False):
            dtype = torch.promote_types(features.dtype, self.weight.dtype)
            return self.scale * F.linear(F.normalize(features.to(dtype)), F.normalize(self.weight))
