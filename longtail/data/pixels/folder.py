"""Semantic segmentation of a set of one's own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from longtail.augment.pixels import IGNORED
from longtail.data.pixels.base import SegmentationData
from longtail.errors import InputError
from longtail.files.layouts import check_layout
from longtail.files.pixels.pairs import ByteArray, Pairs, find_splits, lookup_table, read_text
from longtail.messages import shown


class SegmentationFolder(SegmentationData):
    """A set of one's own: ``images/`` and ``annotations/`` in ``root``, each with train/, val/ and test/ or flat.

    The annotation of ``images/train/a/b.jpg`` is ``annotations/train/a/b.png``, with the index of the class as the
    value of each pixel; where it has a palette, its indices count.

    Args:
        root: the folder.
        classes: text file with a class name in each line, in the order of their indices; by default classes.txt in
            ``root``.
        ignore_index: the value of pixels without a class.
        kwargs: see ``SegmentationData``.
    """

    needs: ClassVar[str] = "give --data FOLDER with images/, annotations/ and classes.txt"

    places: ClassVar[frozenset[str]] = frozenset({"classes"})

    def __init__(
        self, root: Path, classes: Path | None = None, ignore_index: int = 255, **kwargs: Any
    ) -> None:  # the options of the base class
        super().__init__(root, **kwargs)
        if not 0 <= ignore_index <= 255:
            raise InputError(f"ignore_index is a value of a pixel, from 0 to 255, got {ignore_index}")
        self.class_file, self.ignore_index = classes or root / "classes.txt", ignore_index

    def read_classes(self) -> list[str]:
        check_layout(self.root, "pixels")
        names = [line.strip() for line in read_text(self.class_file).rstrip().splitlines()]
        if "" in names:
            raise InputError(f"{shown(self.class_file)}, line {names.index('') + 1}: a class without a name")
        return names

    def table(self, classes: Sequence[str]) -> ByteArray:
        return lookup_table({**{c: c for c in range(len(classes))}, self.ignore_index: IGNORED})

    def find(self) -> dict[str, Pairs]:
        return find_splits(self.root, needs_train=self.trained is None)
