"""Data modules for images in files: a folder of class folders, or a table of paths and labels."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar

from longtail.data.images.files import FileData
from longtail.data.introduction import Located
from longtail.data.names import find_class, handed_on
from longtail.errors import InputError
from longtail.files.formats.known import is_labels, read_file, read_folder, read_labelled
from longtail.files.formats.layouts import check_layout, check_tables, refuse_boxes
from longtail.files.formats.readers import Reader
from longtail.files.images.folder import scan_folder
from longtail.files.images.passed_over import PassedOver, Why
from longtail.files.listing import Listing
from longtail.files.tables.columns import Columns
from longtail.files.tables.configurations import configuration
from longtail.files.tables.entries import Reading
from longtail.files.tables.groups import tell_shared, with_groups
from longtail.files.tables.labelled import start_of_paths, without_files
from longtail.files.tables.places import unnamed
from longtail.messages import escape, plural
from longtail.plain import AnyPath

logger = logging.getLogger(__name__)


class OwnFiles(FileData):
    """Base of the data modules for images of one's own, whose other splits may be given apart.

    Args:
        val: table of the validation images, or a folder with a folder for each class; without it they are held out of
            the training images.
        test: table or folder of the test images.
        path_column: header of the column with the paths, in every table; by default the likeliest.
        label_column: header of the column with the labels; by default the likeliest.
        group: what must not lie on both sides of a split, such as a patient or a place: a column of the table, a field
            of the images in a JSON file, or a regular expression with one group that is searched in the path.
        kwargs: see ``FileData``.
    """

    needs: ClassVar[str] = "give --data FOLDER with one subfolder of images for each class, or --data TABLE"
    split_options: ClassVar[frozenset[str]] = FileData.split_options | {"group"}
    roots: ClassVar[frozenset[str]] = frozenset({"root", "val", "test"})
    places: ClassVar[frozenset[str]] = frozenset({"val", "test"})
    picks_recipe: ClassVar[bool] = True
    names: list[str] | None = None  # of the classes, where they are given

    def __init__(
        self,
        val: AnyPath | None = None,
        test: AnyPath | None = None,
        path_column: str | None = None,
        label_column: str | None = None,
        group: str | None = None,
        **kwargs: Any,  # the options of the base class
    ) -> None:
        super().__init__(**kwargs)
        self.apart = {name: Path(place) for name, place in (("val", val), ("test", test)) if place is not None}
        self.columns = Columns(path_column, label_column, group)

    @property
    def reading(self) -> Reading:
        """How files about images are read; what is left out is counted here. What is gone the record of a run tells."""
        return Reading(self.kind, self.columns, self.skip_bad_images or self.recall is not None)

    def finished(self, listings: dict[str, Listing], passed_over: PassedOver) -> dict[str, Listing]:
        """The listings, with groups where they are wanted or packed; what was passed over is told."""
        for count, noun, reason, why in passed_over.counts(self.noun):
            if why is not Why.GONE or self.recall is None:
                self.leave_out(count, noun, reason, why)
        group = self.columns.group
        if group is not None:
            listings = {name: with_groups(listing, group, self.source) for name, listing in listings.items()}
        tell_shared({name: listing.groups for name, listing in listings.items()}, self.noun)
        return listings

    def tell_unnamed(self, listings: Mapping[str, Listing]) -> None:
        """Say how many images lie beside those that files name, and are in no row that is used."""
        if self.recall is not None:
            return
        parts = [listing.paths for listing in listings.values() if listing.home is None]
        paths = parts[0] if len(parts) == 1 else dict.fromkeys(chain.from_iterable(parts))
        if others := unnamed(paths, self.kind):
            files = plural(len(others), self.noun)
            logger.info(f"{self.source}: left out {files} that no row in use names, such as {escape(others[0])}")
            self.leave_out(len(others), self.noun, "that no row in use names")

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
        configuration: which one of a set that has several in the head of its README.md; by default the one that this
            makes the default.
        kwargs: see ``OwnFiles``.
    """

    movable: ClassVar[frozenset[str]] = OwnFiles.movable | OwnFiles.roots
    places: ClassVar[frozenset[str]] = OwnFiles.places | {"configuration"}

    def __init__(self, root: AnyPath, configuration: str | None = None, **kwargs: Any) -> None:  # options of the base
        super().__init__(**kwargs)
        self.root, self.configuration = Path(root), configuration

    @property
    def reading(self) -> Reading:
        """As in the base, of the configuration."""
        return replace(super().reading, configuration=self.configuration)

    @classmethod
    def located(cls, path: Path) -> Located:
        """The folder, or for ``Table`` a table."""
        if path.is_file() and is_labels(path):
            return handed_on(cls, Folder, Located(Table, {"table": path}))
        return super().located(path)

    @classmethod
    def at_address(cls, address: str) -> Located:
        """That of ``Shards``."""
        return handed_on(cls, Folder, Located(find_class(Reader.SHARDS), {"root": address}))

    @property
    def source(self) -> str:
        """The folder."""
        return str(self.root)

    def home(self, listing: Listing) -> Path:
        """The folder."""
        return self.root

    def list_images(self) -> dict[str, Listing]:
        """List what lies below the class folders or is named by the files of a tool, and what is given apart."""
        reading = self.reading
        if self.columns.label is None and not self.columns.several:
            check_tables(self.root, "images", self.configuration)
        listings = read_folder(self.root, reading, self.names) if self.root.is_dir() else {}
        by_files = bool(listings)
        if not by_files:
            folder = configuration(self.root, self.configuration).folder
            check_layout(folder, "images")
            listings = scan_folder(folder, self.kind, reading.passed_over)
        first = next(iter(listings))
        for name, place in self.apart.items():
            if name in listings:
                raise InputError(f"{escape(self.root)} has a {name} folder: leave it or --data.{name} out")
            start = start_of_paths(place, self.root, self.columns)
            listings[name] = read_labelled(place, listings[first].classes, name, reading, start)
            rest = without_files(listings[first], listings[name].paths)
            if held := len(listings[first]) - len(rest):
                logger.info(
                    f"not trained on {plural(held, self.noun)} of {escape(self.root)}, named by {escape(place)}"
                )
            listings[first] = rest
        if by_files:
            self.tell_unnamed(listings)
        return self.finished(listings, reading.passed_over)

    def list_labelled(self, split: str, classes: list[str]) -> Listing:
        """List what lies below the class folders, or in the folder of the split."""
        return read_labelled(self.root, classes, split, self.reading)


class Table(OwnFiles):
    """Images named by a table: CSV, TSV, Parquet, or a list file with "path label" lines.

    Args:
        table: the training images.
        root: folder that relative paths start from; by default that of the table.
        kwargs: see ``OwnFiles``.
    """

    roots: ClassVar[frozenset[str]] = OwnFiles.roots | {"table"}
    movable: ClassVar[frozenset[str]] = OwnFiles.movable | roots
    places: ClassVar[frozenset[str]] = OwnFiles.places | {"root"}

    def __init__(self, table: AnyPath, root: AnyPath | None = None, **kwargs: Any) -> None:  # options of the base
        super().__init__(**kwargs)
        self.table, self.root = Path(table), None if root is None else Path(root)

    @classmethod
    def located(cls, path: Path) -> Located:
        """The table, or for ``Folder`` a folder."""
        if path.is_dir():
            return handed_on(cls, Table, Located(Folder, {"root": path}))
        refuse_boxes(path)
        if not is_labels(path):
            raise InputError(f"{escape(path)} is no table, as {cls.__name__} wants: {cls.needs}")
        return Located(cls, {"table": path})

    @classmethod
    def at_address(cls, address: str) -> Located:
        """That of ``Shards``."""
        return handed_on(cls, Table, Folder.at_address(address))

    @property
    def source(self) -> str:
        """The training table."""
        return str(self.table)

    def home(self, listing: Listing) -> Path:
        """The folder that relative paths start from."""
        return self.root or self.table.parent

    def list_images(self) -> dict[str, Listing]:
        """Read the tables; validation and test share the classes of the training table."""
        reading = self.reading
        if self.columns.label is None and not self.columns.several:
            check_tables(self.table, "images")
        listings = read_file(self.table, self.root, reading, self.names)
        first = next(iter(listings))
        for name, place in self.apart.items():
            if name in listings:
                raise InputError(f"{escape(self.table)} has {name} {self.noun}s: leave out --data.{name}")
            listings[name] = read_labelled(place, listings[first].classes, name, reading, self.root)
        self.tell_unnamed(listings)
        return self.finished(listings, reading.passed_over)

    def list_labelled(self, split: str, classes: list[str]) -> Listing:
        """Read the table."""
        return read_labelled(self.table, classes, split, self.reading, self.root)
