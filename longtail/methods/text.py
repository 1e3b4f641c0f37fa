"""A classifier that starts from the names of its classes."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from longtail.errors import InputError
from longtail.messages import escape, first_line
from longtail.methods.start import HeadStart

PLACE = "{class}"


class TextFeatures(HeadStart):
    r"""The text features of the class names, mapped back to the features of the image tower.

    With :math:`n(v) = v / \lVert v \rVert`, :math:`e_{c,k}` what the text tower makes of template k with the name of
    class c (after the projection of the text), and P (D, E) the projection of the image tower,

    .. math:: w_c = n\left(P \, n\left(\sum_k n(e_{c,k})\right)\right).

    The feature of an image is the class token after the last norm (D), before P, so :math:`f \cdot w_c` is in
    proportion to the product of :math:`P^T f`, which CLIP compares with texts, and the text feature. An underscore in
    a name is read as a space.

    Args:
        model: of open_clip, whose image tower is that of the backbone; or "local-dir:FOLDER" with its
            ``open_clip_config.json`` and weights.
        pretrained: tag of its weights, downloaded on first use, or a local file. Left out with "local-dir:".
        templates: sentences with "{class}" in the place of the name; their features are averaged.

    Raises:
        InputError: if there is no template or one lacks "{class}"; when called, if open_clip is not installed, the
            model cannot be had, or its image tower is another than that of the features.

    Source: Shi et al., LIFT, ICML 2024, and its released code.
    """

    images = 0
    reads_names: ClassVar[bool] = True

    def __init__(
        self,
        model: str = "ViT-B-16-quickgelu",
        pretrained: str | None = "openai",
        templates: Sequence[str] = ("a photo of a {class}.",),
    ) -> None:
        if not templates or any(PLACE not in template for template in templates):
            raise InputError(f'a template wants "{PLACE}" in the place of the name, got {list(templates)}')
        self.model, self.pretrained, self.templates = model, pretrained, list(templates)

    def __call__(self, features: Tensor, targets: Tensor, classes: list[str]) -> Tensor:
        """The mapped text features (C, D)."""
        model, tokenize = self._open()
        projection = image_projection(model)
        if projection.shape[0] != features.shape[1]:
            raise InputError(
                f"the image tower of {escape(self.model)} makes {projection.shape[0]} features, the backbone "
                f"{features.shape[1]}: give --model.start.model the CLIP model of the backbone"
            )
        total = torch.zeros(len(classes), projection.shape[1])
        with torch.inference_mode():
            for template in self.templates:
                texts = [template.replace(PLACE, name.replace("_", " ")) for name in classes]
                for start in range(0, len(texts), 256):
                    encoded = model.encode_text(tokenize(texts[start : start + 256]))
                    total[start : start + 256] += F.normalize(encoded.float())
            return F.normalize(F.normalize(total) @ projection.float().T).clone()

    def _open(self) -> tuple[Any, Any]:  # open_clip has no types
        """The model in evaluation mode, and its tokenizer."""
        try:
            import open_clip
        except ImportError as error:
            raise InputError(
                f'a start from text needs {error.name}: pip install "longtail[text]", or give --model.start '
                "longtail.methods.ClassMeans"
            ) from error
        try:
            pretrained = None if ":" in self.model else self.pretrained
            model = open_clip.create_model(self.model, pretrained=pretrained, require_pretrained=True)
            return model.eval(), open_clip.get_tokenizer(self.model)
        except Exception as error:
            raise InputError(
                f"cannot have the text tower of {escape(self.model)} ({first_line(error)}): give "
                "--model.start.pretrained a local file, or --model.start.model local-dir:FOLDER"
            ) from error


def image_projection(model: nn.Module) -> Tensor:
    """The matrix P (D, E) by which the image tower of a model of open_clip projects its features.

    Raises:
        InputError: if it projects in another way.
    """
    visual: Any = model.visual
    projection = getattr(visual, "proj", None)
    if isinstance(projection, nn.Parameter):
        return projection.detach()
    linear = getattr(getattr(visual, "head", None), "proj", None)  # a tower of timm
    if isinstance(linear, nn.Linear) and linear.bias is None:
        return linear.weight.detach().T
    raise InputError(
        f"the image tower {type(visual).__name__} has no projection that is a matrix: give --model.start "
        "longtail.methods.ClassMeans"
    )
