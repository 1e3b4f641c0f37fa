"""The modules that a ``Tuning`` puts into a network: adapters, matrices of low rank, prompts."""

import math
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class AdaptedMLP(nn.Module):
    """The MLP branch of a block of timm with what stands around it, and an adapter beside it; see ``AdaptFormer``.

    Shapes: tokens (..., d) to what is added to them (..., d). What the block gives its MLP beside them goes there.

    Args:
        block: with ``norm2``, ``mlp``, and as ``ls2`` or ``gamma_2`` what its output is multiplied by.
        bottleneck: rows of the first matrix.
    """

    def __init__(self, block: Any, bottleneck: int) -> None:  # a block of timm has no type
        super().__init__()
        self.norm, self.mlp = block.norm2, block.mlp
        self.layer_scale = block.ls2 if hasattr(block, "ls2") else nn.Identity()
        self.gamma = getattr(block, "gamma_2", None)
        width = len(self.norm.weight)
        self.adapter_norm = nn.LayerNorm(width)
        self.down, self.up = nn.Linear(width, bottleneck), nn.Linear(bottleneck, width)
        self.scale = nn.Parameter(torch.ones(1))
        nn.init.zeros_(self.down.bias)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, tokens: Tensor, *more: Any) -> Tensor:  # such as height and width
        out = self.layer_scale(self.mlp(self.norm(tokens), *more))
        if self.gamma is not None:
            out = self.gamma * out
        adapted: Tensor = self.up(F.relu(self.down(self.adapter_norm(tokens)))) * self.scale
        return cast(Tensor, out + adapted)


class LowRank(nn.Module):
    """What is added to a weight, of low rank in each of its trained parts; see ``LoRA``.

    Shapes: weight (parts * rows, d) to the same.

    Args:
        weight: that of the layer.
        rank: r.
        factor: of the product of the matrices.
        parts: of equal size that the rows consist of, such as queries, keys and values.
        trained: which of them have matrices.
    """

    def __init__(self, weight: Tensor, rank: int, factor: float, parts: int, trained: tuple[int, ...]) -> None:
        super().__init__()
        rows, self.factor, self.parts, self.trained = len(weight) // parts, factor, parts, trained
        first = [nn.Parameter(weight.new_empty(rank, weight.shape[1])) for _ in trained]
        self.first = nn.ParameterList(first)
        self.second = nn.ParameterList([nn.Parameter(weight.new_zeros(rows, rank)) for _ in trained])
        for matrix in first:
            nn.init.kaiming_uniform_(matrix, a=math.sqrt(5))

    def forward(self, weight: Tensor) -> Tensor:
        chunks = list(weight.chunk(self.parts))
        for part, first, second in zip(self.trained, self.first, self.second, strict=True):
            chunks[part] = chunks[part] + self.factor * (second @ first)
        return torch.cat(chunks)


class PromptedBlock(nn.Module):
    """A block of a transformer that sees more tokens; see ``Prompts``.

    Shapes: tokens (N, T, d) to (N, T, d).

    Args:
        block: called with (N, P + T, d).
        length: P.
        width: d.
        limit: the prompts are drawn from -limit to limit.
    """

    def __init__(self, block: nn.Module, length: int, width: int, limit: float) -> None:
        super().__init__()
        self.block = block
        self.prompts = nn.Parameter(torch.empty(1, length, width).uniform_(-limit, limit))

    def forward(self, tokens: Tensor) -> Tensor:
        length = self.prompts.shape[1]
        more = self.prompts.to(tokens.dtype).expand(len(tokens), -1, -1)
        out: Tensor = self.block(torch.cat([more, tokens], 1))
        return out[:, length:]
