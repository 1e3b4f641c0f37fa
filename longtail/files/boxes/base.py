"""What the readers of sets with boxes or shapes share."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, NamedTuple

from longtail.errors import InputError
from longtail.files.coco.annotations import Annotations
from longtail.files.listing import IntArray
from longtail.messages import escape, some


class Labelled(NamedTuple):
    """Annotations of a split, the folder that the paths of their images start from, and the images that are there."""

    annotations: Annotations
    folder: Path
    rows: IntArray


class BoxSet(ABC):
    """A set with boxes or shapes, as it lies in a folder.

    Args:
        root: the folder.
        options: what holds a split, by its name, where that is not to be looked for.

    Attributes:
        format: what the format is called.
        needs: what holds the training images, as a message says that it is missing.
        places: the file or folder that holds each split there is.
    """

    format: ClassVar[str]
    needs: ClassVar[str]

    def __init__(self, root: Path, options: Mapping[str, Path]) -> None:
        if not root.is_dir():
            raise InputError(f"no folder at {escape(root)}")
        self.root = root
        self.places: dict[str, Path] = {}
        for split, places in self.find(dict(options)).items():
            if len(places) > 1:
                raise InputError(
                    f"{escape(root)} has several files for {split}, {some(places)}: give --data.{split} FILE"
                )
            self.places[split] = places[0]

    @abstractmethod
    def find(self, options: dict[str, Path]) -> dict[str, list[Path]]:
        """What may hold each split, and holds it where it is among ``options``."""

    @abstractmethod
    def read(self, split: str, masks: bool, skip_bad: bool) -> Labelled:
        """The annotations of a split.

        Args:
            split: one of ``places``.
            masks: whether to read the shapes.
            skip_bad: leave out what cannot be used, and say how much; otherwise it is an error.

        Raises:
            InputError: something cannot be used.
        """

    @property
    def home(self) -> Path:
        """The folder below which files are what a run calls them by, wherever the set lies."""
        return self.root

    def groups(self, split: str, name: str) -> list[str] | None:
        """What each image of the annotations of a split has in the field ``name``, in their order; None where the
        format knows no fields of images.

        Raises:
            InputError: there is no such field; the message names those which are there.
        """
        return None

    def ties(self) -> list[str]:
        """The fields of the training images that tie some of them together, such as "location", as far as known."""
        return []

    def where(self) -> str:
        """What was recognised, for people."""
        places = ", ".join(f"{split} in {escape(self._short(place))}" for split, place in self.places.items())
        return f"read as {self.format}: {places}"

    def _short(self, place: Path) -> Path:
        return place.relative_to(self.root) if place != self.root and place.is_relative_to(self.root) else place
