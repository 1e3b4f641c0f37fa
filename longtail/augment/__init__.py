"""Augmentation of whole batches of uint8 images, with an own random draw for every image."""

from longtail.augment.base import Crop, Operator, View
from longtail.augment.blur import GaussianBlur
from longtail.augment.colour import ColourJitter, Greyscale
from longtail.augment.cutout import Cutout
from longtail.augment.geometric import HorizontalFlip, PadCrop, ResizedCrop, Rotation
from longtail.augment.growing import GrowingCrop
from longtail.augment.instances import InstanceView, LargeScaleJitter, MultiScale
from longtail.augment.mixing import CMO, CutMix, Mixing, MixUp, Remix
from longtail.augment.normalise import Normalise
from longtail.augment.pixels import PixelView, ScaleCropFlip
from longtail.augment.policies import AutoAugment, RandAugment
from longtail.augment.resizing import ProgressiveResizing
from longtail.augment.views import AutoAugmentView, BlurredView, ClassifierView, PlainView, RandView, SimView

__all__ = [
    "CMO",
    "AutoAugment",
    "AutoAugmentView",
    "BlurredView",
    "ClassifierView",
    "ColourJitter",
    "Crop",
    "CutMix",
    "Cutout",
    "GaussianBlur",
    "Greyscale",
    "GrowingCrop",
    "HorizontalFlip",
    "InstanceView",
    "LargeScaleJitter",
    "MixUp",
    "Mixing",
    "MultiScale",
    "Normalise",
    "Operator",
    "PadCrop",
    "PixelView",
    "PlainView",
    "ProgressiveResizing",
    "RandAugment",
    "RandView",
    "Remix",
    "ResizedCrop",
    "Rotation",
    "ScaleCropFlip",
    "SimView",
    "View",
]
