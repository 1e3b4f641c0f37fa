"""The momentum encoder of contrastive methods."""

import copy
from typing import Any

import torch
from torch import Tensor, nn


class MomentumEncoder(nn.Module):
    """Copy of an encoder that follows it slowly: k <- m k + (1 - m) q for every parameter, and no gradient.

    Only parameters are averaged. Buffers, such as the statistics of batch normalisation, are the copy's own: it runs in
    train mode with the model around it and normalises its own batches, as in MoCo. Keep it in float32 and use autocast:
    half precision cannot hold a step of 1 - m.

    Shapes: those of the encoder.

    Args:
        encoder: the network to copy; its present parameters are the start.
        momentum: m, in [0, 1]; 1 keeps the copy as it is.

    Raises:
        ValueError: if momentum is outside [0, 1].

    Source: He et al., Momentum contrast, CVPR 2020, equation 2.
    """

    def __init__(self, encoder: nn.Module, momentum: float = 0.999) -> None:
        super().__init__()
        if not 0 <= momentum <= 1:
            raise ValueError(f"momentum must be in [0, 1], got {momentum}")
        self.encoder = copy.deepcopy(encoder).requires_grad_(False)
        self.momentum = momentum

    @torch.no_grad()
    def forward(self, *args: Any, **kwargs: Any) -> Any:  # what the model takes and gives
        return self.encoder(*args, **kwargs)

    @torch.no_grad()
    def update(self, encoder: nn.Module) -> None:
        """Move every parameter of the copy towards that of the encoder, all of a device and dtype at once.

        Raises:
            ValueError: if the encoder's parameters are not of the copy's shapes.
        """
        copies: list[Tensor] = list(self.encoder.parameters())
        originals = list(encoder.parameters())
        if len(copies) != len(originals):
            raise ValueError(f"encoder must have {len(copies)} parameters, got {len(originals)}")
        for i, (k, q) in enumerate(zip(copies, originals, strict=True)):
            if k.shape != q.shape:
                raise ValueError(f"parameter {i} of the encoder must have shape {tuple(k.shape)}, got {tuple(q.shape)}")
        towards = [q.to(k) for k, q in zip(copies, originals, strict=True)]  # q itself where dtype and device agree
        # One call for all parameters, as torch's optimizers make it; it has no public name.
        torch._foreach_lerp_(copies, towards, 1 - self.momentum)
