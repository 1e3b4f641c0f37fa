"""Data modules for images in files: a folder of class folders, or a table of paths and labels."""

import logging
from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from longtail.augment.base import View
from longtail.augment.geometric import ResizedCrop
from longtail.augment.preprocessing import Preprocessing
from longtail.data.base import Located, LongTailData, Split, Splits
from longtail.data.images.base import ImageData, LoadedImages
from longtail.data.images.dataset import ImageFiles, Sample
from longtail.data.loader import EpochBatches, Loader
from longtail.data.sampling import Sampling
from longtail.data.split import check_fraction, stratified_split
from longtail.errors import InputError
from longtail.files.folder import IMAGES, Kind, scan_folder
from longtail.files.images import HEADERS_ONLY, check_images, decode
from longtail.files.listing import Listing
from longtail.files.table import is_table, read_table
from longtail.messages import and_more, shown, some

logger = logging.getLogger(__name__)


def _stacked(samples: Sequence[tuple[Sample, int]]) -> LoadedImages:
    return {
        "images": torch.stack([sample["images"] for sample, _ in samples]),
        "targets": torch.tensor([sample["target"] for sample, _ in samples]),
        "rows": torch.tensor([sample["row"] for sample, _ in samples]),
        "seed": samples[0][1],
    }


class _WithDraw(Dataset[tuple[Sample, int]]):
    """Hands the random number of an image on to the batch."""

    def __init__(self, images: Dataset[Sample]) -> None:
        self.images = images

    def __getitem__(self, index: tuple[int, int]) -> tuple[Sample, int]:
        return self.images[index], index[1]


def handed_on(data: type[LongTailData], ours: type[LongTailData], other: Located) -> Located:
    """What a path means that the class beside ``ours`` reads: that class, but in the place of ``ours`` alone.

    Args:
        data: the class that was asked, ``ours`` or one derived from it.
        ours: the one that has another beside it.
        other: that one, and the path.

    Raises:
        InputError: on a derived class, which is nobody's to replace.
    """
    if data is ours:
        return other
    ((option, path),) = other.options.items()
    way_out = f"--data longtail.data.{other.data.__name__} --data.{option} {shown(path)}"
    raise InputError(f"{shown(path)} is nothing that {data.__name__} reads: give what it does, or {way_out}")


class FileData(ImageData):
    """Base of the data modules that read image files.

    Args:
        views: what augments each view of a training image.
        batch_size: images of a batch in one process.
        num_workers: processes that decode images; by default one for each core, at most 8.
        image_size: side of the images in pixels; by default the usual shorter side of the images, in steps of 32, at
            most 224.
        min_scale: smallest area of the random crop of a view that does not say how it crops, as a part of the image.
        val_fraction: part of every class held out of the training images for validation, where the set has no
            validation split; 0 for none.
        test_fraction: part of every class held out for a final test, where the set has no test split; 0 for none.
        split_seed: of those two splits; apart from the run's seed, so that runs with several seeds compare.
        check_images: look at every file before training.
        skip_bad_images: leave out the files that cannot be read, and say how many; otherwise they are an error.
        sampling: how training images are drawn; each once an epoch where left out.
        preprocessing: see ``ImageData``.

    Attributes:
        kind: what the files are.
        largest_size: the most that ``image_size`` is by default.
    """

    kind: ClassVar[Kind] = IMAGES
    largest_size: ClassVar[int] = 224

    def __init__(
        self,
        views: Sequence[View] | None = None,
        batch_size: int = 64,
        num_workers: int | None = None,
        image_size: int | None = None,
        min_scale: float = 0.25,
        val_fraction: float = 0.2,
        test_fraction: float = 0.0,
        split_seed: int = 0,
        check_images: bool = True,
        skip_bad_images: bool = False,
        sampling: Sampling | None = None,
        preprocessing: Preprocessing | None = None,
    ) -> None:
        super().__init__(views, batch_size, num_workers, sampling, preprocessing)
        check_fraction("val_fraction", val_fraction)
        check_fraction("test_fraction", test_fraction)
        if skip_bad_images and not check_images:
            raise InputError("skip_bad_images needs the check: leave out --data.check_images false")
        self._image_size = image_size
        self.min_scale = min_scale
        self.val_fraction, self.test_fraction, self.split_seed = val_fraction, test_fraction, split_seed
        self.check_images, self.skip_bad_images = check_images, skip_bad_images

    @abstractmethod
    def list_images(self) -> dict[str, Listing]:
        """List the images: "train", "val" and "test", or "all" for a set that is not split."""

    @cached_property
    def _listings(self) -> dict[str, Listing]:
        listings = self.list_images()
        if self.check_images:
            listings = {name: self._without_bad(listing) for name, listing in listings.items()}
        train = listings.pop("all") if "all" in listings else listings.pop("train")
        for name, fraction in (("test", self.test_fraction), ("val", self.val_fraction)):
            if name not in listings and fraction:
                kept, held_out = stratified_split(train.targets, fraction, self.split_seed)
                listings[name], train = train.subset(held_out), train.subset(kept)
        return {"train": train, **{name: listing for name, listing in listings.items() if len(listing)}}

    def find_bad(self, paths: Sequence[str]) -> list[tuple[str, str]]:
        """Files that cannot be read, with the reasons."""
        logger.info(HEADERS_ONLY)
        return check_images(paths)

    def shorter_side(self, path: str) -> int:
        """That of an image, in pixels."""
        return min(decode(path).size)

    def open(self, listing: Listing, split: str) -> Dataset[Sample]:
        """The images of a split: in training a crop for each view, otherwise the views to evaluate."""
        crops = self.decoder_crops() if split == "train" else None
        return ImageFiles(listing, self.image_size, crops, self.resize)

    def decoder_crops(self) -> list[ResizedCrop | None]:
        """What is cut out of a decoded file for each view; None where the view crops what evaluation would take.

        Raises:
            InputError: on a crop of another size than the images have.
        """
        crops = [ResizedCrop(scale=(self.min_scale, 1.0)) if view.crop is None else view.crop for view in self.views]
        resized_crops = [crop if isinstance(crop, ResizedCrop) else None for crop in crops]
        for crop in resized_crops:
            if crop is not None and crop.size not in (None, self.image_size):
                raise InputError(
                    f"a view crops to {crop.size} pixels, and images have {self.image_size}: leave out size"
                )
        return resized_crops

    def crop(self, images: Tensor, view: int, generator: torch.Generator) -> Tensor:
        """A view as it was decoded, cropped here where the view does not crop by area and shape."""
        crop = self.views[view].crop
        if crop is None or isinstance(crop, ResizedCrop):
            return images[:, view]
        return self.augment(crop, images[:, view], generator)

    def _without_bad(self, listing: Listing) -> Listing:
        bad = self.find_bad(listing.paths)
        if not bad:
            return listing
        path, reason = bad[0]
        if not self.skip_bad_images:
            more = and_more(bad)
            raise InputError(
                f"{path}: {reason}{more}; repair or remove it, or leave such files out by --skip-bad-{self.noun}s"
            )
        if len(bad) == len(listing):
            raise InputError(f"{self.source}: no {self.noun} can be read, such as {path} ({reason})")
        reasons = some([f"{path} ({reason})" for path, reason in bad])
        logger.info(f"left out {len(bad)} of {len(listing)} {self.noun} files that cannot be read: {reasons}")
        names = {path for path, _ in bad}
        return listing.subset(np.array([i for i, p in enumerate(listing.paths) if p not in names], dtype=np.int64))

    def read(self) -> Splits:
        """List, check and split the set."""
        listings = self._listings
        splits = {
            name: Split(_WithDraw(self.open(listing, name)), listing.targets) for name, listing in listings.items()
        }
        return Splits.of(listings["train"].classes, splits)

    @cached_property
    def image_size(self) -> int:
        """Side of the images that the network sees, in pixels."""
        if self._image_size is not None:
            return self._image_size
        paths = self._listings["train"].paths
        sides = [self.shorter_side(path) for path in paths[:: max(1, len(paths) // 32)]]
        return int(min(max(32, round(float(np.median(sides)) / 32) * 32), self.largest_size))

    def make_loader(self, images: Dataset[Any], batches: EpochBatches) -> Loader:  # as in the base
        """Make the loader of a split, with worker processes."""
        return Loader(images, batches, self.num_workers, _stacked, torch.cuda.is_available())

    def picture(self, split: str, row: int) -> Image.Image:
        """An image as it lies in its file."""
        return decode(self._listings[split].paths[row])


class Folder(FileData):
    """Images in one folder for each class, below train/, val/ and test/ or flat.

    Args:
        root: the folder.
        kwargs: see ``FileData``.
    """

    needs: ClassVar[str] = "give --data FOLDER with one subfolder of images for each class, or --data TABLE"
    movable: ClassVar[frozenset[str]] = FileData.movable | {"root"}

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

    def list_images(self) -> dict[str, Listing]:
        """List what lies below the class folders."""
        return scan_folder(self.root, self.kind)


class Table(FileData):
    """Images named by a table: CSV, TSV, Parquet, or a list file with "path label" lines.

    Args:
        table: the training images.
        root: folder that relative paths start from; by default that of the table.
        path_column: header of the column with the paths.
        label_column: header of the column with the labels.
        val: table of the validation images; without it they are held out of the training images.
        test: table of the test images.
        kwargs: see ``FileData``.
    """

    needs: ClassVar[str] = Folder.needs
    movable: ClassVar[frozenset[str]] = FileData.movable | {"table", "root", "val", "test"}

    def __init__(
        self,
        table: Path,
        root: Path | None = None,
        path_column: str = "path",
        label_column: str = "label",
        val: Path | None = None,
        test: Path | None = None,
        **kwargs: Any,  # the options of the base class
    ) -> None:
        super().__init__(**kwargs)
        self.tables = {"train": table, "val": val, "test": test}
        self.root = root
        self.columns = (path_column, label_column)

    @classmethod
    def located(cls, path: Path) -> Located:
        """The table, or for ``Folder`` a folder."""
        if path.is_dir():
            return handed_on(cls, Table, Located(Folder, {"root": path}))
        if not is_table(path):
            raise InputError(f"{shown(path)} is no table, as {cls.__name__} wants: {cls.needs}")
        return Located(cls, {"table": path})

    @property
    def source(self) -> str:
        """The training table."""
        return str(self.tables["train"])

    def list_images(self) -> dict[str, Listing]:
        """Read the tables; validation and test share the classes of the training table."""
        listings: dict[str, Listing] = {}
        for name, table in self.tables.items():
            if table is not None:
                classes = listings["train"].classes if listings else None
                folders = self.kind.folders
                listings[name] = read_table(table, self.root, *self.columns, classes=classes, folders=folders)
        return listings
