"""Which class of ``longtail.data`` reads what, for whoever names one before it is imported, which takes seconds.

Classes are named here alone, and a test holds the names against the classes.
"""

from __future__ import annotations

from enum import Enum

from longtail.files.images.folder import IMAGES, VIDEOS, Kind


class Reader(str, Enum):
    """A class of ``longtail.data``, equal to its name there.

    Attributes:
        kind: what the rows of a table name, where the class reads one with one label a row; else None.
    """

    kind: Kind | None

    def __new__(cls, name: str, kind: Kind | None = None) -> Reader:
        """Of a name and a kind."""
        reader = str.__new__(cls, name)
        reader._value_, reader.kind = name, kind
        return reader

    FOLDER = "Folder", IMAGES
    TABLE = "Table", IMAGES
    SHARDS = "Shards", IMAGES
    VIDEO_FOLDER = "VideoFolder", VIDEOS
    VIDEO_TABLE = "VideoTable", VIDEOS
    COCO = "COCO"
    PASCAL_VOC = "PascalVOC"
    YOLO = "YOLO"
    LABELME = "LabelMe"
    CVAT = "CVAT"
    BOX_TABLES = "BoxTables"
    SEGMENTATION_FOLDER = "SegmentationFolder"
    MASK_TABLES = "MaskTables"
    CITYSCAPES = "Cityscapes"
    CAMVID = "CamVid"

    @property
    def path(self) -> str:
        """Where the class is imported from."""
        return f"longtail.data.{self.value}"


def reader_of(path: str) -> Reader | None:
    """The reader that an import path or a bare name stands for; None for another class."""
    return next((reader for reader in Reader if path in (reader.path, reader.value)), None)
