"""What of a pretrained network is trained: all of it, nothing, or a small part beside the frozen rest.

A ``Tuning`` is put into a network of timm once, after its weights are loaded. It freezes what is there, and adds or
names what is trained instead.
"""

import math
import re
from abc import ABC, abstractmethod
from functools import partial
from typing import Any

from torch import nn
from torch.nn.utils import parametrize

from longtail.errors import InputError
from longtail.models.adapters import AdaptedMLP, LowRank, PromptedBlock
from longtail.models.trial import try_change

BATCH_NORM = nn.modules.batchnorm._BatchNorm  # the base of every batch normalisation; torch exports it by no other name


class Tuning(ABC):
    """A way to train a part of a network."""

    def __call__(self, body: nn.Module, num_classes: int) -> None:
        """Freeze a network and put into it what is trained.

        Args:
            body: the network, with its pretrained weights.
            num_classes: C, which the size of the trained part may follow.

        Raises:
            InputError: if the network has no place for it.
        """
        body.requires_grad_(False)
        self.put_into(body, num_classes)

    @abstractmethod
    def put_into(self, body: nn.Module, num_classes: int) -> None:
        """Put the trained part into a frozen network."""


class Frozen(Tuning):
    """Nothing of the network is trained; a classifier on its features is."""

    def put_into(self, body: nn.Module, num_classes: int) -> None:
        """Leave the network as it is."""


class Biases(Tuning):
    """The additive parameters are trained, all that are called ``bias``.

    Source: Ben Zaken et al., BitFit, ACL 2022.
    """

    def put_into(self, body: nn.Module, num_classes: int) -> None:
        """Thaw the biases."""
        biases = [p for name, p in body.named_parameters() if name.rsplit(".", 1)[-1].endswith("bias")]
        _thaw(body, biases, "bias")


class Norms(Tuning):
    """Scale and shift of the normalisations are trained; the statistics of batch normalisation stay as they are."""

    def put_into(self, body: nn.Module, num_classes: int) -> None:
        """Thaw the normalisations."""
        # timm has some of its own, such as RmsNorm and the Affine of ResMLP, which share no base
        norms = [module for module in body.modules() if re.search("Norm|Affine", type(module).__name__)]
        parameters = [parameter for module in norms for parameter in module.parameters(False)]
        _thaw(body, parameters, "normalisation with weights")


class AdaptFormer(Tuning):
    r"""An adapter beside the MLP of every transformer block.

    With h the input of the MLP's branch, the block gives
    :math:`h + \mathrm{MLP}(\mathrm{LN}_2(h)) + s \, \mathrm{Up}(\mathrm{ReLU}(\mathrm{Down}(\mathrm{LN}'(h))))`. Down
    and Up are linear layers with biases; s starts at 1, and Up and both biases at 0: the network starts as it was.

    Args:
        bottleneck: rows of :math:`W_{down}`; by default :math:`2^{\lfloor \log_2(C / 2L) \rfloor}` for C classes and L
            blocks, and at least 1.

    Raises:
        ValueError: if ``bottleneck`` is below 1.

    Source: Chen et al., AdaptFormer, NeurIPS 2022; the size and the start as in the released code of LIFT (Shi et al.,
    Long-tail learning with foundation model: heavy fine-tuning hurts, ICML 2024).
    """

    def __init__(self, bottleneck: int | None = None) -> None:
        if bottleneck is not None and bottleneck < 1:
            raise ValueError(f"bottleneck must be at least 1, got {bottleneck}")
        self.bottleneck = bottleneck

    def put_into(self, body: nn.Module, num_classes: int) -> None:
        """Give every block its adapter."""
        blocks = transformer_blocks(body)
        bottleneck = self.bottleneck or class_bottleneck(num_classes, len(blocks))
        try_change(body, blocks, partial(self._adapt, bottleneck), "AdaptFormer")
        for block in blocks:
            self._adapt(bottleneck, block)

    @staticmethod
    def _adapt(bottleneck: int, block: Any) -> None:  # a block of timm has no type
        block.mlp = AdaptedMLP(block, bottleneck)
        block.norm2 = nn.Identity()
        if hasattr(block, "ls2"):
            block.ls2 = nn.Identity()
        if getattr(block, "gamma_2", None) is not None:
            del block.gamma_2
            block.gamma_2 = 1.0  # the block still multiplies by it


class LoRA(Tuning):
    r"""A matrix of low rank beside the projections of every attention to queries and to values.

    :math:`W + \frac{\alpha}{r} B A`, with A (r, d) drawn as a linear layer's weight and B (d, r) = 0 at the start.

    Args:
        rank: r.
        alpha: of the factor.

    Raises:
        ValueError: if ``rank`` is below 1.

    Source: Hu et al., LoRA, ICLR 2022, section 4; queries and values as in its section 4.2.
    """

    def __init__(self, rank: int = 4, alpha: float = 4.0) -> None:
        if rank < 1:
            raise ValueError(f"rank must be at least 1, got {rank}")
        self.rank, self.alpha = rank, alpha

    def put_into(self, body: nn.Module, num_classes: int) -> None:
        """Give every attention its matrices."""
        blocks = transformer_blocks(body)
        try_change(body, blocks, self._put_into_block, "LoRA")
        for block in blocks:
            self._put_into_block(block)

    def _put_into_block(self, block: Any) -> None:  # a block of timm has no type
        attention = block.attn
        qkv, width = getattr(attention, "qkv", None), getattr(getattr(attention, "proj", None), "in_features", None)
        by_head = getattr(attention, "head_first", False)  # rows of one head after the other
        if isinstance(qkv, nn.Linear) and qkv.out_features == 3 * (width or qkv.in_features) and not by_head:
            self._add(qkv, parts=3, trained=(0, 2))
        elif isinstance(getattr(attention, "q_proj", None), nn.Linear):
            self._add(attention.q_proj, parts=1, trained=(0,))
            self._add(attention.v_proj, parts=1, trained=(0,))
        else:
            raise InputError(
                f"LoRA finds no projections to queries and values in {type(attention).__name__}: "
                "take longtail.models.AdaptFormer or longtail.models.Norms"
            )

    def _add(self, layer: nn.Linear, parts: int, trained: tuple[int, ...]) -> None:
        low_rank = LowRank(layer.weight, self.rank, self.alpha / self.rank, parts, trained)
        parametrize.register_parametrization(layer, "weight", low_rank)


class Prompts(Tuning):
    """Trained tokens beside those of the image, of their own in every block of a vision transformer.

    A block sees P more tokens, and what it makes of them is dropped.

    Args:
        length: P.

    Raises:
        ValueError: if ``length`` is below 1.

    Source: Jia et al., Visual prompt tuning, ECCV 2022, equation 5 (deep prompts), drawn as there.
    """

    def __init__(self, length: int = 10) -> None:
        if length < 1:
            raise ValueError(f"length must be at least 1, got {length}")
        self.length = length

    def put_into(self, body: nn.Module, num_classes: int) -> None:
        """Give every block its prompts."""
        from timm.models.vision_transformer import VisionTransformer

        if not isinstance(body, VisionTransformer):
            raise InputError("prompts need a plain vision transformer, such as vit_base_patch16_224")
        patch = body.patch_embed.proj.weight[0].numel()
        limit = math.sqrt(6.0 / (patch + body.embed_dim))
        for index, block in enumerate(body.blocks):
            body.blocks[index] = PromptedBlock(block, self.length, body.embed_dim, limit)


def merge_low_rank(network: nn.Module) -> nn.Module:
    """Put plain layers in the place of those with ``LoRA``, with the sums as their weights; return the network."""
    for module in list(network.modules()):
        for name, layer in module.named_children():
            if isinstance(layer, nn.Linear) and parametrize.is_parametrized(layer, "weight"):
                # torch's remove_parametrizations would take the weight from every copy of the layer as well
                plain = nn.Linear(layer.in_features, layer.out_features, layer.bias is not None)
                plain.weight, plain.bias = nn.Parameter(layer.weight.detach()), layer.bias
                setattr(module, name, plain)
    return network


def class_bottleneck(num_classes: int, blocks: int) -> int:
    """The size of LIFT's adapters: the power of two at or below C / 2L, at least 1."""
    ratio = num_classes / (2 * blocks)
    return 1 if ratio < 2 else int(2 ** math.floor(math.log2(ratio)))


def transformer_blocks(body: nn.Module) -> list[Any]:  # blocks of timm, whose parts have no types
    """The blocks of attention and MLP of a network.

    Raises:
        InputError: if it has none.
    """
    parts = ("attn", "norm2", "mlp")
    blocks = [module for module in body.modules() if all(hasattr(module, part) for part in parts)]
    if not blocks:
        raise InputError(
            f"{type(body).__name__} has no blocks of attention to put this into: take a vision transformer, or "
            "longtail.models.Norms or longtail.models.Biases"
        )
    return blocks


def _thaw(body: nn.Module, parameters: list[nn.Parameter], what: str) -> None:
    if not parameters:
        raise InputError(f"{type(body).__name__} has no {what} to train")
    for parameter in parameters:
        parameter.requires_grad_(True)
