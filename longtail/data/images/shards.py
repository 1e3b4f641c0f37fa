"""Data module for images in shards in a store; those in a folder are read by ``Folder``."""

from pathlib import Path
from typing import Any, ClassVar

from longtail.data.images.folder import Folder, OwnFiles
from longtail.data.introduction import Located
from longtail.data.names import handed_on
from longtail.errors import InputError
from longtail.files.formats.known import read_labelled
from longtail.files.formats.webdataset import read_shards
from longtail.files.listing import Listing
from longtail.messages import escape, some


class Shards(OwnFiles):
    """Images in shards, which are read from a store one by one as they are needed.

    Args:
        root: address of the shards, such as ``s3://bucket/set``; anything that fsspec reads.
        check_images: look at every file before training; by default only where ``skip_bad_images`` needs it, as each
            is then fetched.
        skip_bad_images: leave out the files that cannot be read, and say how many.
        kwargs: see ``OwnFiles``.
    """

    needs: ClassVar[str] = "give --data ADDRESS, such as s3://bucket/set"
    movable: ClassVar[frozenset[str]] = OwnFiles.movable | OwnFiles.roots

    def __init__(
        self,
        root: str,
        check_images: bool | None = None,
        skip_bad_images: bool = False,
        **kwargs: Any,  # the options of the base class
    ) -> None:
        check = skip_bad_images if check_images is None else check_images
        super().__init__(check_images=check, skip_bad_images=skip_bad_images, **kwargs)
        self.root = root

    @classmethod
    def located(cls, path: Path) -> Located:
        """What ``Folder`` makes of a path on this machine."""
        return handed_on(cls, Shards, Folder.located(path))

    @classmethod
    def at_address(cls, address: str) -> Located:
        """The address."""
        return Located(cls, {"root": address})

    @property
    def source(self) -> str:
        """The address."""
        return self.root

    def home(self, listing: Listing) -> Path:
        """The address; shards say themselves what their images are called."""
        return Path(self.root)

    def list_images(self) -> dict[str, Listing]:
        """What the index of the shards has, and what is given apart."""
        reading = self.reading
        listings = read_shards(self.root, reading)
        first = next(iter(listings))
        for name, place in self.apart.items():
            if name in listings:
                raise InputError(f"{escape(self.root)} has {name} {self.noun}s: leave out --data.{name}")
            listings[name] = read_labelled(place, listings[first].classes, name, reading)
        return self.finished(listings, reading.passed_over)

    def list_labelled(self, split: str, classes: list[str]) -> Listing:
        """The images of the split, or all where the set is not split."""
        listings = read_shards(self.root, self.reading, classes)
        if not {split, "all"} & listings.keys():
            raise InputError(f"{escape(self.root)}: has {some(list(listings))} and no {split} images; give another set")
        return listings[split if split in listings else "all"]
