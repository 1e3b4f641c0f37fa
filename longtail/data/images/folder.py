"""Data modules for images in files: a folder of class folders, or a table of paths and labels."""

import logging
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

from longtail.data.base import Located
from longtail.data.images.files import FileData
from longtail.data.names import handed_on
from longtail.errors import InputError
from longtail.files.folder import scan_folder
from longtail.files.labelled import read_labelled, start_of_paths, without_files
from longtail.files.layouts import check_layout, refuse_boxes
from longtail.files.listing import Listing
from longtail.files.table import is_table, read_table
from longtail.messages import shown, some

logger = logging.getLogger(__name__)


class OwnFiles(FileData):
    """Base of the data modules for images of one's own, whose other splits may be given apart.

    Args:
        val: table of the validation images, or a folder with a folder for each class; without it they are held out of
            the training images.
        test: table or folder of the test images.
        path_column: header of the column with the paths, in every table.
        label_column: header of the column with the labels.
        kwargs: see ``FileData``.
    """

    needs: ClassVar[str] = "give --data FOLDER with one subfolder of images for each class, or --data TABLE"
    places: ClassVar[frozenset[str]] = frozenset({"val", "test"})

    def __init__(
        self,
        val: Path | None = None,
        test: Path | None = None,
        path_column: str = "path",
        label_column: str = "label",
        **kwargs: Any,  # the options of the base class
    ) -> None:
        super().__init__(**kwargs)
        self.apart = {name: place for name, place in (("val", val), ("test", test)) if place is not None}
        self.columns = (path_column, label_column)

    def home_of(self, split: str, listing: Listing) -> Path:
        """The folder that is given for the split, or that of its table."""
        place = self.apart.get(split)
        if place is None:
            return self.home(listing)
        return place if place.is_dir() else place.parent


class Folder(OwnFiles):
    """Images in one folder for each class, below train/, val/ and test/ or flat.

    Images that ``val`` or ``test`` names are not trained on. Relative paths in these tables start from the folder of
    the table, or from ``root`` where the first of them is there alone.

    Args:
        root: the folder.
        kwargs: see ``OwnFiles``.
    """

    movable: ClassVar[frozenset[str]] = OwnFiles.movable | {"root", "val", "test"}

    def __init__(self, root: Path, **kwargs: Any) -> None:  # the options of the base class
        super().__init__(**kwargs)
        self.root = root

    @classmethod
    def located(cls, path: Path) -> Located:
        """The folder, or for ``Table`` a table."""
        if path.is_file() and is_table(path):
            return handed_on(cls, Folder, Located(Table, {"table": path}))
        return super().located(path)

    @property
    def source(self) -> str:
        """The folder."""
        return str(self.root)

    def home(self, listing: Listing) -> Path:
        """The folder."""
        return self.root

    def list_images(self) -> dict[str, Listing]:
        """List what lies below the class folders, and what is given apart."""
        check_layout(self.root, "images")
        others: Counter[str] = Counter()
        listings = scan_folder(self.root, self.kind, others)
        if others:
            suffixes = some([suffix for suffix, _ in others.most_common()])
            self.leave_out(others.total(), "file", f"of another kind ({suffixes})")
        first = next(iter(listings))
        for name, place in self.apart.items():
            if name in listings:
                raise InputError(f"{shown(self.root)} has a {name} folder: leave it or --data.{name} out")
            start = start_of_paths(place, self.root, self.columns)
            listings[name] = read_labelled(place, listings[first].classes, name, self.kind, self.columns, start)
            rest = without_files(listings[first], listings[name].paths)
            if held := len(listings[first]) - len(rest):
                logger.info(f"{held} {self.noun}s of {shown(self.root)} are in {shown(place)} and not trained on")
            listings[first] = rest
        return listings

    def list_labelled(self, split: str, classes: list[str]) -> Listing:
        """List what lies below the class folders, or in the folder of the split."""
        return read_labelled(self.root, classes, split, self.kind, self.columns)


class Table(OwnFiles):
    """Images named by a table: CSV, TSV, Parquet, or a list file with "path label" lines.

    Args:
        table: the training images.
        root: folder that relative paths start from; by default that of the table.
        kwargs: see ``OwnFiles``.
    """

    movable: ClassVar[frozenset[str]] = OwnFiles.movable | {"table", "root", "val", "test"}
    places: ClassVar[frozenset[str]] = OwnFiles.places | {"root"}

    def __init__(self, table: Path, root: Path | None = None, **kwargs: Any) -> None:  # the options of the base class
        super().__init__(**kwargs)
        self.table, self.root = table, root

    @classmethod
    def located(cls, path: Path) -> Located:
        """The table, or for ``Folder`` a folder."""
        if path.is_dir():
            return handed_on(cls, Table, Located(Folder, {"root": path}))
        refuse_boxes(path)
        if not is_table(path):
            raise InputError(f"{shown(path)} is no table, as {cls.__name__} wants: {cls.needs}")
        return Located(cls, {"table": path})

    @property
    def source(self) -> str:
        """The training table."""
        return str(self.table)

    def home(self, listing: Listing) -> Path:
        """The folder that relative paths start from."""
        return self.root or self.table.parent

    def list_images(self) -> dict[str, Listing]:
        """Read the tables; validation and test share the classes of the training table."""
        train = read_table(self.table, self.root, *self.columns, folders=self.kind.folders)
        others = {
            name: read_labelled(place, train.classes, name, self.kind, self.columns, self.root)
            for name, place in self.apart.items()
        }
        return {"train": train, **others}

    def list_labelled(self, split: str, classes: list[str]) -> Listing:
        """Read the table."""
        return read_labelled(self.table, classes, split, self.kind, self.columns, self.root)
