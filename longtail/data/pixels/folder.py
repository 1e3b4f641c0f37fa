"""Semantic segmentation of a set of one's own."""

import logging
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from longtail.augment.pixels import IGNORED
from longtail.data.introduction import Located
from longtail.data.names import find_class, handed_on
from longtail.data.pixels.base import SegmentationData
from longtail.data.pixels.polygons import PolygonFolder
from longtail.data.splits import Splits
from longtail.errors import InputError
from longtail.files.archives import refuse_archives
from longtail.files.formats.layouts import check_layout, find_layouts
from longtail.files.formats.readers import Reader
from longtail.files.pixels.labels import ColourLabels, IndexLabels, PixelLabels, is_pascal_palette, read_colour_table
from longtail.files.pixels.layout import find_masks
from longtail.files.pixels.pairs import ByteArray, Pairs, lookup_table, read_text
from longtail.messages import escape, some
from longtail.plain import AnyPath

logger = logging.getLogger(__name__)

_COLOUR_FILES = ("labelmap.txt", "class_dict.csv", "colours.csv", "colors.csv", "label_colors.txt")
_PASCAL = (
    "background aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person "
    "pottedplant sheep sofa train tvmonitor"
)


class SegmentationFolder(SegmentationData):
    """A set of one's own: ``images/`` and ``annotations/`` in ``root``, each with train/, val/ and test/ or flat.

    The annotation of ``images/train/a/b.jpg`` is ``annotations/train/a/b.png``, with the index of the class as the
    value of each pixel; where it has a palette, its indices count. With a table of colours the colours count. Other
    names of the folders and other layouts that are known: see ``longtail.files.pixels.layout.find_masks``.

    Args:
        root: the folder.
        classes: text file with a class name in each line, in the order of their indices; by default classes.txt in
            ``root``.
        ignore_index: the value of pixels without a class.
        values: the value of each class, in their order; by default their indices.
        colours: text file with the name and the colour of each class; by default a labelmap.txt or class_dict.csv in
            ``root``, where there is no classes.txt.
        kwargs: see ``SegmentationData``.
    """

    needs: ClassVar[str] = "give --data FOLDER with images/, annotations/ and classes.txt"

    places: ClassVar[frozenset[str]] = frozenset({"classes", "colours"})

    def __init__(
        self,
        root: AnyPath,
        classes: AnyPath | None = None,
        ignore_index: int = 255,
        values: list[int] | None = None,
        colours: AnyPath | None = None,
        **kwargs: Any,  # the options of the base class
    ) -> None:
        super().__init__(root, **kwargs)
        if not 0 <= ignore_index <= 255:
            raise InputError(f"ignore_index is a value of a pixel, from 0 to 255, got {ignore_index}")
        if values is not None and (len(set(values)) < len(values) or not all(0 <= value <= 255 for value in values)):
            raise InputError(f"values are those of pixels, from 0 to 255, another for each class, got {values}")
        if colours is not None and (values is not None or classes is not None):
            raise InputError("colours has the names of the classes and stands for values: leave out --data.classes")
        self.class_file = self.root / "classes.txt" if classes is None else Path(classes)
        self.given_colours = None if colours is None else Path(colours)
        self.ignore_index, self.values = ignore_index, values

    @classmethod
    def located(cls, path: Path) -> Located:
        """The folder ``root``; for ``MaskTables`` where the masks are in tables, for ``PolygonFolder`` where there are
        none, but shapes that can be drawn."""
        own = super().located(path)
        layouts = find_layouts(path)
        if {layout.reader for layout in layouts if layout.grain == "pixels"} == {Reader.MASK_TABLES}:
            tables = find_class(Reader.MASK_TABLES)  # which is derived from this one
            return handed_on(cls, SegmentationFolder, Located(tables, {"root": path}))
        grains = {layout.grain for layout in layouts}
        if "boxes" not in grains or "pixels" in grains:
            return own
        return handed_on(cls, SegmentationFolder, Located(PolygonFolder, {"root": path}))

    @cached_property
    def colour_file(self) -> Path | None:
        """The table of colours; None where the values count."""
        if self.given_colours is not None or self.class_file.is_file():
            return self.given_colours
        return next((self.root / name for name in _COLOUR_FILES if (self.root / name).is_file()), None)

    def read_classes(self) -> list[str]:
        check_layout(self.root, "pixels")
        if self.colour_file is not None:
            return read_colour_table(self.colour_file)[0]
        if not self.class_file.is_file() and self._has_pascal_palette():
            logger.info(f"{self.source}: masks with the palette of Pascal VOC, so the classes are its 21")
            return _PASCAL.split()
        names = [line.strip() for line in read_text(self.class_file).rstrip().splitlines()]
        if "" in names:
            raise InputError(f"{escape(self.class_file)}, line {names.index('') + 1}: a class without a name")
        return names

    def _has_pascal_palette(self) -> bool:
        pairs = self.find() if (self.root / "SegmentationClass").is_dir() else {}
        masks = [mask for split in pairs.values() for mask in split.annotations[:1]]
        return bool(masks) and all(map(is_pascal_palette, masks))

    def reader(self, classes: Sequence[str]) -> PixelLabels:
        if self.colour_file is not None:
            colours = read_colour_table(self.colour_file)[1]
            return ColourLabels(colours, np.arange(len(colours), dtype=np.uint8), self.colour_file)
        return IndexLabels(self.table(classes), len(classes))

    def table(self, classes: Sequence[str]) -> ByteArray:
        values = range(len(classes)) if self.values is None else self.values
        if len(values) != len(classes):
            raise InputError(
                f"values has {len(values)} values, and there are {len(classes)} classes: give one for each"
            )
        return lookup_table({self.ignore_index: IGNORED} | {value: c for c, value in enumerate(values)})

    def find(self) -> dict[str, Pairs]:
        try:
            pairs = find_masks(self.root, needs_train=self.trained is None or self.recall is not None)
        except InputError:
            refuse_archives(self.root)
            raise
        how = "indices" if self.colour_file is None else f"the colours of {self.colour_file.name}"
        logger.info(f"{self.source}: read as images with a PNG of {how} for each: {', '.join(pairs)}")
        return pairs

    def check(self, splits: Splits) -> None:
        """As in the base; and no class is taken for what is ignored."""
        self._check_ignored()
        super().check(splits)

    def _check_ignored(self) -> None:
        """Say where a class may stand for nothing because its value is ignored.

        Raises:
            InputError: pixels of a single class are left.
        """
        counted = [part.pixels for part in self.parts.values()]
        ignored = sum(int(pixels.ignored.sum()) for pixels in counted)
        per_class = np.sum([pixels.per_class(len(self.names)) for pixels in counted], axis=0)
        empty = [self.names[c] for c in np.flatnonzero(per_class == 0)]
        if not empty or not ignored or self.colour_file is not None or self.values is not None:
            return
        value = self.ignore_index
        what = (
            f"{self.source}: no pixel is {some(empty)}, and {ignored:,} pixels have the value {value}, which is ignored"
        )
        example = f"[0, {value}]" if len(self.names) == 2 else "[...]"
        way_out = f'if it stands for a class, give the value of each in their order, --data.values "{example}"'
        if len(empty) == len(self.names) - 1:
            raise InputError(f"{what}: {way_out}")
        logger.info(f"{what}; {way_out}")
