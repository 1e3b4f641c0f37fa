"""The layers of a network in the order that images pass through them."""

from collections.abc import Iterator
from typing import cast

from torch import nn

CLASSIFIER = "the_classifier"  # under a name that no matcher knows, as are those of classifiers


def layer_of(backbone: nn.Module) -> tuple[dict[str, int], int]:
    """The number of the layer of every parameter, from 0 at the images, and that of the classifier after them.

    The layers are what timm's ``group_matcher`` says of its networks; a network that does not say it is one layer.
    """
    from timm.models import group_parameters

    body = getattr(backbone, "body", backbone)
    names = {name: name.removeprefix("body.") for name, _ in backbone.named_parameters()}
    matcher = getattr(body, "group_matcher", None)
    if matcher is None:
        return dict.fromkeys(names, 0), 1
    whole = cast(nn.Module, _Classified(body))  # timm asks for no more than the names
    groups = group_parameters(whole, matcher(coarse=False), reverse=True)
    depths = {name: int(groups.get(inner, 0)) for name, inner in names.items()}
    return depths, int(groups[CLASSIFIER])


class _Classified:
    """The parameters of a network without classifier, and one of a classifier."""

    def __init__(self, body: nn.Module) -> None:
        self.body = body

    def named_parameters(self) -> Iterator[tuple[str, None]]:
        yield from ((name, None) for name, _ in self.body.named_parameters())
        yield CLASSIFIER, None
