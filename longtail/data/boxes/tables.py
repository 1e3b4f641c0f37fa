"""Sets of boxes in tables, as Hugging Face's ``datasets`` and its hub have them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from longtail.data.boxes.base import DetectionData
from longtail.files.boxes.base import BoxSet
from longtail.files.boxes.forms import Form
from longtail.files.boxes.tables import TableSet
from longtail.plain import AnyPath


class BoxTables(DetectionData):
    """Parquet or Arrow files with images and a column of objects, or ``metadata.jsonl`` beside the images. Splits are
    those of the head of README.md, or told by the names of the files or their folders.

    Args:
        root: the folder.
        configuration: which one of a set that has several in the head of its README.md; by default the one that this
            makes the default.
        path_column: header of the column of the images; by default the likeliest.
        box_form: what the four numbers of a box are: "xywh" for x, y, width, height, "xyxy" for two corners, "cxcywh"
            for the centre, width and height. By default the first, unless the boxes do not fit their images so.
        kwargs: see ``DetectionData``.
    """

    short_name: ClassVar[str | None] = "box_tables"
    needs: ClassVar[str] = (
        "give --data FOLDER, or --data box_tables --data.root FOLDER, with tables of images and boxes"
    )
    places: ClassVar[frozenset[str]] = DetectionData.places | {"configuration", "path_column", "box_form"}
    reader: ClassVar[type[BoxSet]] = TableSet

    def __init__(
        self,
        root: AnyPath,
        configuration: str | None = None,
        path_column: str | None = None,
        box_form: Form | None = None,
        **kwargs: Any,  # the options of the base class
    ) -> None:
        super().__init__(root, **kwargs)
        self.configuration, self.path_column, self.box_form = configuration, path_column, box_form

    def open(self, paths: Mapping[str, Path]) -> BoxSet:
        """As in the base, with what was said of its tables."""
        return TableSet(self.root, paths, self.configuration, self.path_column, self.box_form)
