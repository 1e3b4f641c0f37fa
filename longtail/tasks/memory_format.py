"""The memory format of images and of the weights of convolutions."""

import torch
from torch import Tensor, nn


def ordered(values: Tensor, channels_last: bool) -> Tensor:
    """Images, clips or weights of convolutions in the memory format that is wanted; others as they are."""
    formats = {4: torch.channels_last, 5: torch.channels_last_3d} if channels_last else {}
    return values.contiguous(memory_format=formats.get(values.ndim, torch.contiguous_format))


def order_weights(method: nn.Module, channels_last: bool) -> None:
    """Bring the weights of all convolutions into that memory format; ``to`` does so for those of images alone."""
    for parameter in method.parameters():
        parameter.data = ordered(parameter.data, channels_last)
