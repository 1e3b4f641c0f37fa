"""Base of the data modules for images in files: checks, splits, crops."""

import logging
import os
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from longtail.augment.base import View
from longtail.augment.geometric import ResizedCrop
from longtail.augment.preprocessing import Preprocessing
from longtail.data.images.base import ImageData
from longtail.data.images.dataset import ImageFiles, Sample, WithDraw, crops_of_files, stacked
from longtail.data.images.holding_out import hold_out
from longtail.data.images.of_run import listings_of_run
from longtail.data.loader import EpochBatches, Loader
from longtail.data.record import SplitFiles, names_below
from longtail.data.sampling import Sampling
from longtail.data.split import check_fractions
from longtail.data.splits import Split, Splits, depth_input
from longtail.errors import InputError
from longtail.files.images.checks import bad_images
from longtail.files.images.crops import needed_side
from longtail.files.images.decoded import Decoded, decoded, pixel_folder
from longtail.files.images.folder import IMAGES, Kind
from longtail.files.images.passed_over import Why
from longtail.files.images.reading import decode, few, tell_depth
from longtail.files.listing import Listing, class_rows
from longtail.files.members import folders_of
from longtail.files.states import fingerprint
from longtail.files.stores import is_address
from longtail.messages import and_more, some
from longtail.plain import AnyPath, Input

logger = logging.getLogger(__name__)


class FileData(ImageData):
    """Base of the data modules that read image files.

    Args:
        views: what augments each view of a training image.
        batch_size: images of a batch in one process.
        num_workers: processes that decode images; by default one for each core, at most 8.
        image_size: side of the images in pixels; by default the usual shorter side of the images, in steps of 32, at
            most 224.
        min_scale: smallest area of the random crop of a view that does not say how it crops, as a part of the image.
        val_fraction: part of every class, as it is in the whole set, held out of the training images for validation,
            where the set has no validation split; 0 for none.
        test_fraction: the same for a final test, where the set has no test split; 0 for none.
        split_seed: of those two splits; apart from the run's seed, so that runs with several seeds compare.
        check_images: look at every file before training.
        full_check: decode every file in that look, whatever ``check_images`` says, which takes longer and finds damage
            inside files.
        skip_bad_images: leave out the files that cannot be read, and say how many; otherwise they are an error.
        sampling: how training images are drawn; each once an epoch where left out.
        preprocessing: see ``ImageData``.
        bit_depth: how many bits of images of 16 count, where the files do not say it, such as 12; by default all.
        test_crops: see ``ImageData``.
        class_names: see ``ImageData``.
        cache: keep the images decoded, for later runs too: on "disk" beside the set, or in "ram" (``/dev/shm``).
        cache_size: shorter side of what is kept, in pixels, where images are larger; by default what the crops need.

    Attributes:
        kind: what the files are.
        largest_size: the most that ``image_size`` is by default.
    """

    stills = packs = True
    kind: ClassVar[Kind] = IMAGES
    largest_size: ClassVar[int] = 224
    any_size: ClassVar[bool] = True
    of_input: ClassVar[Mapping[str, str]] = {"image_size": "size"}
    skips: ClassVar[str | None] = "skip_bad_images"
    movable: ClassVar[frozenset[str]] = ImageData.movable | {"num_workers", "test_crops", "cache", "cache_size"}
    split_options: ClassVar[frozenset[str]] = frozenset({"val_fraction", "test_fraction", "split_seed"})

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
        full_check: bool = False,
        skip_bad_images: bool = False,
        sampling: Sampling | None = None,
        preprocessing: Preprocessing | None = None,
        bit_depth: int | None = None,
        test_crops: int = 1,
        class_names: AnyPath | None = None,
        cache: Literal["disk", "ram"] | None = None,
        cache_size: int | None = None,
    ) -> None:
        super().__init__(views, batch_size, num_workers, sampling, preprocessing, test_crops, class_names)
        check_fractions(val_fraction, test_fraction)
        self.check_images, self.full_check = check_images or full_check, full_check
        if skip_bad_images and not self.check_images:
            raise InputError("skip_bad_images needs the check: leave out --data.check_images false")
        if cache_size is not None and cache is None:
            raise InputError("cache_size is of the images that are kept decoded: give --data.cache disk or ram too")
        self.cache, self.cache_size, self.skip_bad_images = cache, cache_size, skip_bad_images
        self._image_size, self.min_scale, self.bit_depth = image_size, min_scale, bit_depth
        self.val_fraction, self.test_fraction, self.split_seed = val_fraction, test_fraction, split_seed

    @property
    def input(self) -> Input:
        """What is known of images, and bits that count, if they are given."""
        return {**super().input, **depth_input(self.bit_depth)}

    @abstractmethod
    def list_images(self) -> dict[str, Listing]:
        """List the images: "train", "val" and "test", or "all" for a set that is not split."""

    @cached_property
    def _listings(self) -> dict[str, Listing]:
        listings = self.list_images()
        if "all" in listings:
            listings = {"train": listings.pop("all"), **listings}
        if self.recall is not None:
            listings = listings_of_run(listings, self.recall, self._files)
        elif self.check_images:
            listings = {name: self.without_bad(listing) for name, listing in listings.items()}
        if self.recall is None:
            listings, self.ways_out = self.hold_out(listings, {"test": self.test_fraction, "val": self.val_fraction})
        return {name: listing for name, listing in listings.items() if len(listing) or name == "train"}

    def hold_out(
        self, listings: dict[str, Listing], fractions: dict[str, float]
    ) -> tuple[dict[str, Listing], dict[str, str]]:
        """Hold out the splits that are not there; see ``holding_out.hold_out``."""
        return hold_out(listings, fractions, self.split_seed)

    def file_names(self, split: str, listing: Listing) -> Sequence[str]:
        """What the files of a split are called wherever the set lies."""
        return names_below(listing.paths, listing.home or self.home(listing), split, self.home_of(split, listing))

    def _files(self, split: str, listing: Listing, classes: list[str]) -> SplitFiles:
        return SplitFiles.of(self.file_names(split, listing), listing.codes(classes), listing.paths, self.check_images)

    def split_files(self, split: str) -> SplitFiles:
        """The files of a split, and the class of each."""
        listing = self._listings[split]
        return self._files(split, listing, listing.classes)

    def home(self, listing: Listing) -> Path:
        """Folder in which a run finds its files again wherever the set lies; here that of all files of a listing."""
        return Path(os.path.commonpath(folders_of(listing.paths) or ["."]))

    def home_of(self, split: str, listing: Listing) -> Path:
        """The same for the files of a split that lie in none of that."""
        return self.home(listing)

    def list_labelled(self, split: str, classes: list[str]) -> Listing:
        """List the images that a finished run is evaluated on, with its classes; here those of the split, or all."""
        listings = self.list_images()
        if not {split, "all"} & listings.keys():
            raise InputError(f"{self.source} has no {split} split: give a set with one")
        listing = listings[split if split in listings else "all"]
        present, rows = np.unique(listing.targets), np.zeros(len(listing.classes), dtype=np.int64)
        rows[present] = class_rows(self.source, [listing.classes[c] for c in present], classes)
        return Listing(listing.paths, rows[listing.targets], classes)

    def labelled(self, split: str, classes: list[str]) -> Split:
        """The images of a set that a finished run is evaluated on."""
        listing = self.list_labelled(split, classes)
        self._listings = {split: self.without_bad(listing) if self.check_images else listing}
        return self._opened(split)

    def file_name(self, split: str, row: int) -> str:
        """Path of an image below the folder that has all of them."""
        return os.path.relpath(self._listings[split].paths[row], self._common)

    @cached_property
    def _common(self) -> str:
        folders = {folder for listing in self._listings.values() for folder in folders_of(listing.paths)}
        return os.path.commonpath([Path(folder).absolute() for folder in folders])

    def find_bad(self, paths: Sequence[str]) -> list[tuple[str, str]]:
        """Files that cannot be read, with the reasons."""
        return bad_images(paths, self.full_check)

    def shorter_side(self, path: str) -> int:
        """That of an image, in pixels."""
        return min(decode(path).size)

    def images_in(self, paths: Sequence[str]) -> list[str]:
        """The image files that tell the depth of some samples: here these."""
        return list(paths)

    def check(self, splits: Splits) -> None:
        """Images of 16 bits that are not as deep are told as well."""
        super().check(splits)
        tell_depth(self.images_in(few(self._listings["train"].paths)), self.bit_depth)

    def open(self, listing: Listing, split: str) -> Dataset[Sample]:
        """The images of a split: in training a crop for each view, otherwise the views to evaluate."""
        crops = self.decoder_crops() if split == "train" else None
        test_crops = self.test_crops if split == "test" else 1
        pixels = None if self._decoded is None else self._decoded.reader(listing.paths)
        return ImageFiles(listing, self.image_size, crops, self.resize, self.bit_depth, test_crops, pixels)

    def decoder_crops(self) -> list[ResizedCrop | None]:
        """What is cut out of a decoded file for each view, see ``crops_of_files``."""
        return crops_of_files([view.crop for view in self.views], self.min_scale, self.image_size)

    @cached_property
    def _decoded(self) -> Decoded | None:
        """The pixels of all images, where they are kept."""
        if self.cache is None:
            return None
        paths = [path for listing in self._listings.values() for path in listing.paths]
        place = self.source if is_address(self.source) else self.home(next(iter(self._listings.values())))
        return decoded(paths, self._kept_side, self.bit_depth, pixel_folder(self.cache, place))

    @property
    def _kept_side(self) -> int:
        crops = [*self.decoder_crops(), None]
        return self.cache_size or max(needed_side(crop, self.image_size, self.resize) for crop in crops)

    def crop(self, images: Tensor, view: int, generator: torch.Generator) -> Tensor:
        """A view as it was decoded, cropped here where the view does not crop by area and shape."""
        crop = self.views[view].crop
        if crop is None or isinstance(crop, ResizedCrop):
            return images[:, view]
        return self.augment(crop, images[:, view], generator)

    def without_bad(self, listing: Listing) -> Listing:
        """A listing less the files that cannot be read, where these may be left out; raises ``InputError`` else."""
        bad = self.find_bad(listing.paths)
        if not bad:
            return listing
        path, reason = bad[0]
        if not self.skip_bad_images:
            repair = "repair or remove it" if listing.home is None else "correct it where it was packed from"
            way_out = f"{repair}, or leave such files out by --skip-bad-{self.noun}s"
            raise InputError(f"{path}: {reason}{and_more(bad)}; {way_out}")
        if len(bad) == len(listing):
            raise InputError(f"{self.source}: no {self.noun} can be read, such as {path} ({reason})")
        reasons = some([f"{path} ({reason})" for path, reason in bad])
        logger.info(f"left out {len(bad)} of {len(listing)} {self.noun} files that cannot be read: {reasons}")
        self.leave_out(len(bad), f"{self.noun} file", "that cannot be read", Why.FAULTY)
        names = {path for path, _ in bad}
        return listing.subset(np.array([i for i, p in enumerate(listing.paths) if p not in names], dtype=np.int64))

    def read(self) -> Splits:
        """List, check and split the set."""
        return Splits.of(self._listings["train"].classes, {name: self._opened(name) for name in self._listings})

    def _opened(self, name: str) -> Split:
        listing = self._listings[name]
        return self.split_of(WithDraw(self.open(listing, name)), listing)

    def split_of(self, images: WithDraw, listing: Listing) -> Split:
        """The images of a listing with their labels."""
        return Split(images, listing.targets)

    @property
    def time_options(self) -> list[str]:
        """Smaller images."""
        return [f"a smaller --image-size (now {self.image_size})"]

    @cached_property
    def image_size(self) -> int:
        """Side of the images that the network sees, in pixels."""
        if self._image_size is not None:
            return self._image_size
        if self.recall is not None:
            return int(self.recall.record.trained.input["size"])
        paths = self._listings["train"].paths
        sides = [self.shorter_side(path) for path in paths[:: max(1, len(paths) // 32)]]
        return int(min(max(32, round(float(np.median(sides)) / 32) * 32), self.largest_size))

    def fixed_images(self, name: str) -> Dataset[object]:
        """The images of a split as evaluation shows them, those of training with the central crop."""
        return WithDraw(self.open(self._listings[name], "val" if name == "train" else name))

    def fingerprint(self, name: str) -> str:
        """The SHA-256 of the names, sizes and times of the files of a split."""
        return fingerprint(self._listings[name].paths, "" if self.cache is None else str(self._kept_side))

    def make_loader(self, images: Dataset[object], batches: EpochBatches) -> Loader:
        """Make the loader of a split, with worker processes."""
        return Loader(images, batches, self.num_workers, stacked, torch.cuda.is_available())

    def picture(self, split: str, row: int) -> Image.Image:
        """An image as it lies in its file."""
        return decode(self._listings[split].paths[row], bit_depth=self.bit_depth)
