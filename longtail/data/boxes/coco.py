"""COCO and LVIS, or any set in their formats."""

from pathlib import Path
from typing import Any, ClassVar

from longtail.data.boxes.base import DetectionData


class COCO(DetectionData):
    """COCO, or a set of one's own in its format: ``annotations/instances_train*.json`` in ``root``, or the file right
    in it, beside folders of images of the same names (``train2017/`` for ``instances_train2017.json``).

    Args:
        root: folder of the set.
        kwargs: see ``DetectionData``.
    """

    short_name: ClassVar[str | None] = "coco"
    needs: ClassVar[str] = "give --data FOLDER, or --data coco --data.root FOLDER, with images and annotations"
    patterns = ("annotations/instances_{split}*.json", "instances_{split}*.json")

    def __init__(self, root: Path, **kwargs: Any) -> None:  # the options of the base class
        super().__init__(root, **kwargs)

    def folder(self, file: Path) -> Path:
        """The folder of the name's end, or ``root`` where there is none."""
        folder = self.root / file.stem.removeprefix("instances_")
        return folder if folder.is_dir() else self.root


class LVIS(DetectionData):
    """LVIS v1: ``lvis_v1_train.json`` and ``lvis_v1_val.json`` in ``root`` or its ``annotations/``, beside COCO's
    ``train2017/`` and ``val2017/``. Classes are known only partly in an image, as the evaluation respects.

    Args:
        root: folder of the set.
        kwargs: see ``DetectionData``.
    """

    short_name: ClassVar[str | None] = "lvis"
    needs: ClassVar[str] = "give --data lvis --data.root FOLDER, with images and annotations"
    patterns = ("annotations/lvis_v1_{split}.json", "lvis_v1_{split}.json")

    def __init__(self, root: Path, **kwargs: Any) -> None:  # the options of the base class
        super().__init__(root, **kwargs)

    def folder(self, file: Path) -> Path:
        """``root``: the annotations name the folders as well."""
        return self.root
