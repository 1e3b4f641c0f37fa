from .boxes.coco import COCO, LVIS
from .boxes.other_formats import CVAT, YOLO, LabelMe, PascalVOC
from .boxes.tables import BoxTables
from .clips.egtea import EGTEA
from .clips.folder import VideoFolder, VideoTable
from .images.cifar import CIFAR10LT, CIFAR100LT
from .images.digits import DigitsLT
from .images.folder import Folder, Table
from .images.inaturalist import INaturalist2018
from .images.published import ImageNetLT, PlacesLT
from .images.several_labels import MultiLabelFolder, MultiLabelTable
from .images.shards import Shards
from .pixels.benchmarks import ADE20K, CamVid, Cityscapes
from .pixels.folder import SegmentationFolder
from .pixels.polygons import PolygonFolder
from .pixels.tables import MaskTables
from .sampling import DifficultySampling, PowerSampling, RepeatFactorSampling

__all__ = [
    "ADE20K",
    "CIFAR10LT",
    "CIFAR100LT",
    "COCO",
    "CVAT",
    "EGTEA",
    "LVIS",
    "YOLO",
    "BoxTables",
    "CamVid",
    "Cityscapes",
    "DifficultySampling",
    "DigitsLT",
    "Folder",
    "INaturalist2018",
    "ImageNetLT",
    "LabelMe",
    "MaskTables",
    "MultiLabelFolder",
    "MultiLabelTable",
    "PascalVOC",
    "PlacesLT",
    "PolygonFolder",
    "PowerSampling",
    "RepeatFactorSampling",
    "SegmentationFolder",
    "Shards",
    "Table",
    "VideoFolder",
    "VideoTable",
]
