"""EGTEA Gaze+ from its split files."""

import os
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from longtail.data.clips.folder import ClipData
from longtail.errors import InputError
from longtail.files.listing import Listing
from longtail.files.tables.table import file_text
from longtail.messages import escape
from longtail.plain import AnyPath


class EGTEA(ClipData):
    """EGTEA Gaze+: clips of ``root/<session>/<clip>.mp4``, or right in ``root``, or folders of frames called so.

    The split files have lines of the name of a clip and the numbers of its action, its verb and its nouns, from 1 on;
    the first noun counts. Numbers that no clip has, such as the nouns 16 and 44, are no classes.

    Args:
        root: folder of the clips.
        lists: folder of the split files; by default ``root``.
        label: which of the three is the class.
        kwargs: see ``ClipData``.

    Source: Li et al., In the eye of beholder, ECCV 2018; the splits as in the released code of CDB.
    """

    short_name: ClassVar[str | None] = "egtea"
    needs: ClassVar[str] = "give --data egtea --data.root FOLDER, with the clips and the split files"
    roots: ClassVar[frozenset[str]] = frozenset()
    movable: ClassVar[frozenset[str]] = ClipData.movable | {"root", "lists"}
    split_options: ClassVar[frozenset[str]] = ClipData.split_options | {"label"}
    files: ClassVar[dict[str, str]] = {split: f"EGTEA_{split}_split.txt" for split in ("train", "val", "test")}
    sizes: ClassVar[dict[str, int]] = {"action": 106, "verb": 19, "noun": 53}

    def __init__(
        self,
        root: AnyPath,
        lists: AnyPath | None = None,
        label: Literal["action", "verb", "noun"] = "verb",
        **kwargs: Any,  # the options of the base class
    ) -> None:
        super().__init__(**kwargs)
        self.root, self.label = Path(root), label
        self.lists = self.root if lists is None else Path(lists)

    @property
    def folder(self) -> Path:
        """That of the clips."""
        return self.root

    @property
    def source(self) -> str:
        """The folder."""
        return str(self.root)

    def home(self, listing: Listing) -> Path:
        """The folder of the clips."""
        return self.root

    def list_images(self) -> dict[str, Listing]:
        """Read the split files."""
        if not self.root.is_dir():
            raise InputError(f"no folder at {escape(self.root)}: give --data.root FOLDER with the clips of EGTEA")
        rows = {split: self._rows(self.lists / name) for split, name in self.files.items()}
        numbers = sorted({number for clips in rows.values() for _, number in clips})
        names = [f"{self.label} {number}" for number in numbers]
        return {
            split: Listing(
                [path for path, _ in clips], np.searchsorted(numbers, [number for _, number in clips]), names
            )
            for split, clips in rows.items()
        }

    def _rows(self, file: Path) -> list[tuple[str, int]]:
        """Paths of the clips that a split file names, and their numbers."""
        column, size = [*self.sizes].index(self.label) + 1, self.sizes[self.label]
        rows = []
        for number, line in enumerate(file_text(file).splitlines(), 1):
            if not line.strip():
                continue
            words = line.split()
            if len(words) < 4 or not all(word.isdecimal() for word in words[1:]):
                raise InputError(
                    f"{escape(file)}, line {number}: expected a clip and at least three numbers, got {escape(line)}"
                )
            if not 1 <= int(words[column]) <= size:
                raise InputError(
                    f"{escape(file)}, line {number}: {self.label} {words[column]} is not one of 1 to {size}"
                )
            rows.append((self._path(file, number, words[0]), int(words[column])))
        return rows

    def _path(self, file: Path, number: int, clip: str) -> str:
        session = "-".join(clip.split("-")[:3])
        for folder in (self.root / session, self.root):
            for path in (folder / f"{clip}.mp4", folder / clip):
                if os.path.exists(path):  # noqa: PTH110 - false for a name that no file can have
                    return str(path)
        raise InputError(
            f"{escape(file)}, line {number}: there is no {session}/{clip}.mp4 in {escape(self.root)}: give the folder "
            "of the clips by --data.root"
        )
