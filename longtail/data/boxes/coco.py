"""COCO and LVIS, or any set in their formats."""

from typing import ClassVar

from longtail.data.boxes.base import DetectionData
from longtail.files.boxes.base import BoxSet
from longtail.files.boxes.coco import COCOSet, LVISSet


class COCO(DetectionData):
    """COCO, or a set of one's own in its format: ``annotations/instances_train*.json`` in ``root``, or the file right
    in it, beside folders of images of the same names (``train2017/`` for ``instances_train2017.json``); or as Roboflow
    writes it, ``train/_annotations.coco.json`` with the images beside it.

    Its options are those of ``DetectionData``.
    """

    short_name: ClassVar[str | None] = "coco"
    needs: ClassVar[str] = "give --data FOLDER, or --data coco --data.root FOLDER, with images and annotations"
    reader: ClassVar[type[BoxSet]] = COCOSet


class LVIS(DetectionData):
    """LVIS v1: ``lvis_v1_train.json`` and ``lvis_v1_val.json`` in ``root`` or its ``annotations/``, beside COCO's
    ``train2017/`` and ``val2017/``. Classes are known only partly in an image, as the evaluation respects.

    Its options are those of ``DetectionData``.
    """

    short_name: ClassVar[str | None] = "lvis"
    needs: ClassVar[str] = "give --data lvis --data.root FOLDER, with images and annotations"
    reader: ClassVar[type[BoxSet]] = LVISSet
