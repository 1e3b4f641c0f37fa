"""Which files were in which split of a run: written into its folder, and held against the set when it is read again."""

import gzip
import json
import logging
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from longtail.data.trained import Trained
from longtail.errors import InputError
from longtail.files.listing import IntArray
from longtail.files.members import member_names
from longtail.files.states import file_ends, file_sizes
from longtail.files.texts import Block, at_rows, places_of
from longtail.messages import SPLITS, escape, plural, some
from longtail.writing import write_atomically

if TYPE_CHECKING:
    from longtail.data.base import LongTailData

logger = logging.getLogger(__name__)

BoolArray = np.ndarray[Any, np.dtype[np.bool_]]  # of any shape

FILE_NAME = "splits.json.gz"
FORMAT = 1
_CHUNK = 2**16  # files that are written at a time


@dataclass(frozen=True)
class SplitFiles:
    """The N files of a split, and what tells that one is another than it was.

    Attributes:
        names: what they are called wherever the set lies.
        labels: (N,) what they are labelled with: the class, or a checksum of the annotations.
        look: gives ``sizes`` and ``ends``, by a look at the files when it is first called.
    """

    names: Sequence[str]
    labels: IntArray
    look: Callable[[], tuple[IntArray, IntArray | None]]

    @classmethod
    def of(cls, names: Sequence[str], labels: IntArray, paths: Sequence[str], ends: bool) -> "SplitFiles":
        """Those at some paths, and whether to look into them."""
        return cls(names, labels, cache(lambda: (file_sizes(paths), file_ends(paths) if ends else None)))

    @property
    def sizes(self) -> IntArray:
        """(N,) in bytes."""
        return self.look()[0]

    @property
    def ends(self) -> IntArray | None:
        """(N,) checksums of what they end with; None where files are not looked into."""
        return self.look()[1]

    def same(self, rows: IntArray, other: "SplitFiles", other_rows: IntArray) -> BoolArray:
        """Whether each of the files ``rows`` is as its partner among another's."""
        same: BoolArray = self.sizes[rows] == other.sizes[other_rows]
        same &= self.labels[rows] == other.labels[other_rows]
        if self.ends is not None and other.ends is not None:
            same &= self.ends[rows] == other.ends[other_rows]
        return same


@dataclass(frozen=True)
class SplitRecord:
    """The files of each split of a run, and what the run counted in them."""

    trained: Trained
    files: Mapping[str, SplitFiles]

    @classmethod
    def of(cls, data: "LongTailData") -> "SplitRecord | None":
        """That of a set, which is read for it; None where it has no files."""
        files = {name: files for name in data.split_names if (files := data.split_files(name)) is not None}
        for of_split in files.values():
            of_split.look()  # at what they are now
        trained = Trained(data.classes, data.label_counts, data.group_counts, data.input)
        return cls(trained, files) if files else None

    def check_classes(self, classes: list[str], source: str) -> None:
        """Check that a set, read from ``source``, has the classes of the run; raises InputError."""
        if classes != self.trained.classes:
            new = [name for name in classes if name not in self.trained.classes]
            which = f", new are {some(new)}" if new else ""
            raise InputError(f"{source} is not what the run was trained on: its classes differ{which}")

    def write(self, run: Path) -> None:
        """Write it into the folder of the run."""
        packer = zlib.compressobj(1, wbits=31)  # of gzip
        parts = [packer.compress(text.encode()) for text in self._json()]
        write_atomically(run / FILE_NAME, b"".join([*parts, packer.flush()]))

    def _json(self) -> Iterator[str]:
        """The record piece by piece: the columns of millions of files would stand in memory several times over."""
        yield f'{_compact({"format": FORMAT, **asdict(self.trained)})[:-1]},"files":'
        for at, (split, files) in enumerate(self.files.items()):
            yield f'{",{"[at == 0]}"{split}":'
            for key in ("names", "labels", "sizes", "ends"):
                yield f'{"{" if key == "names" else ","}"{key}":'
                yield from _column(getattr(files, key))
            yield "}"
        yield "}}"

    @classmethod
    def read(cls, run: Path) -> "SplitRecord | None":
        """That of a run; None where it has none, as one that was trained on no files.

        Raises:
            InputError: if it cannot be read.
        """
        path = run / FILE_NAME
        if not path.exists():
            return None
        try:
            content = json.loads(gzip.decompress(path.read_bytes()))
            if content["format"] != FORMAT:
                raise ValueError("another format")
            trained = Trained(*(content[key] for key in ("classes", "label_counts", "group_counts", "input")))
            if not len(trained.classes) == len(trained.label_counts) == len(trained.group_counts):
                raise ValueError("counts of other classes")
            files = {name: _files(**content["files"][name]) for name in SPLITS if name in content["files"]}
        except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, zlib.error) as error:
            raise InputError(
                f"{escape(path)}: cannot be read ({escape(error) or type(error).__name__}); restore it, "
                "or train the run again"
            ) from error
        return cls(trained, files)


def _compact(values: object) -> str:
    return json.dumps(values, separators=(",", ":"))


def _column(values: IntArray | Sequence[str] | None) -> Iterator[str]:
    """A list as JSON, or null."""
    if values is None:
        yield "null"
        return
    parts: Iterator[str]
    if isinstance(values, np.ndarray):
        parts = (_compact(values[at : at + _CHUNK].tolist())[1:-1] for at in range(0, len(values), _CHUNK))
    else:
        parts = Block.of(values).json()
    yield f"[{next(parts, '')}"
    yield from (f",{part}" for part in parts)
    yield "]"


def _files(names: list[str], labels: list[int], sizes: list[int], ends: list[int] | None) -> SplitFiles:
    columns = [np.array(column, dtype=np.int64) for column in (labels, sizes, *([] if ends is None else [ends]))]
    if any(column.shape != (len(names),) for column in columns):
        raise ValueError("columns of other lengths")
    return SplitFiles(Block.of(names), columns[0], lambda: (columns[1], None if ends is None else columns[2]))


def names_below(paths: Sequence[str], root: Path, split: str, own: Path) -> Sequence[str]:
    """What files are called wherever their set lies: their paths below its root, else below a folder of the split; in
    shards as these have it.

    Args:
        paths: of the files.
        root: of the set.
        split: of the files.
        own: folder of what the split was given by.
    """
    start = f"{root}{os.sep}"
    if members := member_names(paths):
        return members
    if os.sep == "/" and isinstance(paths, Block) and (below := paths.without(start)) is not None:
        return below
    names = [path.removeprefix(start) if path.startswith(start) else _beside(path, root, split, own) for path in paths]
    return names if os.sep == "/" else [name.replace(os.sep, "/") for name in names]


def _beside(path: str, root: Path, split: str, own: Path) -> str:
    relative = os.path.relpath(path, root)
    return relative if not relative.startswith(os.pardir) else f"{split}:{os.path.relpath(path, own)}"


class Recall:
    """The splits of a run, as they are found in its set again. Files that are gone or changed are left out, and new
    ones too, so that none goes from one split to another.

    Args:
        record: of the run.

    Attributes:
        record: of the run.
        omissions: what was left out: the split, how many of how many, why, and their names.
    """

    def __init__(self, record: SplitRecord) -> None:
        self.record = record
        self.omissions: list[tuple[str, str, list[str]]] = []
        self._new: set[str] = set()
        self._left = 0

    def rows(self, now: Mapping[str, SplitFiles]) -> dict[str, IntArray]:
        """The rows of every split, in the order of the record: those of the files that are as they were.

        Args:
            now: the files of each split as they are now; where a split is not among them, its files are looked for
                in those of "train".
        """
        is_new = {split: np.ones(len(files.names), dtype=np.bool_) for split, files in now.items()}
        rows = {}
        for split, then in self.record.files.items():
            own = split if split in now else "train"
            files = now[own]
            places = places_of(then.names, files.names)
            is_new[own][places[places >= 0]] = False
            there = np.flatnonzero(places >= 0)
            same = then.same(there, files, places[there])
            for why, lost in (("gone", np.flatnonzero(places < 0)), ("changed", there[~same])):
                if len(lost):
                    self.omissions.append((split, why, [then.names[row] for row in lost.tolist()]))
            rows[split] = places[there[same]]
            self._left += len(rows[split])
        self._new = {name for split, new in is_new.items() for name in at_rows(now[split].names, np.flatnonzero(new))}
        for then in self.record.files.values() if self._new else ():
            self._new.difference_update(then.names)
        return rows

    def tell(self, source: str, noun: str) -> list[tuple[int, str, str]]:
        """Say what is left out, and return how many of what, and why.

        Raises:
            InputError: no file is as it was.
        """
        if not self._left:
            total = sum(len(files.names) for files in self.record.files.values())
            names = next((names for _, _, names in self.omissions), [])
            raise InputError(
                f"{source}: none of the {plural(total, noun)} of the run is there as it was, such as {some(names)}: "
                "give the folder that has them by --data.root, or another set by --data"
            )
        for split, why, names in self.omissions:
            verb = {"gone": ("is gone", "are gone"), "changed": ("has changed", "have changed")}[why][len(names) > 1]
            whole = plural(len(self.record.files[split].names), f"{SPLITS[split]} {noun}")
            logger.info(f"{source}: {len(names):,} of the {whole} of the run {verb}, left out: {some(names)}")
        left_out = [(len(names), f"{SPLITS[split]} {noun}", why) for split, why, names in self.omissions]
        if new := len(self._new):
            logger.info(f"{source}: {plural(new, noun)} in no split of the run, left out")
            left_out.append((new, noun, "in no split of the run"))
        return left_out
