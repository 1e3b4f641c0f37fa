"""Data modules for Lightning's Trainer; each can be read without one."""

from longtail.data.boxes.coco import COCO, LVIS
from longtail.data.clips.egtea import EGTEA
from longtail.data.clips.folder import VideoFolder, VideoTable
from longtail.data.images.cifar import CIFAR10LT, CIFAR100LT
from longtail.data.images.digits import DigitsLT
from longtail.data.images.folder import Folder, Table
from longtail.data.images.inaturalist import INaturalist2018
from longtail.data.images.published import ImageNetLT, PlacesLT
from longtail.data.pixels.benchmarks import ADE20K, CamVid, Cityscapes
from longtail.data.pixels.folder import SegmentationFolder
from longtail.data.sampling import DifficultySampling, PowerSampling, RepeatFactorSampling

__all__ = [
    "ADE20K",
    "CIFAR10LT",
    "CIFAR100LT",
    "COCO",
    "EGTEA",
    "LVIS",
    "CamVid",
    "Cityscapes",
    "DifficultySampling",
    "DigitsLT",
    "Folder",
    "INaturalist2018",
    "ImageNetLT",
    "PlacesLT",
    "PowerSampling",
    "RepeatFactorSampling",
    "SegmentationFolder",
    "Table",
    "VideoFolder",
    "VideoTable",
]
