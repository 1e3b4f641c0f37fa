"""Detectors of torchvision, Faster R-CNN and Mask R-CNN, on a feature pyramid over ResNet-50 or any timm backbone."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torchvision.models import ResNet50_Weights
from torchvision.models.detection import (
    FasterRCNN,
    MaskRCNN,
    fasterrcnn_resnet50_fpn,
    fasterrcnn_resnet50_fpn_v2,
    maskrcnn_resnet50_fpn,
    maskrcnn_resnet50_fpn_v2,
)
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.rpn import AnchorGenerator
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from longtail.augment.preprocessing import Preprocessing
from longtail.errors import InputError
from longtail.messages import first_line
from longtail.models.backbones import any_size, check_any_size, freeze_norms, make_timm
from longtail.models.base import WithInput
from longtail.models.downloads import impatient
from longtail.models.inputs import NetworkInput, timm_input
from longtail.models.weights import check_start, load_weights
from longtail.plain import JSON, AnyPath


@dataclass
class DetectorBackbone(WithInput, ABC):
    """A backbone with a feature pyramid; calling it makes a network of torchvision around it.

    Args:
        pretrained: start from published ImageNet weights, downloaded on first use.
        weights: start from this local file instead, or from a checkpoint or an export of a run, whose heads are left
            out.
    """

    pretrained: bool = False
    weights: AnyPath | None = None

    def __post_init__(self) -> None:
        check_start(self.pretrained, self.weights)

    @abstractmethod
    def __call__(self, num_classes: int, masks: bool, **options: Any) -> FasterRCNN:  # those of FasterRCNN
        """Make the network.

        Args:
            num_classes: C + 1, as class 0 is the background.
            masks: whether to segment the instances as well, which a ``MaskRCNN`` does.
            options: of ``FasterRCNN``.
        """


@dataclass
class ResNet50FPN(DetectorBackbone):
    """ResNet-50 with a feature pyramid, as in torchvision's ``maskrcnn_resnet50_fpn`` and its second version.

    Args:
        pretrained: start the backbone from torchvision's ImageNet weights, downloaded on first use.
        weights: start the backbone from this local file instead; torchvision's layout.
        version: 1 is the network of the papers; 2 has batch normalisation in pyramid and heads, and deeper heads.
        trainable_stages: of the five stages of a backbone with weights, how many are trained; the papers train 3.
    """

    version: int = 1
    trainable_stages: int = 3

    @classmethod
    def expected(cls, options: Mapping[str, JSON]) -> NetworkInput:
        """ImageNet's mean and deviation, by torchvision's record of its weights."""
        if not (options.get("pretrained") or options.get("weights")):
            return NetworkInput()
        published = _resnet50(options.get("version", 1)).transforms()
        return NetworkInput(Preprocessing(tuple(published.mean), tuple(published.std)))

    def __call__(self, num_classes: int, masks: bool, **options: Any) -> FasterRCNN:  # those of FasterRCNN
        if self.version not in (1, 2) or not 0 <= self.trainable_stages <= 5:
            raise InputError(
                f"version must be 1 or 2 and trainable_stages 0 to 5, got {self.version} and {self.trainable_stages}"
            )
        makers = {
            (1, False): fasterrcnn_resnet50_fpn,
            (1, True): maskrcnn_resnet50_fpn,
            (2, False): fasterrcnn_resnet50_fpn_v2,
            (2, True): maskrcnn_resnet50_fpn_v2,
        }
        weights = _resnet50(self.version)
        try:
            with impatient():
                network: FasterRCNN = makers[self.version, masks](
                    weights=None,
                    weights_backbone=weights if self.pretrained else None,
                    trainable_backbone_layers=self.trainable_stages if self.pretrained else None,
                    num_classes=num_classes,
                    **options,
                )
        except OSError as error:  # the download
            raise InputError(
                f"no pretrained weights for ResNet-50 ({first_line(error)}): give a local file with weights (--weights "
                "FILE), or leave out pretrained"
            ) from error
        if self.weights is not None:
            body = network.backbone.body
            load_weights(body, self.weights)
            stages = ["layer4", "layer3", "layer2", "layer1", "conv1"][: self.trainable_stages]
            for name, parameter in body.named_parameters():
                parameter.requires_grad_(name.startswith(tuple(stages)) or self.trainable_stages == 5)
            if self.version == 1:  # as torchvision does with its own weights
                network.backbone.body = freeze_norms(body)
        return network


def _resnet50(version: int) -> ResNet50_Weights:
    """The published weights of a version."""
    return ResNet50_Weights.IMAGENET1K_V1 if version == 1 else ResNet50_Weights.IMAGENET1K_V2


@dataclass
class TimmFPN(DetectorBackbone):
    """Any timm backbone that gives feature maps, with a feature pyramid.

    Args:
        pretrained: start the backbone from timm's published weights, downloaded on first use.
        weights: start the backbone from this local file instead.
        name: timm model name.
        features: channels of the pyramid, and the width of the heads; 256 is torchvision's network.
        anchors: side of the anchors of the finest map in pixels; each coarser map doubles it.
        frozen_norms: whether the batch normalisation of the backbone keeps its statistics, as batches of a few images
            are too small for it; by default where the backbone starts from weights.
    """

    name: str = "resnet18"
    features: int = 256
    anchors: int = 32
    frozen_norms: bool | None = None

    @classmethod
    def expected(cls, options: Mapping[str, JSON]) -> NetworkInput:
        """Mean and deviation by timm's record of the weights."""
        from_weights = bool(options.get("pretrained") or options.get("weights"))
        return NetworkInput(timm_input(options.get("name", cls.name), from_weights).preprocessing)

    def __call__(self, num_classes: int, masks: bool, **options: Any) -> FasterRCNN:  # those of FasterRCNN
        body = make_timm(self.name, self.pretrained, features_only=True, **any_size(self.name))
        strides = body.feature_info.reduction()
        levels = [i for i, stride in enumerate(strides) if stride >= 4]
        if len(levels) < 2 or any(strides[i] != 4 * 2**place for place, i in enumerate(levels)):
            raise InputError(f"{self.name} has feature maps of strides {strides}: a pyramid needs 4, 8 and so on")
        check_any_size(body, self.name)
        if self.weights is not None:
            load_weights(body, self.weights)
        has_weights = self.pretrained or self.weights is not None
        if has_weights if self.frozen_norms is None else self.frozen_norms:
            body = freeze_norms(body)
        maps = [str(place) for place in range(len(levels))]
        sizes = tuple((self.anchors * 2**level,) for level in range(len(levels) + 1))  # the pyramid adds one by pooling
        width = self.features
        options = {
            "rpn_anchor_generator": AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * len(sizes)),
            "box_roi_pool": MultiScaleRoIAlign(maps, output_size=7, sampling_ratio=2),
            "box_head": TwoMLPHead(width * 7**2, 4 * width),
            "box_predictor": FastRCNNPredictor(4 * width, num_classes),
            **options,
        }
        backbone = _Pyramid(body, levels, width)
        if not masks:
            return FasterRCNN(backbone, **options)
        return MaskRCNN(
            backbone,
            mask_roi_pool=MultiScaleRoIAlign(maps, output_size=14, sampling_ratio=2),
            mask_head=MaskRCNNHeads(width, (width,) * 4, 1),
            mask_predictor=MaskRCNNPredictor(width, width, num_classes),
            **options,
        )


class _Pyramid(nn.Module):
    """Feature maps of a timm backbone, brought to one number of channels and mixed from coarse to fine."""

    def __init__(self, body: nn.Module, levels: Sequence[int], features: int) -> None:
        super().__init__()
        self.body, self.levels, self.out_channels = body, levels, features
        self.channels_last = getattr(body, "output_fmt", None) == "NHWC"
        channels = body.feature_info.channels()  # type: ignore[union-attr, operator]
        self.pyramid = FeaturePyramidNetwork([channels[i] for i in levels], features, LastLevelMaxPool())

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        maps = [level.permute(0, 3, 1, 2) if self.channels_last else level for level in self.body(images)]
        features: dict[str, Tensor] = self.pyramid({str(place): maps[i] for place, i in enumerate(self.levels)})
        return features
