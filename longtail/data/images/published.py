"""Published long-tailed benchmarks, list files over the original image folders: their base, ImageNet-LT, Places-LT."""

import logging
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from longtail.data.images.files import FileData
from longtail.errors import InputError
from longtail.files.listing import Listing
from longtail.files.tables.table import read_table
from longtail.messages import escape, some
from longtail.plain import AnyPath

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Totals:
    """What is known of a split: its images, its classes, and the images of the largest and the smallest class."""

    images: int
    classes: int
    largest: int
    smallest: int

    @classmethod
    def of(cls, listing: Listing) -> "Totals":
        """Those of a listing."""
        counts = listing.class_counts()
        return cls(len(listing), len(counts), int(counts.max()), int(counts.min()))

    def __str__(self) -> str:
        size = f"{self.largest:,}" if self.largest == self.smallest else f"{self.largest:,} to {self.smallest:,}"
        return f"{self.images:,} images of {self.classes:,} classes ({size} each)"


class PublishedLT(FileData):
    """Base of ImageNet-LT, Places-LT and iNaturalist 2018.

    Lists with other totals than the published ones are taken, and a line says so.

    Args:
        root: folder that the paths in the lists start from.
        lists: folder of the lists; by default ``root``.
        check_images: look at every file before training, not only whether it is there; by default only where
            ``skip_bad_images`` needs it, as that takes minutes for sets of this size.
        skip_bad_images: leave out the files that cannot be read, and say how many.
        kwargs: see ``FileData``.
    """

    needs: ClassVar[str] = "give --data FOLDER with the original images, and --data.lists FOLDER with the lists"
    roots: ClassVar[frozenset[str]] = frozenset()
    movable: ClassVar[frozenset[str]] = FileData.movable | {"root", "lists"}
    title: ClassVar[str]
    files: ClassVar[dict[str, str]]  # the list of each split, "train" first
    published: ClassVar[dict[str, Totals]]

    def __init__(
        self,
        root: AnyPath = Path("data"),
        lists: AnyPath | None = None,
        check_images: bool | None = None,
        skip_bad_images: bool = False,
        **kwargs: Any,  # the options of the base class
    ) -> None:
        check = skip_bad_images if check_images is None else check_images
        super().__init__(check_images=check, skip_bad_images=skip_bad_images, **kwargs)
        self.root = Path(root)
        self.lists = self.root if lists is None else Path(lists)

    @property
    def source(self) -> str:
        """The folder of the images, and what they are."""
        return f"{self.root} ({self.title})"

    def home(self, listing: Listing) -> Path:
        """The folder of the images."""
        return self.root

    def list_images(self) -> dict[str, Listing]:
        """Read the lists, and say where their totals are not the published ones."""
        listings = self.read_lists()
        totals = {name: Totals.of(listing) for name, listing in listings.items()}
        differences = [
            f"{name} has {totals[name]}, not {self.published[name]}"
            for name in totals
            if totals[name] != self.published[name]
        ]
        if differences:
            logger.info(f"{escape(self.lists)} is not {self.title} as published: {'; '.join(differences)}")
        return listings

    def read_lists(self) -> dict[str, Listing]:
        """Read the list of every split; labels are indices into the classes of the training list."""
        listings: dict[str, Listing] = {}
        for name, file in self.find(self.files).items():
            classes = listings["train"].classes if listings else None
            listings[name] = read_table(file, self.root, classes=classes)
        names = self.class_names(listings["train"])
        return {name: replace(listing, classes=names) for name, listing in listings.items()}

    def find(self, files: dict[str, str]) -> dict[str, Path]:
        """The paths of the lists.

        Raises:
            InputError: one is not there.
        """
        paths = {name: self.lists / file for name, file in files.items()}
        if missing := [path for path in paths.values() if not path.is_file()]:
            raise InputError(
                f"{some(missing)}: no such file; put the lists of {self.title} there, "
                "or give their folder by --data.lists"
            )
        return paths

    def class_names(self, train: Listing) -> list[str]:
        """Names of the classes, from what the training list says of them."""
        return train.classes


class OwnSplits(PublishedLT):
    """Base of ImageNet-LT and Places-LT, which have three splits, and classes named by the folders of their images."""

    above: ClassVar[int]  # folders below ``root`` that are no part of such a name

    def __init__(
        self, root: AnyPath = Path("data"), lists: AnyPath | None = None, **kwargs: Any
    ) -> None:  # the options of the base class
        super().__init__(root, lists, val_fraction=0.0, test_fraction=0.0, split_seed=0, **kwargs)

    def class_names(self, train: Listing) -> list[str]:
        """The names of the folders; those of the list where classes and folders do not go together one to one."""
        pairs = sorted(set(zip(train.targets.tolist(), map(os.path.dirname, train.paths), strict=True)))
        names = ["/".join(Path(folder).relative_to(self.root).parts[self.above :]) for _, folder in pairs]
        one_to_one = [target for target, _ in pairs] == list(range(len(train.classes)))
        return names if one_to_one and all(names) and len(set(names)) == len(names) else train.classes


class ImageNetLT(OwnSplits):
    """ImageNet-LT: 1000 classes of 1280 to 5 images, with validation and test splits of their own.

    Its validation images are from ImageNet's ``train/``, its test images are ImageNet's ``val/``. The classes are named
    by their wnids.

    Args:
        root: folder of ImageNet, with ``train/<wnid>/`` and ``val/<wnid>/``.
        lists: folder of ``ImageNet_LT_train.txt``, ``ImageNet_LT_val.txt`` and ``ImageNet_LT_test.txt``; by default
            ``root``.
        kwargs: see ``PublishedLT``.

    Source: Liu et al., Large-scale long-tailed recognition in an open world, CVPR 2019.
    """

    short_name: ClassVar[str | None] = "imagenet_lt"
    title = "ImageNet-LT"
    above = 1  # train/
    files: ClassVar[dict[str, str]] = {split: f"ImageNet_LT_{split}.txt" for split in ("train", "val", "test")}
    published: ClassVar[dict[str, Totals]] = {
        "train": Totals(115_846, 1000, 1280, 5),
        "val": Totals(20_000, 1000, 20, 20),
        "test": Totals(50_000, 1000, 50, 50),
    }


class PlacesLT(OwnSplits):
    """Places-LT: 365 classes of 4980 to 5 images, with validation and test splits of their own.

    Its validation images are from the training images of Places365, its test images are the validation images of
    Places365. The classes are named as in Places365, such as "airfield".

    Args:
        root: folder of Places365 in its small version, with ``data_256/`` and ``val_256/``.
        lists: folder of ``Places_LT_train.txt``, ``Places_LT_val.txt`` and ``Places_LT_test.txt``; by default ``root``.
        kwargs: see ``PublishedLT``.

    Source: Liu et al., Large-scale long-tailed recognition in an open world, CVPR 2019.
    """

    short_name: ClassVar[str | None] = "places_lt"
    title = "Places-LT"
    above = 2  # data_256/a/
    files: ClassVar[dict[str, str]] = {split: f"Places_LT_{split}.txt" for split in ("train", "val", "test")}
    published: ClassVar[dict[str, Totals]] = {
        "train": Totals(62_500, 365, 4980, 5),
        "val": Totals(7_300, 365, 20, 20),
        "test": Totals(36_500, 365, 100, 100),
    }
