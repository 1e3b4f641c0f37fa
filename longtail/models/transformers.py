"""Vision transformers in the names of Hugging Face's transformers, brought to those of timm."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

# both namings of its layers, that of files and that of transformers 5
LAYER = r"(?:encoder\.layer|encoder\.layers|layers)\.(\d+)\."
PROJECTION = re.compile(LAYER + r"attention\.(?:attention\.)?(q|k|v)(?:uery|ey|alue|_proj)\.(weight|bias)$")
# ViT and DINOv2, with and without registers; what comes first wins
NAMES = [
    (r"embeddings\.cls_token$", "cls_token"),
    (r"embeddings\.position_embeddings$", "pos_embed"),
    (r"embeddings\.register_tokens$", "register_tokens"),  # timm's filter goes on from there
    (r"embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (LAYER + r"attention\.(?:output\.dense|o_proj)\.", r"blocks.\1.attn.proj."),
    (LAYER + r"(?:layernorm_before|norm1)\.", r"blocks.\1.norm1."),
    (LAYER + r"(?:layernorm_after|norm2)\.", r"blocks.\1.norm2."),
    (LAYER + r"(?:intermediate\.dense|mlp\.fc1|mlp\.weights_in)\.", r"blocks.\1.mlp.fc1."),
    (LAYER + r"(?:output\.dense|mlp\.fc2|mlp\.weights_out)\.", r"blocks.\1.mlp.fc2."),
    (LAYER + r"layer_scale(\d)\.lambda1$", r"blocks.\1.ls\2.gamma"),
    (r"layernorm\.", "norm."),
]


def from_transformers(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A ViT or a DINOv2 of transformers in timm's names, queries, keys and values as one layer; others as they are."""
    mark = "embeddings.patch_embeddings.projection.weight"
    start = next((name.removesuffix(mark) for name in tensors if name.endswith(mark)), None)
    if start is None:
        return dict(tensors)
    renamed: dict[str, Tensor] = {}
    parts: dict[str, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        inner = name.removeprefix(start)
        if projection := PROJECTION.match(inner):
            layer, part, end = projection.groups()
            parts.setdefault(f"blocks.{layer}.attn.qkv.{end}", {})[part] = value
            continue
        ours = next((re.sub(f"^{theirs}", own, inner) for theirs, own in NAMES if re.match(theirs, inner)), name)
        renamed[ours] = value
    whole = {name: torch.cat([qkv[part] for part in "qkv"]) for name, qkv in parts.items() if len(qkv) == len("qkv")}
    return renamed | whole
