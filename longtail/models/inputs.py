"""What the published weights of a network expect of images."""

from dataclasses import dataclass
from typing import cast

from longtail.augment.preprocessing import Channels, CropMode, Interpolation, Preprocessing

UNKNOWN = Preprocessing()


@dataclass(frozen=True)
class NetworkInput:
    """The images that a network expects.

    Args:
        preprocessing: that which its weights were trained with; empty for random weights.
        size: side of the images that its weights were trained at, in pixels; None where any will do.
        fixed: whether it has to be made for another size.
        border: whether its weights were trained on whole images in a border, which are not made here.
    """

    preprocessing: Preprocessing = UNKNOWN
    size: int | None = None
    fixed: bool = False
    border: bool = False


def timm_input(name: str, from_weights: bool) -> NetworkInput:
    """The images that a network of timm expects, by the record of its published weights.

    Args:
        name: with or without the tag of the weights.
        from_weights: whether it starts from them, or from a file of their kind.
    """
    import timm

    published = timm.get_pretrained_cfg(name) if timm.is_model(name.split(".")[0]) else None
    if published is None:
        return NetworkInput()
    size = published.input_size[-1]
    if not from_weights:
        return NetworkInput(size=size if published.fixed_input_size else None, fixed=published.fixed_input_size)
    mean, std = cast(tuple[Channels, Channels], (published.mean, published.std))
    interpolation: Interpolation = "bilinear" if published.interpolation == "bilinear" else "bicubic"
    crop_mode, border = of_timm(published.crop_mode)
    preprocessing = Preprocessing(mean, std, interpolation, min(1.0, published.crop_pct), crop_mode)
    return NetworkInput(preprocessing, size, published.fixed_input_size, border)


def of_timm(crop_mode: str | None) -> tuple[CropMode, bool]:
    """How the central crop is taken, by what timm's records say of it, and whether that is of an image in a border."""
    return "squash" if crop_mode == "squash" else "center", crop_mode == "border"
