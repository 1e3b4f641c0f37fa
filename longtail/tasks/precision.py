"""The precision of a run where none is asked for."""

from pathlib import Path

import torch
from torch import nn

BFLOAT16 = ("avx512_bf16", "amx_bf16")  # instructions of a processor, as Linux names them


def choose_precision(network: nn.Module, accelerator: str = "auto") -> tuple[str, str]:
    """The precision that the hardware and the network go best with, and why; nothing is run and nothing drawn.

    Args:
        network: that is trained.
        accelerator: as of Lightning's Trainer.

    Returns:
        "bf16-mixed" or "32-true", and the reason in words.
    """
    if accelerator != "cpu" and torch.cuda.is_available():
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bf16-mixed", "the GPU has bfloat16"
        return "32-true", "the GPU has no bfloat16"
    if not has_bfloat16():
        return "32-true", "no instructions for bfloat16 are known of this processor"
    if is_depthwise(network):
        return "32-true", "the network has depthwise convolutions, which a CPU computes more slowly in bfloat16"
    return "bf16-mixed", "this processor has instructions for bfloat16"


def has_bfloat16() -> bool:
    """Whether the processor says that it has instructions for bfloat16."""
    info = Path("/proc/cpuinfo")
    return info.is_file() and any(flag in info.read_text() for flag in BFLOAT16)


def is_depthwise(network: nn.Module) -> bool:
    """Whether a network has convolutions of each channel by itself."""
    kind = nn.modules.conv._ConvNd  # the base of all convolutions, which torch exports by no other name
    convolutions = (module for module in network.modules() if isinstance(module, kind))
    return any(module.groups == module.in_channels > 1 for module in convolutions)
