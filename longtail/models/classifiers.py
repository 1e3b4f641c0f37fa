"""Classifiers on pooled features; the linear one is ``torch.nn.Linear``."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from longtail.errors import InputError
from longtail.messages import escape
from longtail.models.tensor_files import read_tensors
from longtail.plain import AnyPath


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


class ScaledClassifier(nn.Module):
    r"""Learnable weight scaling: the logits of a trained classifier, each times a factor of its class that is learned,
    :math:`s_c z_c`.

    Shapes: features (M, in_features) to logits (M, num_classes).

    Args:
        in_features: length of a feature.
        num_classes: C.
        classifier: called with (features, classes) to make the trained one, which is frozen.
        weights: checkpoint of the run that trained it; the factors start at 1.

    Raises:
        InputError: if the checkpoint does not hold such a classifier.

    Source: Kang et al., Decoupling representation and classifier, ICLR 2020, equation 6 and its text (LWS).
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        classifier: Callable[[int, int], nn.Module] = nn.Linear,
        weights: AnyPath | None = None,
    ) -> None:
        super().__init__()
        self.first = classifier(in_features, num_classes).requires_grad_(False)
        self.scales = nn.Parameter(torch.ones(num_classes))
        if weights is not None:
            load_classifier(self.first, weights)

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.first(features)
        return self.scales * logits


class TauClassifier(nn.Module):
    r"""Tau-normalised weights of a trained linear classifier,
    :math:`\frac{w_c}{\lVert w_c \rVert^\tau} \cdot f`, without biases.

    Nothing is trained: over the epochs of a run :math:`\tau` goes from 0 to ``largest``, and the checkpoint best on
    validation holds the best.

    Shapes: features (M, in_features) to logits (M, num_classes).

    Args:
        in_features: length of a feature.
        num_classes: C.
        weights: checkpoint of the run that trained it.
        largest: of the values.

    Raises:
        InputError: if the checkpoint does not hold a linear classifier.

    Source: Kang et al., Decoupling representation and classifier, ICLR 2020, equation 5.
    """

    tau: Tensor

    def __init__(
        self, in_features: int, num_classes: int, weights: AnyPath | None = None, largest: float = 1.0
    ) -> None:
        super().__init__()
        self.first = nn.Linear(in_features, num_classes).requires_grad_(False)
        self.largest = largest
        self.register_buffer("tau", torch.zeros(()))
        if weights is not None:
            load_classifier(self.first, weights)

    def set_epoch(self, epoch: int, epochs: int) -> None:
        """Take the value of an epoch."""
        self.tau.fill_(self.largest * epoch / max(1, epochs - 1))

    def forward(self, features: Tensor) -> Tensor:
        norms = self.first.weight.norm(dim=1, keepdim=True)
        return F.linear(features, self.first.weight / norms**self.tau)


def load_classifier(classifier: nn.Module, checkpoint: AnyPath) -> None:
    """Load the classifier of a run's checkpoint.

    Raises:
        InputError: if it holds none of this kind.
    """
    checkpoint, start = Path(checkpoint), "method.classifier."
    state = {key.removeprefix(start): v for key, v in read_tensors(checkpoint).items() if key.startswith(start)}
    own = {key: value.shape for key, value in classifier.state_dict().items()}
    if {key: value.shape for key, value in state.items()} != own:
        raise InputError(
            f"{escape(checkpoint)} holds no classifier of the kind {type(classifier).__name__} for features of this "
            "length and this many classes: take another second stage, such as second/crt"
        )
    classifier.load_state_dict(state)
