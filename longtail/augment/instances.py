"""Augmentation of images with boxes and masks, one at a time, by the transforms of torchvision."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, TypedDict, cast

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from longtail.errors import InputError


class _Boxes(TypedDict):
    boxes: Tensor
    labels: Tensor


class BoxTarget(_Boxes, total=False):
    """The n instances of an image: ``boxes`` (n, 4) as x1, y1, x2, y2 in pixels, ``labels`` (n,) int64 in 0..C-1, and
    perhaps ``masks`` uint8 (n, H, W)."""

    masks: Tensor


class InstanceView(ABC):
    """What a training image and its instances go through.

    Images are uint8 (3, H, W), with a ``BoxTarget`` each. Instances that are cut off altogether, or less than a pixel
    large, are left out. Random numbers come from torch.

    Attributes:
        cuts: whether it cuts images. Where there are masks, the boxes are then those around what is left of them.
        sizes: names of the arguments that say how large the images become.
    """

    cuts: ClassVar[bool] = False
    sizes: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def transform(self) -> v2.Transform:
        """The transform of an image and its target."""

    def __call__(self, image: Tensor, target: BoxTarget) -> tuple[Tensor, BoxTarget]:
        """Augment an image and its target."""
        size = (image.shape[-2], image.shape[-1])
        boxes: Any = tv_tensors.BoundingBoxes(target["boxes"], format="XYXY", canvas_size=size)
        annotated: dict[str, Any] = {**target, "boxes": boxes}
        if "masks" in target:
            annotated["masks"] = tv_tensors.Mask(target["masks"])
        # A resized box can end outside of the image by a rounding error, and would be left out.
        transform = v2.Compose([self.transform(), v2.ClampBoundingBoxes(), v2.SanitizeBoundingBoxes()])
        picture, instances = transform(tv_tensors.Image(image), annotated)
        plain = {name: value.as_subclass(Tensor) for name, value in instances.items()}
        plain = _fitted(plain) if self.cuts and "masks" in plain else plain
        return picture.as_subclass(Tensor), cast(BoxTarget, plain)


def _fitted(target: dict[str, Tensor]) -> dict[str, Tensor]:
    """The instances of which the mask shows anything, with the boxes around that."""
    masks = target["masks"]
    columns, rows = masks.amax(1), masks.amax(2)  # (n, W) and (n, H)
    first = [columns.argmax(1), rows.argmax(1)]
    last = [masks.shape[2] - columns.flip(1).argmax(1), masks.shape[1] - rows.flip(1).argmax(1)]
    visible = rows.amax(1) > 0
    fitted = {**target, "boxes": torch.stack(first + last, 1).to(target["boxes"])}
    return {name: value[visible] for name, value in fitted.items()}


class MultiScale(InstanceView):
    """A random flip, and the shorter side resized to one of several lengths.

    Args:
        min_sizes: lengths of the shorter side in pixels, one of which is drawn; the papers take 640 to 800 by 32.
        max_size: longest side allowed, in pixels.
        flip: probability of the flip.
    """

    sizes = ("min_sizes",)

    def __init__(
        self, min_sizes: Sequence[int] = (640, 672, 704, 736, 768, 800), max_size: int = 1333, flip: float = 0.5
    ) -> None:
        if not min_sizes or min(min_sizes) < 1 or max_size < 1 or not 0 <= flip <= 1:
            values = f"{list(min_sizes)}, {max_size} and {flip}"
            raise InputError(f"min_sizes and max_size are pixels, flip is a probability, got {values}")
        self.min_sizes, self.max_size, self.flip = list(min_sizes), max_size, flip

    def transform(self) -> v2.Transform:
        return v2.Compose([v2.RandomHorizontalFlip(self.flip), v2.RandomShortestSize(self.min_sizes, self.max_size)])


class LargeScaleJitter(InstanceView):
    """A random flip, a resize by a random factor, and a random crop of a fixed size, filled up where the image is
    smaller.

    Args:
        size: side of the crop in pixels.
        scale: least and greatest factor, relative to the size at which the image just fits into the crop.
        flip: probability of the flip.

    Source: Ghiasi et al., Simple copy-paste is a strong data augmentation method for instance segmentation, CVPR 2021,
    section 3.
    """

    cuts = True
    sizes = ("size",)

    def __init__(self, size: int = 1024, scale: tuple[float, float] = (0.1, 2.0), flip: float = 0.5) -> None:
        if size < 1 or not 0 < scale[0] <= scale[1] or not 0 <= flip <= 1:
            raise InputError(
                f"size is in pixels, scale two positive factors, flip a probability, got {size}, {scale} and {flip}"
            )
        self.size, self.scale, self.flip = size, scale, flip

    def transform(self) -> v2.Transform:
        side = (self.size, self.size)
        return v2.Compose(
            [
                v2.RandomHorizontalFlip(self.flip),
                v2.ScaleJitter(side, self.scale),
                v2.RandomCrop(side, pad_if_needed=True, fill={tv_tensors.Image: 128, tv_tensors.Mask: 0}),
            ]
        )


def with_seed(view: InstanceView, image: Tensor, target: BoxTarget, seed: int) -> tuple[Tensor, BoxTarget]:
    """Apply a view with random numbers of its own, so that the same seed gives the same result."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would do so on the GPUs as well, for good
        return view(image, target)
