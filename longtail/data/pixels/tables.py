"""Semantic segmentation of sets whose images and masks are columns of tables, as Hugging Face's hub has them."""

import logging
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from longtail.augment.pixels import IGNORED
from longtail.data.introduction import Located
from longtail.data.pixels.folder import SegmentationFolder
from longtail.files.cache import kept_in
from longtail.files.pixels.pairs import ByteArray, Pairs, lookup_table
from longtail.files.pixels.tables import mask_pairs, mask_tables, names_by_value
from longtail.files.tables.configurations import configuration
from longtail.files.tables.files import shards_words
from longtail.plain import AnyPath

logger = logging.getLogger(__name__)


class MaskTables(SegmentationFolder):
    """Parquet or Arrow files with a column of images and one of masks, PNGs of the size of the image. Splits are those
    of the head of README.md, or told by the names of the files or their folders.

    The names of the classes are those of ``id2label.json`` or ``classes.txt``, or of a table of colours.

    Args:
        root: the folder.
        configuration: which one of a set that has several in the head of its README.md; by default the one that this
            makes the default.
        path_column, mask_column: headers of the columns of the images and the masks; by default the likeliest.
        kwargs: see ``SegmentationFolder``.
    """

    short_name: ClassVar[str | None] = "mask_tables"
    needs: ClassVar[str] = "give --data FOLDER, or --data mask_tables --data.root FOLDER, with tables and classes.txt"
    places: ClassVar[frozenset[str]] = SegmentationFolder.places | {"configuration", "path_column", "mask_column"}

    def __init__(
        self,
        root: AnyPath,
        configuration: str | None = None,
        path_column: str | None = None,
        mask_column: str | None = None,
        **kwargs: Any,  # the options of the base class
    ) -> None:
        super().__init__(root, **kwargs)
        self.configuration, self.path_column, self.mask_column = configuration, path_column, mask_column

    @classmethod
    def located(cls, path: Path) -> Located:
        """The folder ``root``."""
        return super(SegmentationFolder, cls).located(path)

    @cached_property
    def _by_value(self) -> dict[int, str]:
        """The names of id2label.json, where nothing else says them."""
        if self.colour_file is not None or self.class_file.is_file() or self.values is not None:
            return {}
        return {value: name for value, name in names_by_value(self.root).items() if value != self.ignore_index}

    def read_classes(self) -> list[str]:
        return list(self._by_value.values()) or super().read_classes()

    def table(self, classes: Sequence[str]) -> ByteArray:
        if not self._by_value:
            return super().table(classes)
        return lookup_table({self.ignore_index: IGNORED} | {value: c for c, value in enumerate(self._by_value)})

    def find(self) -> dict[str, Pairs]:
        config = configuration(self.root, self.configuration)
        self.home = kept_in(config.folder, "images")
        tables = mask_tables(config, self.path_column, self.mask_column)
        places = {split: shards_words(self.root, [file for file, _ in its]) for split, its in tables.items()}
        masked = next(iter(tables.values()))[0][1]
        words = ", ".join(f"{split} in {place}" for split, place in places.items())
        columns = f"images in column {masked.image}, masks in column {masked.mask}"
        logger.info(f"{self.source}: {config.words}read as masks in tables: {words}; {columns}")
        return {split: mask_pairs(config, its) for split, its in tables.items()}
