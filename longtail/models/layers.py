"""The layers of a network in the order that images pass through them."""

from typing import Any, cast

from torch import nn


def layer_of(backbone: nn.Module) -> tuple[dict[str, int], int]:
    """The number of the layer of every parameter, from 0 at the images, and that of the last.

    The layers are what timm's ``group_matcher`` says of its networks; a network that does not say it is one layer.
    """
    from timm.models import group_parameters

    body = getattr(backbone, "body", backbone)
    names = {name: name.removeprefix("body.") for name, _ in backbone.named_parameters()}
    if not hasattr(body, "group_matcher"):
        return dict.fromkeys(names, 0), 0
    groups = group_parameters(body, cast(Any, body).group_matcher(coarse=False), reverse=True)
    depths = {name: int(groups.get(inner, 0)) for name, inner in names.items()}
    return depths, max(groups.values())
