"""Data modules for Lightning's Trainer; each can be read without one."""

from longtail.data.cifar import CIFAR10LT, CIFAR100LT
from longtail.data.clips import EGTEA, VideoFolder, VideoTable
from longtail.data.detection import COCO, LVIS
from longtail.data.digits import DigitsLT
from longtail.data.file_data import Folder, Table
from longtail.data.imagenet import ImageNetLT
from longtail.data.inaturalist import INaturalist2018
from longtail.data.places import PlacesLT
from longtail.data.sampling import DifficultySampling, PowerSampling, RepeatFactorSampling
from longtail.data.scenes import ADE20K, CamVid, Cityscapes
from longtail.data.segmentation import SegmentationFolder

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
