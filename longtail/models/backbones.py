"""Backbones by name: the CIFAR ResNets and everything in timm."""

import contextlib
import functools
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from longtail.errors import InputError
from longtail.messages import escape, first_line, near_names
from longtail.models.base import FeatureNetwork
from longtail.models.downloads import from_hub
from longtail.models.inputs import NetworkInput, published_record, timm_input
from longtail.models.local_dir import recorded_input, resolved
from longtail.models.resnet_cifar import CifarResNet
from longtail.models.trained_state import keep_trained_state
from longtail.models.tuning import BATCH_NORM, Frozen, Tuning
from longtail.models.weights import carries_over, check_start, fits, load_tuned, load_weights
from longtail.plain import JSON, AnyPath

CIFAR_RESNETS = {
    f"resnet{depth}{times}_cifar": functools.partial(CifarResNet, depth, channels, projection)
    for depths, times, channels, projection in (
        ((8, 14, 20, 32, 56), "", (16, 32, 64), False),
        ((8, 14, 20, 32, 56), "x2", (32, 64, 128), True),
        ((8, 14, 20, 32, 56), "x4", (64, 128, 256), True),
        ((10, 18), "", (64, 128, 256, 512), True),
        ((10, 18), "x0.5", (32, 64, 128, 256), True),
    )
    for depth in depths
}


class Backbone(FeatureNetwork):
    """A network from images to pooled features.

    Shapes: images (N, 3, H, W) to features (N, num_features).

    Args:
        name: "resnet8_cifar", "resnet14_cifar", "resnet20_cifar", "resnet32_cifar", "resnet56_cifar", one of these with
            two or four times the channels and projected shortcuts, such as "resnet14x2_cifar"; "resnet10_cifar" or
            "resnet18_cifar", with four stages and the channels of those for large images, or with half as many
            "resnet10x0.5_cifar" or "resnet18x0.5_cifar"; any timm model name, or "local-dir:FOLDER" for one with its
            weights in timm's layout.
        pretrained: start from timm's published weights, downloaded on first use.
        weights: start from this local file instead (safetensors, or a torch file of tensors), or from a checkpoint or
            an export of a run. What is no part of the backbone is left out, and told; all of it has to be there.
        image_size: side of the images in pixels, for a network that takes them at one size alone, such as most vision
            transformers; by default that of its published weights. Positions are interpolated.
        tuning: what is trained: "all", "none", or a part, such as ``longtail.models.AdaptFormer``. Where it is not all,
            the network stays in evaluation mode, batch statistics and dropout included. Its state then holds what is
            trained alone, and the hash of the weights it started from, which have to be there when it is loaded.
        frozen_statistics: whether batch normalisation keeps the statistics of the weights while all is trained.
        tuned: checkpoint of a run that trained this part beside the same weights. It is loaded, and nothing of the
            network is trained then; the state holds it as well.

    Raises:
        InputError: for an unknown name, weights that cannot be had, a file that does not fit, or an image size that
            the network cannot have.
    """

    def __init__(
        self,
        name: str,
        pretrained: bool = False,
        weights: AnyPath | None = None,
        image_size: int | None = None,
        tuning: Literal["all", "none"] | Tuning = "all",
        frozen_statistics: bool = False,
        tuned: AnyPath | None = None,
    ) -> None:
        super().__init__()
        name, file = resolved(name, weights)
        self.name, self.image_size, self.frozen_statistics, self.tuned = name, image_size, frozen_statistics, tuned
        self.tuning = {"all": None, "none": Frozen()}[tuning] if isinstance(tuning, str) else tuning
        self.starts_from_weights = pretrained or file is not None
        check_start(pretrained, file)
        if name in CIFAR_RESNETS:
            if pretrained:
                raise InputError(f"there are no published weights for {name}: leave out pretrained, or give weights")
            network = CIFAR_RESNETS[name]()
            self.body: nn.Module = network
            self.num_features = network.num_features
        else:
            body = (
                make_timm(name, pretrained, num_classes=0)
                if image_size is None
                else make_sized(name, pretrained, image_size, self.starts_from_weights)
            )
            self.body, self.num_features = body, getattr(body, "head_hidden_size", None) or body.num_features
        if file is not None:
            try:
                load_weights(self.body, file)
            except InputError as error:
                native = None if image_size is None else timm_input(name, True).size
                if native in (None, image_size) or not fits(file, make_timm(name, False, num_classes=0)):
                    raise
                raise InputError(
                    f"{escape(file)} fits {name} at {native} pixels, and not at {image_size}, for which it has no "
                    f"positions: give --image-size {native}"
                ) from error

    @classmethod
    def expected(cls, options: Mapping[str, JSON]) -> NetworkInput:
        """The images that the network and the weights it starts from expect; the options are those of the class."""
        name, weights = resolved(options["name"], options.get("weights"))
        published = timm_input(name, bool(options.get("pretrained") or weights))
        recorded = recorded_input(name, weights) or published
        preprocessing = recorded.preprocessing.over(published.preprocessing)
        return NetworkInput(preprocessing, recorded.size or published.size, published.fixed, recorded.border)

    def check_size(self, size: tuple[int, ...]) -> None:
        """As in the base, of squares, where the network is not made for one size; the error names sizes near it that it
        takes, or the one that it is made for."""
        if self.name in CIFAR_RESNETS:
            return
        side, published = size[-1], timm_input(self.name, True)
        own = (self.image_size or published.size) if published.fixed else None
        if own is not None and side != own:
            raise InputError(f"{self.name} is made for images of {own} pixels, and takes none of {side}")
        if own is not None or published.size == side:
            return
        taken = takes(self.body, side)
        refusal = None if taken else _no_size(self.name, self.body, side, functools.partial(takes, self.body))
        self.train(self.training)  # as what is frozen has it
        if refusal is not None:
            raise refusal

    def tune(self, num_classes: int) -> None:
        """Put in what is trained of the network, for C classes; raises InputError where it has no place for it."""
        if self.tuning is None:
            return
        self.tuning(self.body, num_classes)
        self.train(self.training)
        if self.starts_from_weights:
            keep_trained_state(self)
        if self.tuned is not None:
            load_tuned(self, self.tuned)
            self.requires_grad_(False)

    def train(self, mode: bool = True) -> "Backbone":
        """Training or evaluation mode, which what is frozen keeps."""
        super().train(mode)
        if self.tuning is not None:
            self.body.eval()
        elif self.frozen_statistics:
            for module in self.body.modules():
                if isinstance(module, BATCH_NORM):
                    module.eval()
        return self

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
    published_record(name)  # refuses an unknown tag
    try:
        with from_hub() if pretrained else contextlib.nullcontext():
            return timm.create_model(name, pretrained=pretrained, **options)
    except Exception as error:
        reason = first_line(error)
        if not pretrained:
            raise InputError(f'cannot make the backbone "{name}": {reason}') from error
        raise InputError(
            f"no pretrained weights for {name} ({reason}): give a local file with weights (--weights FILE), or leave "
            "out pretrained"
        ) from error


def make_sized(name: str, pretrained: bool, size: int, from_weights: bool) -> Any:  # timm has no types
    """A network of timm without classifier for images of one size, where it takes them at one size alone.

    Args:
        name: of the network.
        pretrained: whether its published weights are loaded.
        size: side of the images in pixels.
        from_weights: whether it starts from them, or from a file of their kind: then sizes are named that these fit.

    Raises:
        InputError: as ``make_timm``; if it takes any size, or not this one, the nearest that fit named.
    """
    if not timm_input(name, False).fixed:
        raise InputError(f"{name} takes images of any size: leave out the image_size of the backbone")
    failure = None
    try:
        body = make_timm(name, pretrained, num_classes=0, img_size=size)
    except InputError as error:
        failure = error
    else:
        if size == timm_input(name, True).size or takes(body, size):  # a few were trained on part of an image
            return body
    whole = make_timm(name, False, num_classes=0)
    possible = functools.partial(_possible, name, whole.state_dict() if from_weights else None)
    if failure is not None and possible(size):
        raise failure  # the size is not the reason
    raise _no_size(name, whole, size, possible)


def any_size(name: str) -> dict[str, Any]:  # for timm
    """The option of timm by which a network that is made for one size takes any, where it has one; else none."""
    name, option = name.split(".")[0], {"strict_img_size": False}  # an unknown tag is told where the network is made
    if not timm_input(name, False).fixed:
        return {}
    try:
        make_timm(name, False, features_only=True, **option)
    except InputError:
        return {}
    return option


def check_any_size(network: nn.Module, name: str) -> None:
    """Check that a network takes images that are neither square nor of the size of its weights; raises InputError."""
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, 3, 160, 224))
    except Exception as error:
        raise InputError(
            f"{name} takes no images of any height and width, as detection and segmentation show them: take another "
            "network, such as resnet50 or convnext_tiny"
        ) from error
    finally:
        network.train()


def takes(body: nn.Module, size: int) -> bool:
    """Whether a network takes images of a size, and all of them: a whole number of patches."""
    if size % _patch(body):
        return False
    try:
        with torch.no_grad():
            body.eval()(torch.zeros(1, 3, size, size))
    except (RuntimeError, AssertionError, ValueError, IndexError):
        return False
    finally:
        body.train()
    return True


def _patch(body: Any) -> int:  # timm has no types
    """Side of the patches that a network takes images apart into, in pixels; 1 where it has none.

    A network that is made for one size has them by timm's record of its first stage; another where its first
    convolution has them side by side.
    """
    if body.pretrained_cfg.get("fixed_input_size") and getattr(body, "feature_info", None):
        return int(body.feature_info[0]["reduction"])
    first = next((module for module in body.modules() if isinstance(module, nn.Conv2d)), None)
    return 1 if first is None or first.kernel_size != first.stride else first.kernel_size[0]


def _no_size(name: str, body: nn.Module, size: int, possible: Callable[[int], bool]) -> InputError:
    """What is said of a size that a network does not take, with those near it that fit, and that of its weights."""
    near = [next((other for other in others if possible(other)), None) for others in _nearby(body, size)]
    sizes = {other for other in [*near, timm_input(name, True).size] if other is not None}
    choices = " or ".join(", ".join(map(str, sorted(sizes))).rsplit(", ", 1))
    return InputError(f"{name} takes no images of {size} pixels: give --image-size {choices}")


def _possible(name: str, weights: Mapping[str, Tensor] | None, size: int) -> bool:
    """Whether a network can be made for a size, and where it starts from weights, whether these fit it then."""
    try:
        body = make_timm(name, False, num_classes=0, img_size=size)
    except InputError:
        return False
    if not takes(body, size):
        return False
    return weights is None or carries_over(weights, body)


def _nearby(body: nn.Module, size: int) -> tuple[range, range]:
    """Three sizes below, and three above, from the nearest on: whole numbers of patches, or of the usual stride."""
    patch = _patch(body)
    step = 32 if patch == 1 else patch
    below, above = (size - 1) // step * step, (size // step + 1) * step
    return range(below, max(0, below - 3 * step), -step), range(above, above + 3 * step, step)


def freeze_norms(body: nn.Module) -> nn.Module:
    """The network with every batch normalisation fixed: neither its statistics nor its weights are trained."""
    from timm.layers import freeze_batch_norm_2d  # type: ignore[attr-defined]

    frozen: nn.Module = freeze_batch_norm_2d(body)  # type: ignore[no-untyped-call]
    return frozen
