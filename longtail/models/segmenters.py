"""Networks from images to features of pixels, by segmentation-models-pytorch."""

import contextlib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from longtail.augment.preprocessing import Preprocessing
from longtail.errors import InputError
from longtail.messages import first_line, near_names
from longtail.models.backbones import any_size, check_any_size
from longtail.models.base import WithInput
from longtail.models.downloads import from_hub
from longtail.models.inputs import NetworkInput, timm_input
from longtail.models.weights import check_start, load_weights
from longtail.plain import JSON, AnyPath

Size = tuple[int, int]

LEFT_OUT = {"dpt", "pan"}  # the decoder takes more than the maps of the encoder; it fails on small images
POOLED = {"deeplabv3", "deeplabv3plus", "upernet"}  # with batch normalisation of a pooled image


class PixelBackbone(nn.Module, WithInput, ABC):
    """Images to a map of features.

    Shapes: images (N, 3, H, W) to features (N, num_features, h, w). The images are filled up with zeros on the right
    and below to whole multiples of the stride; `enlarge` leaves that out again.

    Attributes:
        num_features: length of a pixel's features.
        stride: what the network needs height and width to be a multiple of.
        least_batch: images that a step of training needs.
    """

    num_features: int
    stride: int = 1
    least_batch: int = 1

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """Features (N, num_features, h, w) of images whose sides are multiples of the stride."""

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[2:]
        new_height, new_width = self.filled((height, width))
        return self.features(F.pad(images, (0, new_width - width, 0, new_height - height)))

    def enlarge(self, maps: Tensor, size: Size) -> Tensor:
        """Maps (N, K, h, w), made from the features of images of the size (H, W), as (N, K, H, W); bilinear."""
        large = F.interpolate(maps, self.filled(size), mode="bilinear", align_corners=False)
        return large[..., : size[0], : size[1]]

    def filled(self, size: Size) -> Size:
        """The size to which images of a size (H, W) are filled up."""
        height, width = ((side + self.stride - 1) // self.stride * self.stride for side in size)  # as ONNX rounds too
        return height, width


class SMP(PixelBackbone):
    """Encoder and decoder of segmentation-models-pytorch, without its last layer.

    Args:
        name: of the encoder, such as "resnet50" or "mit_b2"; "tu-" and a timm name for any of timm's.
        architecture: "DeepLabV3Plus", "UPerNet", "Segformer", "FPN", "Unet" or another of that library.
        pretrained: start the encoder from its published ImageNet weights, downloaded on first use.
        weights: start the encoder from this local file instead (safetensors, or a torch file of tensors), or from a
            checkpoint or an export of a run, whose decoder is left out.
        options: further arguments of the architecture, such as ``{"encoder_depth": 4}``.

    Raises:
        InputError: if segmentation-models-pytorch is not installed, for an unknown name or option, weights that cannot
            be had, a file that does not fit, or an encoder that takes images of one size alone.
    """

    def __init__(
        self,
        name: str = "resnet50",
        architecture: str = "DeepLabV3Plus",
        pretrained: bool = False,
        weights: AnyPath | None = None,
        options: dict[str, Any] | None = None,  # of the architecture, for its library
    ) -> None:
        super().__init__()
        check_start(pretrained, weights)
        of_timm = name.startswith("tu-")
        sized = any_size(name.removeprefix("tu-")) if of_timm else {}
        network = _make(name, architecture, pretrained, {**sized, **(options or {})})
        self.encoder, self.decoder = network.encoder, network.decoder
        self.num_features = network.segmentation_head[0].in_channels
        self.stride = max(32, self.encoder.output_stride)
        self.least_batch = 2 if architecture.lower() in POOLED else 1
        if of_timm:
            check_any_size(self, name)
        if weights is not None:
            load_weights(self.encoder.model if of_timm else self.encoder, weights)

    @classmethod
    def expected(cls, options: Mapping[str, JSON]) -> NetworkInput:
        """The images that the weights of the encoder expect; the options are those of the class.

        timm keeps a record of its own. Those of the library's other encoders lie beside the published weights, so of a
        local file of these nothing is known.
        """
        name, pretrained = options.get("name", "resnet50"), bool(options.get("pretrained"))
        if name.startswith("tu-"):
            expected = timm_input(name.removeprefix("tu-"), bool(pretrained or options.get("weights")))
            return NetworkInput(expected.preprocessing)
        encoders = _library().encoders
        if not pretrained or name not in encoders.get_encoder_names():
            return NetworkInput()
        try:
            with from_hub():
                published = encoders.get_preprocessing_params(name)
        except (OSError, ValueError):  # said when the network is made
            return NetworkInput()
        return NetworkInput(Preprocessing(tuple(published["mean"]), tuple(published["std"])))

    def features(self, images: Tensor) -> Tensor:
        features: Tensor = self.decoder(self.encoder(images))
        return features


def _library() -> ModuleType:
    """segmentation-models-pytorch; raises InputError where it is not installed."""
    try:
        import segmentation_models_pytorch as smp
    except ImportError as error:
        raise InputError(
            'segmentation needs segmentation-models-pytorch: pip install "longtail[segmentation]"'
        ) from error
    module: ModuleType = smp
    return module


def _make(name: str, architecture: str, pretrained: bool, options: dict[str, Any]) -> Any:
    """A network of segmentation-models-pytorch; raises InputError."""
    smp = _library()
    architectures = {key: model for key, model in smp.MODEL_ARCHITECTURES_MAPPING.items() if key not in LEFT_OUT}
    if architecture.lower() not in architectures:
        names = ", ".join(sorted(model.__name__ for model in architectures.values()))
        raise InputError(f'unknown architecture "{architecture}": choose from {names}')
    encoders = smp.encoders.get_encoder_names()
    if name not in encoders and not name.startswith("tu-"):
        raise InputError(
            f'unknown encoder "{name}"{near_names(name, encoders)}. Any timm name works after "tu-", such as '
            "tu-convnext_tiny"
        )
    parameters = inspect.signature(architectures[architecture.lower()].__init__).parameters
    unknown = [] if name.startswith("tu-") else [option for option in options if option not in parameters]
    if unknown:  # timm names what it does not know, other encoders take it for nothing
        raise InputError(f'{architecture} has no option "{unknown[0]}"{near_names(unknown[0], list(parameters))}')
    start = True if name.startswith("tu-") else "imagenet"  # what the encoder takes for its published weights
    try:
        with from_hub() if pretrained else contextlib.nullcontext():
            return smp.create_model(
                architecture, name, encoder_weights=start if pretrained else None, classes=1, **options
            )
    except Exception as error:
        if not pretrained:
            raise InputError(f'cannot make {architecture} with the encoder "{name}": {first_line(error)}') from error
        raise InputError(
            f"no pretrained weights for {name} ({first_line(error)}): give a local file with weights (--weights FILE), "
            "or leave out pretrained"
        ) from error
