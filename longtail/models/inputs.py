"""What the published weights of a network expect of images."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from longtail.augment.preprocessing import Channels, CropMode, Interpolation, Preprocessing
from longtail.errors import InputError
from longtail.messages import escape, some
from longtail.plain import JSON

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

    Raises:
        InputError: if timm knows the network and not the tag.
    """
    published = published_record(name)
    if published is None:
        return NetworkInput()
    size = published.input_size[-1]
    if not from_weights:
        return NetworkInput(size=size if published.fixed_input_size else None, fixed=published.fixed_input_size)
    return of_record(published.to_dict())


def published_record(name: str) -> Any:  # timm has no types
    """timm's record of the published weights of a network, its ``pretrained_cfg``; None where it has no such network.

    Args:
        name: with or without the tag of the weights.

    Raises:
        InputError: if timm knows the network and not the tag.
    """
    import timm

    network = name.split(".")[0]
    if not timm.is_model(network):
        return None
    try:
        return timm.get_pretrained_cfg(name)
    except RuntimeError as error:
        tags = sorted(other for other in timm.list_pretrained(f"{network}.*") if other.split(".")[0] == network)
        others = f": there are {some(tags)}" if tags else ""
        raise InputError(f'timm knows no weights "{escape(name)}"{others}; {network} alone works as well') from error


def of_record(record: Mapping[str, JSON]) -> NetworkInput:
    """The images that weights expect by timm's record of them, its ``pretrained_cfg``.

    Raises:
        KeyError, TypeError, ValueError: if it is no such record.
    """
    mean, std = (cast(Channels, tuple(map(float, record[key]))) for key in ("mean", "std"))
    interpolation: Interpolation = "bilinear" if record["interpolation"] == "bilinear" else "bicubic"
    how = record.get("crop_mode")
    crop_mode: CropMode = "squash" if how == "squash" else "center"
    preprocessing = Preprocessing(mean, std, interpolation, min(1.0, float(record["crop_pct"])), crop_mode)
    fixed = bool(record.get("fixed_input_size"))
    return NetworkInput(preprocessing, int(record["input_size"][-1]), fixed, border=how == "border")
