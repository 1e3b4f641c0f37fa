"""Data modules for images with several labels or none: a table, or the files of a tool in a folder."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from longtail.data.images.dataset import WithDraw
from longtail.data.images.folder import Folder, OwnFiles, Table
from longtail.data.images.holding_out import hold_out_sets
from longtail.data.introduction import Located
from longtail.data.names import handed_on
from longtail.data.splits import Split
from longtail.errors import InputError
from longtail.files.formats.known import is_labels
from longtail.files.images.passed_over import PassedOver
from longtail.files.listing import Listing
from longtail.files.tables.label_sets import LabelSets
from longtail.messages import escape, some
from longtail.reports.grains import LABELS


class SeveralLabels(OwnFiles):
    """Base of the data modules whose images have several labels or none.

    Names of labels are separated by ``|`` in one column, or stand above columns of 0 and 1; an image may also come in
    several rows. What is held out keeps the share of every label on both sides.

    Args:
        classes: the names of the labels, in their order; by default those of the training images, sorted, or as the
            columns or the file have them.
        kwargs: see ``OwnFiles``.
    """

    several_labels = True
    packs = False
    grain = LABELS
    recipe = "multilabel/bce"
    picks_recipe: ClassVar[bool] = False
    needs: ClassVar[str] = (
        "give --data TABLE with a column of labels separated by |, or a column of 0 and 1 for each label, or a file or "
        "a folder of objects in COCO's format"
    )

    def __init__(self, classes: Sequence[str] | None = None, **kwargs: Any) -> None:  # the options of the base class
        super().__init__(**kwargs)
        self.columns = replace(self.columns, several=True)
        self.names = None if classes is None else list(classes)
        if self.names is not None and len(set(self.names)) < len(self.names):
            raise InputError(f"--data.classes has a name twice: {some(self.names)}")

    def finished(self, listings: dict[str, Listing], passed_over: PassedOver) -> dict[str, Listing]:
        """The listings, all of them of sets of labels."""
        for name, listing in listings.items():
            self._check(listing, self.apart.get(name, self.source))
        return super().finished(listings, passed_over)

    def list_labelled(self, split: str, classes: list[str]) -> Listing:
        """What a finished run is evaluated on, each image with its labels."""
        listing = super().list_labelled(split, classes)
        self._check(listing, self.source)
        return listing

    def _check(self, listing: Listing, where: Path | str) -> None:
        if not isinstance(listing, LabelSets):
            raise InputError(f"{escape(where)} has folders for classes, and each image one label: {self.needs}")

    def hold_out(
        self, listings: dict[str, Listing], fractions: dict[str, float]
    ) -> tuple[dict[str, Listing], dict[str, str]]:
        """Hold out the splits that are not there, label by label; see ``holding_out.hold_out_sets``."""
        return hold_out_sets(listings, fractions, self.split_seed)

    def split_of(self, images: WithDraw, listing: Listing) -> Split:
        """The images of a listing, each with its labels."""
        owners, targets = np.nonzero(listing.targets)
        return Split(images, targets.astype(np.int64), owners.astype(np.int64), len(listing))


class MultiLabelFolder(SeveralLabels, Folder):
    """Images of several labels in a folder with a file that says them, such as COCO's ``instances_train.json``.

    Args:
        root: the folder.
        kwargs: see ``SeveralLabels``.
    """

    movable: ClassVar[frozenset[str]] = Folder.movable

    @classmethod
    def located(cls, path: Path) -> Located:
        """The folder, or for ``MultiLabelTable`` a file."""
        if path.is_file():
            return handed_on(cls, MultiLabelFolder, MultiLabelTable.located(path))
        return super().located(path)


class MultiLabelTable(SeveralLabels, Table):
    """Images of several labels named by a table, or by a file of a tool such as COCO's ``instances_train.json``.

    Args:
        table: the training images.
        kwargs: see ``Table`` and ``SeveralLabels``.
    """

    movable: ClassVar[frozenset[str]] = Table.movable

    @classmethod
    def located(cls, path: Path) -> Located:
        """The file, or for ``MultiLabelFolder`` a folder."""
        if path.is_dir():
            return handed_on(cls, MultiLabelTable, Located(MultiLabelFolder, {"root": path}))
        if not is_labels(path, several=True):
            raise InputError(f"{escape(path)} is no table, as {cls.__name__} wants: {cls.needs}")
        return Located(cls, {"table": path})
