"""Sets of boxes and shapes in formats that are not COCO's."""

from pathlib import Path
from typing import Any, ClassVar

from longtail.data.boxes.base import DetectionData
from longtail.files.boxes.base import BoxSet
from longtail.files.boxes.labelme import LabelMeSet
from longtail.files.boxes.voc import VOCSet
from longtail.files.boxes.yolo import YOLOSet


class PascalVOC(DetectionData):
    """Pascal VOC, or a set of one's own with an XML file for each image, beside it or in ``Annotations/`` for images in
    ``JPEGImages/``. Splits are those of ``ImageSets/Main``, or folders; else all is for training.

    Args:
        root: folder of the set.
        kwargs: see ``DetectionData``.
    """

    short_name: ClassVar[str | None] = "voc"
    needs: ClassVar[str] = "give --data FOLDER, or --data voc --data.root FOLDER, with images and XML files"
    reader: ClassVar[type[BoxSet]] = VOCSet

    def __init__(self, root: Path, **kwargs: Any) -> None:  # the options of the base class
        super().__init__(root, **kwargs)


class YOLO(DetectionData):
    """Boxes or polygons in YOLO's format: a text file for each image, beside it or in ``labels/`` for images in
    ``images/``. Names and splits are those of ``data.yaml`` in ``root`` where there is one.

    Args:
        root: folder of the set.
        kwargs: see ``DetectionData``.
    """

    short_name: ClassVar[str | None] = "yolo"
    needs: ClassVar[str] = "give --data FOLDER, or --data yolo --data.root FOLDER, with images and text files"
    reader: ClassVar[type[BoxSet]] = YOLOSet

    def __init__(self, root: Path, **kwargs: Any) -> None:  # the options of the base class
        super().__init__(root, **kwargs)


class LabelMe(DetectionData):
    """Shapes as LabelMe writes them: a JSON file for each image, beside it or in a folder of its own. Splits are
    folders; else all is for training.

    Args:
        root: folder of the set.
        kwargs: see ``DetectionData``.
    """

    short_name: ClassVar[str | None] = "labelme"
    needs: ClassVar[str] = "give --data FOLDER, or --data labelme --data.root FOLDER, with images and JSON files"
    reader: ClassVar[type[BoxSet]] = LabelMeSet

    def __init__(self, root: Path, **kwargs: Any) -> None:  # the options of the base class
        super().__init__(root, **kwargs)
