"""Learning rates of the parts of a network, as multiples of the one rate that is given."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from longtail.errors import InputError
from longtail.models.layers import layer_of


@dataclass(frozen=True)
class Rates:
    """How many times the learning rate the parts of a network get.

    With d the number of layers that come after a parameter's, of which the classifier is the last, it gets
    ``layer_decay``^d, as in timm; what is no part of the backbone gets ``head``.

    Args:
        head: for the classifier, and what else is no backbone.
        layer_decay: from one layer to the one before it; 1 for none.

    Raises:
        InputError: if one is not positive.

    Source: layer-wise decay as in Clark et al., ELECTRA, ICLR 2020, and He et al., Masked autoencoders, CVPR 2022.
    """

    head: float = 1.0
    layer_decay: float = 1.0

    def __post_init__(self) -> None:
        for name in ("head", "layer_decay"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} must be positive, got {getattr(self, name)}")

    def factors(self, method: nn.Module) -> Mapping[int, float]:
        """The multiple for each parameter of a method, by the parameter's id."""
        backbone = getattr(method, "backbone", None)
        factors = {id(parameter): self.head for parameter in method.parameters()}
        if isinstance(backbone, nn.Module):
            depths, last = layer_of(backbone)
            factors |= {
                id(parameter): self.layer_decay ** (last - depths[name])
                for name, parameter in backbone.named_parameters()
            }
        return factors


EQUAL = Rates()


def set_rates(optimizer: torch.optim.Optimizer, factors: Mapping[int, float]) -> None:
    """Multiply the rate of every group by that of its parameters, which is the same for all of a group."""
    for group in optimizer.param_groups:
        group["lr"] *= factors[id(group["params"][0])]
