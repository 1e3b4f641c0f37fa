"""Backbones by name: the CIFAR ResNets and everything in timm."""

import functools
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from longtail.errors import InputError
from longtail.messages import first_line, near_names, shown, some
from longtail.models.resnet_cifar import CifarResNet

CIFAR_RESNETS = {f"resnet{depth}_cifar": functools.partial(CifarResNet, depth) for depth in (20, 32, 56)}
logger = logging.getLogger(__name__)

STAGE = re.compile(r"^([a-z]+)_(\d+)\.")


class Backbone(nn.Module):
    """A network from images to pooled features.

    Shapes: images (N, 3, H, W) to features (N, num_features).

    Args:
        name: "resnet20_cifar", "resnet32_cifar", "resnet56_cifar", or any timm model name.
        pretrained: start from timm's published weights, downloaded on first use.
        weights: start from this local file instead (safetensors, or a torch file of tensors), or from a checkpoint or
            an export of a run. What is no part of the backbone is left out, and told; all of it has to be there.

    Raises:
        InputError: for an unknown name, weights that cannot be had, or a file that does not fit.
    """

    num_features: int

    def __init__(self, name: str, pretrained: bool = False, weights: Path | None = None) -> None:
        super().__init__()
        self.name = name
        check_start(pretrained, weights)
        if name in CIFAR_RESNETS:
            if pretrained:
                raise InputError(f"there are no published weights for {name}: leave out pretrained, or give weights")
            self.body: nn.Module = CIFAR_RESNETS[name]()
            self.num_features = CifarResNet.num_features
        else:
            body = make_timm(name, pretrained, num_classes=0)
            self.body, self.num_features = body, getattr(body, "head_hidden_size", None) or body.num_features
        if weights is not None:
            load_weights(self.body, weights)

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.body(images)
        return features


def make_timm(name: str, pretrained: bool, **options: Any) -> Any:  # timm has no types
    """A network of timm, its options those of ``timm.create_model``.

    Raises:
        InputError: for an unknown name, or weights that cannot be had.
    """
    import timm

    if not timm.is_model(name.split(".")[0]):
        near = near_names(name, [*CIFAR_RESNETS, *timm.list_models()])
        raise InputError(f'unknown backbone "{name}"{near}. Any timm name works, or {", ".join(CIFAR_RESNETS)}')
    try:
        return timm.create_model(name, pretrained=pretrained, **options)
    except Exception as error:
        reason = first_line(error)
        if not pretrained:  # such as a tag that timm does not know
            raise InputError(f'cannot make the backbone "{name}": {reason}') from error
        raise InputError(
            f"no pretrained weights for {name} ({reason}): give a local file with weights, or leave out pretrained"
        ) from error


def freeze_norms(body: nn.Module) -> nn.Module:
    """The network with every batch normalisation fixed: neither its statistics nor its weights are trained."""
    from timm.layers import freeze_batch_norm_2d  # type: ignore[attr-defined]

    frozen: nn.Module = freeze_batch_norm_2d(body)  # type: ignore[no-untyped-call]
    return frozen


def check_start(pretrained: bool, weights: Path | None) -> None:
    """Check that a network starts from one kind of weights at most; raises InputError."""
    if pretrained and weights is not None:
        raise InputError("pretrained and weights exclude each other: give one of them")


def load_weights(body: nn.Module, file: Path) -> None:
    """Load a local weight file into a backbone, and say what fits.

    In a checkpoint of a run or in its ``model.safetensors`` the names of the backbone begin with those of the modules
    around it, such as "method.backbone.body."; what begins otherwise is left out, as is a classifier.

    Raises:
        InputError: if the file is missing, damaged, holds anything but tensors, or does not fit.
    """
    own, tensors = body.state_dict(), read_tensors(file)
    start = _start(list(own), tensors)
    names = {key: name for key in own if (name := _name(start, key, tensors)) is not None}
    # older files lack the counters of batches, which nothing reads
    missing = [key for key in own if key not in names and not key.endswith("num_batches_tracked")]
    wrong = [key for key, name in names.items() if own[key].shape != tensors[name].shape]
    if missing or wrong:
        key = (missing or wrong)[0]
        fault = "lacks" if missing else "has another shape for"
        raise InputError(f'{file} does not fit the backbone: it {fault} "{key}" and {len(missing + wrong) - 1} more')
    body.load_state_dict({key: tensors[names[key]] if key in names else value for key, value in own.items()})
    rest = tensors.keys() - set(names.values())
    others = f", the other {len(rest)} are left out: {some(sorted(rest))}" if rest else ""
    logger.info(f"{shown(file)}: {len(names)} tensors fit the backbone{others}")


def _name(start: str, key: str, tensors: Mapping[str, Tensor]) -> str | None:
    """What an entry of a backbone is called in a file where the names begin so; None where it is not there."""
    # timm calls "stages_0" in a network of features what is "stages.0" in the whole network and in its files
    return next((name for name in (start + key, start + STAGE.sub(r"\1.\2.", key)) if name in tensors), None)


def _start(keys: Sequence[str], tensors: Mapping[str, Tensor]) -> str:
    """How the names of the backbone begin in a file: so that most of its entries are there, and as short as can be."""
    ends = {end for key in keys[:1] for end in (key, STAGE.sub(r"\1.\2.", key))}
    starts = {name.removesuffix(end) for end in ends for name in tensors if f".{name}".endswith(f".{end}")}
    return max(
        sorted(starts, key=len),
        key=lambda start: sum(_name(start, key, tensors) is not None for key in keys),
        default="",
    )


def read_tensors(file: Path) -> dict[str, Tensor]:
    """Read a file of named tensors without unpickling anything else.

    Raises:
        InputError: if the file is missing, damaged or holds anything but tensors.
    """
    if file.is_dir():
        raise InputError(
            f"cannot read weights from {shown(file)}: it is a folder; give a file in it, such as best.ckpt"
        )
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(file))
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = "it is not a file of named tensors" if isinstance(error, UnpicklingError) else first_line(error)
        raise InputError(f"cannot read weights from {file}: {reason}") from error
    content = content.get("state_dict", content) if isinstance(content, dict) else content
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise InputError(f"cannot read weights from {file}: it is not a file of named tensors")
    return content
