"""Sets of boxes and shapes in formats that are not COCO's."""

from typing import ClassVar

from longtail.data.boxes.base import DetectionData
from longtail.files.boxes.base import BoxSet
from longtail.files.boxes.cvat import CVATSet
from longtail.files.boxes.labelme import LabelMeSet
from longtail.files.boxes.voc import VOCSet
from longtail.files.boxes.yolo import YOLOSet


class PascalVOC(DetectionData):
    """Pascal VOC, or a set of one's own with an XML file for each image, beside it or in ``Annotations/`` for images in
    ``JPEGImages/``. Splits are those of ``ImageSets/Main``, or folders; else all is for training.

    Its options are those of ``DetectionData``.
    """

    short_name: ClassVar[str | None] = "voc"
    needs: ClassVar[str] = "give --data FOLDER, or --data voc --data.root FOLDER, with images and XML files"
    reader: ClassVar[type[BoxSet]] = VOCSet


class YOLO(DetectionData):
    """Boxes or polygons in YOLO's format: a text file for each image, beside it or in ``labels/`` for images in
    ``images/``. Names and splits are those of ``data.yaml`` in ``root`` where there is one.

    Its options are those of ``DetectionData``.
    """

    short_name: ClassVar[str | None] = "yolo"
    needs: ClassVar[str] = "give --data FOLDER, or --data yolo --data.root FOLDER, with images and text files"
    reader: ClassVar[type[BoxSet]] = YOLOSet


class CVAT(DetectionData):
    """Boxes and shapes in CVAT's XML for images 1.1: ``annotations.xml`` with the images beside it or in ``images/``.
    Splits are the subsets of the project, or folders; else all is for training.

    Its options are those of ``DetectionData``.
    """

    short_name: ClassVar[str | None] = "cvat"
    needs: ClassVar[str] = "give --data FOLDER, or --data cvat --data.root FOLDER, with annotations.xml and images"
    reader: ClassVar[type[BoxSet]] = CVATSet


class LabelMe(DetectionData):
    """Shapes as LabelMe writes them: a JSON file for each image, beside it or in a folder of its own. Splits are
    folders; else all is for training.

    Its options are those of ``DetectionData``.
    """

    short_name: ClassVar[str | None] = "labelme"
    needs: ClassVar[str] = "give --data FOLDER, or --data labelme --data.root FOLDER, with images and JSON files"
    reader: ClassVar[type[BoxSet]] = LabelMeSet
