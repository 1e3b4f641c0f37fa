"""How images become what a network takes: size, central crop and normalisation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal

from longtail.augment.normalise import IMAGENET_MEAN, IMAGENET_STD, Normalise
from longtail.errors import InputError
from longtail.plain import JSON

Interpolation = Literal["bilinear", "bicubic"]
CropMode = Literal["center", "squash"]
Channels = tuple[float, float, float]


@dataclass(frozen=True)
class Resize:
    """How an image is brought to a size: the shorter side to ``size / crop``, and of that the centre.

    Args:
        interpolation: with antialiasing.
        crop: part of the shorter side that the central crop takes.
        crop_mode: "center" keeps the shape of what is shown; "squash" brings both sides to ``size / crop``.
    """

    interpolation: Interpolation = "bilinear"
    crop: float = 0.875
    crop_mode: CropMode = "center"

    def shorter(self, size: int) -> int:
        """The shorter side from which the central crop of ``size`` is cut."""
        return round(size / self.crop)

    def sides(self, width: int, height: int, size: int) -> tuple[int, int]:
        """Width and height that an image of this width and height is brought to, the longer one rounded down."""
        shorter = self.shorter(size)
        if self.crop_mode == "squash":
            return shorter, shorter
        return shorter * width // min(width, height), shorter * height // min(width, height)


@dataclass(frozen=True)
class Preprocessing:
    """What pretrained weights expect of images. None leaves a value to whatever comes after: the weights of the
    network, then the data set.

    Args:
        mean, std: of red, green and blue, on the scale of 0 ... 1.
        interpolation: how images are resized, with antialiasing.
        crop: part of the shorter side that the central crop of evaluation takes.
        crop_mode: "center" keeps the shape of what the central crop shows; "squash" brings both sides of an image to
            one length before it, so that with a crop of 1 all of the image is seen.

    Raises:
        InputError: if a deviation is not positive, or the crop outside (0, 1].
    """

    mean: Channels | None = None
    std: Channels | None = None
    interpolation: Interpolation | None = None
    crop: float | None = None
    crop_mode: CropMode | None = None

    def __post_init__(self) -> None:
        if self.std is not None and not all(value > 0 for value in self.std):
            raise InputError(f"std must be positive, got {list(self.std)}")
        if self.crop is not None and not 0 < self.crop <= 1:
            raise InputError(f"crop must be above 0 and at most 1, got {self.crop}")

    def over(self, other: Preprocessing) -> Preprocessing:
        """These values, and those of another where they are None."""
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        return Preprocessing(**{name: getattr(other, name) if value is None else value for name, value in own.items()})

    def parts(self) -> tuple[Normalise, Resize]:
        """Normalisation and resizing.

        Raises:
            ValueError: if a value is missing, but for the mode of the crop, which is then "center".
        """
        if self.mean is None or self.std is None or self.interpolation is None or self.crop is None:
            raise ValueError(f"every value has to be given, got {self}")
        return Normalise(self.mean, self.std), Resize(self.interpolation, self.crop, self.crop_mode or "center")


STANDARD = Preprocessing(IMAGENET_MEAN, IMAGENET_STD, "bilinear", 0.875)


def input_parts(record: Mapping[str, JSON]) -> tuple[Normalise, Resize]:
    """Normalisation and resizing, out of the record of what a network takes."""
    resize = Resize(record["interpolation"], record["crop"], record.get("crop_mode", "center"))
    return Normalise(record["mean"], record["std"]), resize
