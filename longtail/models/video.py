"""Backbones for clips: torchvision's video networks by name, and image networks averaged over the frames."""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torchvision.models import get_model, get_model_weights, list_models, video

from longtail.augment.preprocessing import Preprocessing
from longtail.checks import check_shape
from longtail.errors import InputError
from longtail.messages import first_line, near_names, plural
from longtail.models.backbones import Backbone
from longtail.models.base import FeatureNetwork
from longtail.models.downloads import impatient
from longtail.models.inputs import NetworkInput
from longtail.models.trained_state import keep_trained_state
from longtail.models.weights import check_start, load_weights
from longtail.plain import JSON, AnyPath


class VideoBackbone(FeatureNetwork):
    """A video network of torchvision, from clips to pooled features, without its classifier and the dropout before it.

    Most take clips of any size. The positions of mvit_v1_b and mvit_v2_s are fixed at 16 frames of 224 x 224 pixels;
    s3d takes 14 frames of 224 x 224 pixels or more, as it pools by windows. On a CPU they compute in float32 under
    autocast too.

    Shapes: clips (N, 3, T, H, W) to features (N, num_features).

    Args:
        name: any video model name of torchvision, such as "r3d_18" or "swin3d_t".
        pretrained: start from torchvision's published weights of Kinetics-400, downloaded on first use.
        weights: start from this local file instead (safetensors, or a torch file of tensors), in torchvision's layout,
            or from a checkpoint or an export of a run. What is no part of the backbone is left out, and told.
        tuning: what is trained: "all" or "none". A network of which nothing is stays in evaluation mode, and its state
            then holds the hash of the weights it started from alone, which have to be there when it is loaded.

    Raises:
        InputError: for an unknown name, weights that cannot be had, a file that does not fit, or, when called, clips
            of a size that the network does not take.
    """

    takes_clips = True

    def __init__(
        self,
        name: str,
        pretrained: bool = False,
        weights: AnyPath | None = None,
        tuning: Literal["all", "none"] = "all",
    ) -> None:
        super().__init__()
        self.name, self.frozen = name, tuning == "none"
        self.starts_from_weights = pretrained or weights is not None
        check_start(pretrained, weights)
        self.body = make_video(name, pretrained)
        # torchvision puts the classifier last: a linear layer or a 1 x 1 x 1 convolution, with or without dropout
        place, classifier = list(self.body.named_children())[-1]
        self.num_features = next(iter(classifier.parameters())).shape[1]
        setattr(self.body, place, nn.Identity())
        published = get_model_weights(name).DEFAULT.meta
        self._least: tuple[int, int, int] = (published.get("min_temporal_size", 1), *published["min_size"])
        self._fixed = isinstance(self.body, video.MViT)
        if weights is not None:
            load_weights(self.body, weights)

    @classmethod
    def expected(cls, options: Mapping[str, JSON]) -> NetworkInput:
        """The frames that the weights of Kinetics-400, or a file of their kind, expect, by torchvision's record; the
        options are those of the class."""
        name = options["name"]
        if name not in list_models(module=video) or not (options.get("pretrained") or options.get("weights")):
            return NetworkInput()
        published = get_model_weights(name).DEFAULT.transforms()
        size = published.crop_size[0]
        crop = size / min(published.resize_size)
        mean, std = tuple(published.mean), tuple(published.std)
        return NetworkInput(Preprocessing(mean, std, published.interpolation.value, crop), size)

    def tune(self, num_classes: int) -> None:
        if not self.frozen:
            return
        self.requires_grad_(False)
        self.train(self.training)
        if self.starts_from_weights:
            keep_trained_state(self)

    def train(self, mode: bool = True) -> "VideoBackbone":
        """Training or evaluation mode, which a frozen network keeps."""
        super().train(mode and not self.frozen)
        return self

    def forward(self, clips: Tensor) -> Tensor:
        check_shape("clips", clips, "N", 3, "T", "H", "W")
        self.check_size(tuple(clips.shape[2:]))
        if clips.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            # oneDNN's bfloat16 weight gradients of 3D convolutions over two frames can be wrong or not finite
            with torch.autocast("cpu", enabled=False):
                return self.forward(clips.float())
        features: Tensor = self.body(clips)
        return features

    def check_size(self, size: tuple[int, ...]) -> None:
        # torchvision's MViT takes some others of as many patches in silence, with their positions mixed up
        fits = [have == want if self._fixed else have >= want for have, want in zip(size, self._least, strict=True)]
        if not all(fits):
            expected = _size_text(self._least) + ("" if self._fixed else " or more")
            raise InputError(f"{self.name} takes clips of {expected}, got {_size_text(size)}")


class FrameMean(FeatureNetwork):
    """An image network applied to each frame of a clip, its features averaged over time.

    Shapes: clips (N, 3, T, H, W) to features (N, num_features).

    Args:
        name: as of ``Backbone``.
        options: of ``Backbone``.

    Raises:
        InputError: as ``Backbone``.

    Source: Wang et al., Temporal segment networks, ECCV 2016, with the average as the consensus of the segments. The
    average of the features and a linear classifier give the average of the logits of the frames.
    """

    takes_clips = True

    def __init__(self, name: str, **options: Any) -> None:  # those of the image network
        super().__init__()
        self.backbone = Backbone(name, **options)
        self.num_features = self.backbone.num_features

    expected = Backbone.expected

    def tune(self, num_classes: int) -> None:
        self.backbone.tune(num_classes)

    def check_size(self, size: tuple[int, ...]) -> None:
        self.backbone.check_size(size[1:])

    def forward(self, clips: Tensor) -> Tensor:
        check_shape("clips", clips, "N", 3, "T", "H", "W")
        frames = clips.transpose(1, 2).flatten(0, 1)  # no copy of channels_last_3d clips: they become channels_last
        features: Tensor = self.backbone(frames)
        return features.reshape(-1, clips.shape[2], self.num_features).mean(dim=1)


def make_video(name: str, pretrained: bool) -> nn.Module:
    """A video network of torchvision, with its classifier.

    Raises:
        InputError: for an unknown name, or weights that cannot be had.
    """
    names = list_models(module=video)
    if name not in names:
        raise InputError(f'unknown video backbone "{name}"{near_names(name, names)}. There are {", ".join(names)}')
    if not pretrained:
        network: nn.Module = get_model(name)
        return network
    try:
        with impatient():
            network = get_model(name, weights="DEFAULT")
    except Exception as error:
        raise InputError(
            f"no pretrained weights for {name} ({first_line(error)}): give a local file with weights (--weights FILE), "
            "or leave out pretrained"
        ) from error
    return network


def _size_text(size: tuple[int, ...]) -> str:
    frames, height, width = size
    return f"{plural(frames, 'frame')} of {height} x {width} pixels"
