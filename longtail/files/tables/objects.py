"""What the columns of a table have besides images: objects with boxes, masks of pixels, or a class of each image."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from longtail.errors import InputError
from longtail.files.tables.columnar import columnar
from longtail.files.tables.columns import likeliest_label, likeliest_path
from longtail.files.tables.features import features_of
from longtail.files.tables.nested import LINES, nested_fields, plain_columns
from longtail.files.tables.packed import image_columns
from longtail.messages import command, escape, some

# Names of columns and fields, the likelier first.
_COLUMNS = ("objects", "annotations", "instances", "labels")
_BOXES = ("bbox", "bboxes", "box", "boxes")
_LABELS = tuple(
    "category categories label labels class classes class_label class_labels category_name category_names class_name "  # noqa: SIM905
    "class_names name names category_id category_ids label_id label_ids class_id class_ids".split()
)
_AREAS, _CROWDS, _SHAPES = ("area", "areas"), ("iscrowd", "is_crowd", "crowd"), ("segmentation", "segmentations")
_MASKS = tuple(
    "mask masks label labels annotation annotations segmentation segmentation_mask seg_mask semantic_mask "  # noqa: SIM905
    "semantic_segmentation label_map labelmap target ground_truth gt".split()
)


class Objects(NamedTuple):
    """Where the objects of an image stand in its row.

    Attributes:
        column: a structure of lists, or a list of structures; empty where the fields are columns themselves.
        box, label: the fields of the boxes and the classes.
        area, crowd, shape: those of what an object may have besides; None for none.
    """

    column: str
    box: str
    label: str
    area: str | None = None
    crowd: str | None = None
    shape: str | None = None

    @property
    def columns(self) -> list[str]:
        """The columns to read."""
        return [self.column] if self.column else [name for name in self[1:] if name is not None]

    @property
    def place(self) -> str:
        """What the field of the classes is called in ``Features.inner``."""
        return f"{self.column}.{self.label}" if self.column else self.label


def find_objects(file: Path) -> Objects | None:
    """Where a table has objects with boxes and classes; None where it has none.

    Raises:
        InputError: it cannot be read, or several columns have objects.
    """
    fields = nested_fields(file)
    candidates = [objects for name, names in fields.items() if names and (objects := _objects(name, names))]
    if len(candidates) > 1:
        likely = [objects for name in _COLUMNS for objects in candidates if objects.column == name]
        if not likely:
            names = some([objects.column for objects in candidates])
            raise InputError(f"{escape(file)}: several columns have boxes, {names}: keep one of them")
        candidates = likely
    if candidates:
        return candidates[0]
    return _objects("", {name for name, names in fields.items() if names is None})


def _objects(column: str, names: Collection[str]) -> Objects | None:
    box, label, area, crowd, shape = (
        next((name for name in known if name in names), None) for known in (_BOXES, _LABELS, _AREAS, _CROWDS, _SHAPES)
    )
    return None if box is None or label is None else Objects(column, box, label, area, crowd, shape)


class Masked(NamedTuple):
    """The columns of images and of their masks."""

    image: str
    mask: str


def find_masks(file: Path, image: str | None = None, mask: str | None = None) -> Masked | None:
    """Where a table has images and masks of their pixels; None where it has none.

    Args:
        file: the table.
        image, mask: the columns, as far as they are known; else the likeliest by their headers.

    Raises:
        InputError: the file cannot be read, has not such a column, or it cannot be told which one has the images.
    """
    if file.suffix.lower() == LINES:
        return None
    with columnar(file) as table:
        schema = table.schema
    columns = image_columns(file, schema, features_of(file, schema))
    for option, column in (("path_column", image), ("mask_column", mask)):
        if column is not None and column not in columns:
            there = f"only {some(columns, 10)}" if columns else "and no other"
            raise InputError(f"{command(f'--data.{option}', column)}: {escape(file)} has no such images, {there}")
    mask = mask or next((name for name in _MASKS if name in columns and name != image), None)
    rest = [name for name in columns if name != mask]
    if mask is None or not rest:
        return None
    image = image or (rest[0] if len(rest) == 1 else likeliest_path(rest))
    if image is None:
        way_out = command("--data.path_column", rest[0])
        raise InputError(f"{escape(file)}: which column has the images? There are {some(rest, 10)}: give {way_out}")
    return Masked(image, mask)


def has_classes(file: Path) -> bool:
    """Whether a table has a column of one class for each image; raises ``InputError`` where it cannot be read."""
    return likeliest_label(plain_columns(file)) is not None
