"""Sets of images in tar shards, and the index by which each image is read alone."""

from __future__ import annotations

import io
import json
import logging
import os
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from longtail.errors import InputError
from longtail.files.images.passed_over import Why
from longtail.files.listing import Listing
from longtail.files.members import Members
from longtail.files.stores import is_there, joined, read_bytes, read_file, state
from longtail.files.tables.entries import Reading
from longtail.files.tables.labels import Rows, indices_among, own_indices
from longtail.files.texts import Block, at_rows
from longtail.files.threads import in_threads
from longtail.messages import escape
from longtail.plain import AnyPath
from longtail.writing import write_atomically

logger = logging.getLogger(__name__)

INDEX, ARRAYS = "index.json", "index.npz"
_FORMAT = "longtail shards 1"  # a new number whenever older versions cannot read it
_COLUMNS = ("shard", "start", "length", "label")
_SPLITS = ("train", "all", "val", "test")
_END = 2**16  # bytes at each end of a shard that tell it from another


@dataclass(frozen=True)
class Shard:
    """A tar file of a set.

    Attributes:
        name: from the folder of the set.
        split: of its images, "train", "val" or "test"; "all" where the set is not split.
        size: in bytes.
        ends: CRC-32 of its first and its last 64 KiB.
        stamp: see ``stores.state``; empty where the shards may be copied, which changes it.
    """

    name: str
    split: str
    size: int
    ends: int
    stamp: str = ""


@dataclass(frozen=True, eq=False)
class Index:
    """What is in the shards of a set: M images, one row each, those of a split together and in its order.

    Attributes:
        shards: the tar files.
        labels: what images are labelled with.
        ordered: whether the labels are the classes in their order; otherwise the order follows from them.
        group: what the groups are, as ``--data.group`` names it; empty where there are none.
        shard: (M,) which of the shards has each image.
        start, length: (M,) where its bytes are in there.
        label: (M,) which of the labels it has; -1 for none.
        names: what each is called.
        groups: of each, or none.
    """

    shards: list[Shard]
    labels: list[str]
    ordered: bool
    group: str
    shard: NDArray[np.int64]
    start: NDArray[np.int64]
    length: NDArray[np.int64]
    label: NDArray[np.int64]
    names: Sequence[str]
    groups: Sequence[str]

    def write(self, folder: Path) -> None:
        """Write it as ``index.npz`` and ``index.json`` into a folder."""
        arrays = io.BytesIO()
        np.savez_compressed(
            arrays,
            shard=self.shard.astype(np.int32),
            start=self.start,
            length=self.length,
            label=self.label.astype(np.int32),
            names=_block(self.names),
            groups=_block(self.groups),
        )
        about = {
            "format": _FORMAT,
            "images": len(self.names),
            "labels": self.labels,
            "ordered": self.ordered,
            "group": self.group,
            "arrays": [arrays.tell(), zlib.crc32(arrays.getbuffer())],
            "shards": [asdict(shard) for shard in self.shards],
        }
        write_atomically(folder / ARRAYS, arrays.getvalue())
        write_atomically(folder / INDEX, json.dumps(about, indent=1) + "\n")

    @classmethod
    def read(cls, place: AnyPath) -> Index:
        """That in a folder or at an address.

        Raises:
            InputError: it cannot be read.
        """
        place = os.fspath(place)
        file = joined(place, INDEX)
        try:
            about = json.loads(read_file(file))
            if about["format"] != _FORMAT:
                raise ValueError(f"of another version, {about['format']}")
            data = read_file(joined(place, ARRAYS))
            if [len(data), zlib.crc32(data)] != about["arrays"]:
                raise ValueError(f"{ARRAYS} beside it is of another packing")
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                shard, start, length, label = (arrays[name].astype(np.int64) for name in _COLUMNS)
                names, groups = (Block.of_lines(arrays[name].tobytes()) for name in ("names", "groups"))
            shards, labels = [Shard(**entry) for entry in about["shards"]], list(about["labels"])
            index = cls(shards, labels, about["ordered"], about["group"], shard, start, length, label, names, groups)
            index._check(about["images"])
        except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
            if isinstance(error, InputError):
                raise
            reason = escape(error) or type(error).__name__
            raise InputError(f"{escape(file)}: cannot be read ({reason}); copy or pack the set again") from error
        return index

    def _check(self, images: int) -> None:
        """That all says the same number of images, and that each has a shard and a label that are listed."""
        if {len(self.shard), len(self.names), len(self.groups) or images} != {images}:
            raise ValueError("numbers of images that differ")
        for what, column, count in (("shard", self.shard, len(self.shards)), ("label", self.label, len(self.labels))):
            if images and column.max() >= count:
                raise ValueError(f"an image has the {what} {column.max()} of {count}")

    def changed(self, place: str) -> str:
        """What is wrong with the first shard at a place that is not as it was indexed; empty where all are."""
        faults = in_threads(partial(_fault, place), self.shards, 8, lambda shard: escape(joined(place, shard.name)))
        return next(filter(None, faults), "")

    def listings(self, place: str, reading: Reading, classes: Sequence[str] | None = None) -> dict[str, Listing]:
        """The images by their splits, with the classes of the training images.

        Args:
            place: path or address of the set.
            reading: how to read.
            classes: the class names in order, where they are known.

        Raises:
            InputError: images have no label, or one that is none of the classes; there is nothing to train on.
        """
        splits = np.array([_SPLITS.index(shard.split) for shard in self.shards], dtype=np.int64)[self.shard]
        by_split = {split: np.flatnonzero(splits == at) for at, split in enumerate(_SPLITS)}
        if classes is None and not len(by_split["train"]) and not len(by_split["all"]):
            raise InputError(f"{escape(place)}: there are no images to train on; add shards called train-...")
        if self.groups and reading.columns.group is None:
            by = f", by {escape(self.group)}," if self.group else ""
            logger.info(f"{escape(place)}: the packed groups{by} stay on one side of a split each")
        listings: dict[str, Listing] = {}
        for split, rows in by_split.items():
            if split == "test" and listings and len(rows) and (self.label[rows] < 0).all():
                reading.passed_over.unlabelled += len(rows)
            elif len(rows):
                rows = self._labelled(place, rows, reading)
                listings[split] = self._listing(place, rows, classes, reading.columns.group)
                classes = listings[split].classes
        return listings

    def _labelled(self, place: str, rows: NDArray[np.int64], reading: Reading) -> NDArray[np.int64]:
        bare = rows[self.label[rows] < 0]
        if not len(bare):
            return rows
        if not reading.skip or len(bare) == len(rows):
            path = escape(self._paths(place, bare[:1])[0])
            raise InputError(f"{path}: there is no label (.cls or .json) beside it{reading.way_out}")
        reading.passed_over.leave_out(len(bare), reading.kind.noun, "without a label beside it", Why.FAULTY)
        return rows[self.label[rows] >= 0]

    def _listing(
        self, place: str, rows: NDArray[np.int64], classes: Sequence[str] | None, group: str | None
    ) -> Listing:
        present, first, inverse = np.unique(self.label[rows], return_index=True, return_inverse=True)
        files = [Path(joined(place, self.shards[self.shard[row]].name)) for row in rows[first].tolist()]
        texts = [self.labels[label] for label in present.tolist()]
        order = self.labels if self.ordered else None
        labelled = Rows(Path(place), texts, texts, self.start[rows[first]].tolist(), "byte", classes=order, files=files)
        targets, names = own_indices(labelled) if classes is None else indices_among(labelled, classes)
        grouped = self.groups and group in (None, self.group)
        groups = at_rows(self.groups, rows) if grouped else None
        return Listing(self._paths(place, rows), targets[inverse], names, groups, Path(place))

    def _paths(self, place: str, rows: NDArray[np.int64]) -> Members:
        shards = [joined(place, shard.name) for shard in self.shards]
        starts = self.start[rows]
        names = Block.of(self.names).take(rows)
        return Members(shards, self.shard[rows], starts, starts + self.length[rows], names)


def ends_of(place: str, size: int) -> int:
    """CRC-32 of the first and the last 64 KiB of a file of so many bytes."""
    first = read_bytes(place, 0, min(size, _END))
    return zlib.crc32(read_bytes(place, max(0, size - _END), size), zlib.crc32(first))


def _fault(place: str, shard: Shard) -> str:
    path = joined(place, shard.name)
    if not is_there(path):
        return f"{escape(path)}: is missing"
    size, stamp = state(path)
    if size != shard.size:
        return f"{escape(path)}: has {size} bytes, not the {shard.size} of its index"
    if shard.stamp not in ("", stamp) or ends_of(path, size) != shard.ends:
        return f"{escape(path)}: is another shard than that of its index"
    return ""


def _block(texts: Sequence[str]) -> NDArray[np.uint8]:
    """Texts as one array of bytes, which packs better and is read faster than an array of texts."""
    return np.frombuffer("\0".join(texts).encode("utf-8", "surrogateescape"), dtype=np.uint8)
