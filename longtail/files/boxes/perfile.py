"""Sets with a file of annotations for each image."""

import logging
import os
from abc import abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Generic, Protocol, TypeVar

import numpy as np

from longtail.errors import InputError
from longtail.files.boxes.base import BoxSet, Labelled
from longtail.files.boxes.builder import Builder, image_size
from longtail.files.boxes.pairs import by_stem, files_below, read_lines
from longtail.files.boxes.partners import Partners
from longtail.files.listing import in_class_order, named_in
from longtail.files.split_names import split_of
from longtail.messages import escape, plural, some

logger = logging.getLogger(__name__)


class Named(Protocol):
    """An object of an image; ``place`` says where in its file it stands."""

    name: str
    place: str


N = TypeVar("N", bound=Named)


@dataclass
class Content(Generic[N]):
    """What a file says of its image: its name and its size, as far as it does, its objects, what cannot be used, with
    the reasons, and whether there is such a file."""

    file_name: str | None = None
    size: tuple[int, int] | None = None
    objects: list[N] = field(default_factory=list)
    bad: list[tuple[str, str]] = field(default_factory=list)
    there: bool = True


class FileSet(BoxSet, Generic[N]):
    """A file of annotations for each image, with objects ``N``.

    Splits are lists of names in the folder ``lists``, or folders below ``root`` that are called by them; else all is
    for training. An image that a list names and that has no file shows no object. The classes are those of all splits.

    Attributes:
        suffix: of the files, in lower case.
        lists: folder of the lists of names; empty where the format knows none.
        ignored: names that stand for no object.
    """

    suffix: ClassVar[str]
    lists: ClassVar[str] = ""
    ignored: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def parse(self, file: Path) -> Content[N] | None:
        """What a file says; None where it is of another kind. Raises ``InputError`` where it cannot be read."""

    @abstractmethod
    def add(self, builder: Builder, entry: N, place: str, label: int, size: tuple[int, int]) -> None:
        """Add an object to its image of a size (width, height); ``place`` is how messages name it."""

    def find(self, options: dict[str, Path]) -> dict[str, list[Path]]:
        lists = self.root / self.lists
        if self.lists and not options:
            named = {split: lists / f"{split}.txt" for split in ("train", "val", "test")}
            if not named["train"].is_file() and (lists / "trainval.txt").is_file():
                named["train"] = lists / "trainval.txt"
            options = {split: file for split, file in named.items() if file.is_file()}
        if options:
            return {split: [place] for split, place in options.items()}
        folders: dict[str, list[Path]] = {}
        outside = []
        for path in files_below(self.root, {self.suffix}):
            parts = Path(path).relative_to(self.root).parts[:-1]
            splits = [split_of(part) for part in parts]
            at = next((i for i, split in enumerate(splits) if split), None)
            if at is None:
                outside.append(path)
            elif (place := self.root.joinpath(*parts[: at + 1])) not in folders.setdefault(splits[at] or "", []):
                folders[splits[at] or ""].append(place)
        if folders and outside:
            logger.info(f"passed over {plural(len(outside), 'file')} beside the folders of the splits: {some(outside)}")
        return folders or {"train": [self.root]}

    @cached_property
    def contents(self) -> dict[str, dict[str, Content[N] | str]]:
        """What the files of each split say, by their paths; or why one cannot be used. Of a file that a list names and
        that is not there, nothing."""
        by_split: dict[str, dict[str, Content[N] | str]] = {}
        for split, place in self.places.items():
            by_split[split] = {}
            for path in self._files(place) if place.is_dir() else self._listed(place):
                try:
                    content = self.parse(Path(path)) if Path(path).exists() else Content[N](there=False)
                except InputError as error:
                    by_split[split][path] = str(error)
                else:
                    if content is not None:
                        by_split[split][path] = content
        return by_split

    @cached_property
    def classes(self) -> list[str]:
        """The names of the objects of all splits, sorted."""
        contents = [content for files in self.contents.values() for content in files.values()]
        names = {entry.name for content in contents if not isinstance(content, str) for entry in content.objects}
        return in_class_order(list(names - self.ignored))

    def read(self, split: str, masks: bool, skip_bad: bool) -> Labelled:
        builder = Builder(self.places[split], self.classes, masks)
        labels = {name: c for c, name in enumerate(self.classes)}
        partners = Partners()
        bare = 0
        for file, content in self.contents[split].items():
            short = os.path.relpath(file, self.root)
            if isinstance(content, str):
                builder.add_bad(content, "")
            elif (path := partners.image(Path(file), content.file_name)) is None:
                problem = f"has no image of its name{_named(content.file_name)}"
                builder.add_bad(
                    escape(short), problem if content.there else "is not there, nor is an image of its name"
                )
            else:
                bare += not content.there
                size = content.size or image_size(path)
                builder.add_image(os.path.relpath(path, self.root), *size)
                for place, reason in content.bad:
                    builder.add_bad(f"{escape(short)}, {place}", reason)
                for entry in content.objects:
                    if entry.name in labels:
                        place = f"{escape(short)}, {entry.place} ({escape(entry.name)})"
                        self.add(builder, entry, place, labels[entry.name], size)
        if bare and bare == len(self.contents[split]):
            raise InputError(f"{escape(self.places[split])}: none of what it names has a {self.suffix} file: add them")
        if bare:
            words = f"{plural(bare, f'{split} image')} without a {self.suffix} file"
            logger.info(f"{words}: counted as without an object")
        annotations = builder.annotations(skip_bad)
        return Labelled(annotations, self.root, np.arange(len(annotations)))

    def _files(self, folder: Path) -> list[str]:
        return files_below(folder, {self.suffix})

    def _listed(self, file: Path) -> list[str]:
        """The files that a list names; where one is not there, the path that it should have."""
        folder = next(
            (place for place in (self.root / "Annotations", self.root / "annotations") if place.is_dir()), self.root
        )
        files = by_stem(self._files(folder), folder)
        names = [named_in(line, files) for line in read_lines(file)]
        return [files.get(name, str(folder / f"{name}{self.suffix}")) for name in names]


def _named(file_name: str | None) -> str:
    return f", nor is there {escape(file_name)}" if file_name else ""
