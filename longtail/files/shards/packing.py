"""Writing the images of a set into shards that WebDataset and others read too, with an index."""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np

from longtail.errors import InputError
from longtail.files.images.reading import SUFFIXES
from longtail.files.listing import Listing
from longtail.files.members import open_binary
from longtail.files.progress import progress_bar
from longtail.files.shards.index import Index, Shard, ends_of
from longtail.files.tables.unpacking import image_suffix
from longtail.messages import escape
from longtail.plain import AnyPath
from longtail.writing import is_held, is_unused, locked, whole_folder


def pack(
    folder: AnyPath, listings: Mapping[str, Listing], names: Mapping[str, Sequence[str]], most: int, group: str = ""
) -> Index:
    """Write shards ``SPLIT-000000.tar`` and their index into a folder, whole or not at all.

    The files are as they were. An image called ``cat/a.1.jpg`` becomes ``cat/a_1.jpg``, as WebDataset ends the name of
    a sample at its first point, and beside it stands ``cat/a_1.cls`` with the number of its class. In the shards they
    lie in a drawn order, so that who reads these in a row sees the classes mixed; the index has the order of the set.

    Args:
        folder: a new one, or an empty one.
        listings: the images of each split.
        names: what each is called in the set.
        most: bytes that a shard is closed after.
        group: what the groups of the listings are.

    Raises:
        InputError: a file cannot be read, or the folder is not empty or cannot be written.
    """
    folder = Path(folder)
    for left in folder.absolute().parent.glob(f".{folder.name}.*.tmp"):  # of a process that was killed
        if left.is_dir() and not is_held(left):
            shutil.rmtree(left, ignore_errors=True)
    with whole_folder(folder) as temporary:
        with locked(temporary), progress_bar(sum(map(len, listings.values())), "packing", "image") as bar:
            writer = _Writer(temporary, most)
            for split, listing in listings.items():
                writer.begin(split, len(listing))
                keys: set[str] = set()
                for row in np.random.default_rng(0).permutation(len(listing)).tolist():
                    writer.add(row, listing.paths[row], _key(names[split][row], keys), int(listing.targets[row]))
                    bar.update()
                writer.close()
            shard, start, length = np.concatenate(writer.columns, axis=1)
            targets = np.concatenate([listing.targets for listing in listings.values()])
            grouped = any(listing.groups for listing in listings.values())
            of_each = (listing.groups or [""] * len(listing) for listing in listings.values())
            groups = [name for its in of_each for name in its] if grouped else []
            every = [name for split in listings for name in names[split]]
            classes = next(iter(listings.values())).classes
            index = Index(writer.shards, classes, True, group, shard, start, length, targets, every, groups)
            index.write(temporary)
        (temporary / ".lock").unlink(missing_ok=True)
    return index


class _Writer:
    """Shards of one split after the other, and where each image is in them."""

    def __init__(self, folder: Path, most: int) -> None:
        self.folder, self.most = folder, most
        self.shards: list[Shard] = []
        self.columns: list[np.ndarray[tuple[int, int], np.dtype[np.int64]]] = []  # (3, M): shard, start and length
        self._tar: tarfile.TarFile | None = None

    def begin(self, split: str, images: int) -> None:
        self._split, self._number = split, 0
        self.columns.append(np.zeros((3, images), dtype=np.int64))

    def add(self, row: int, path: str, key: str, target: int) -> None:
        try:
            with open_binary(path) as file:
                data = file.read()
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise InputError(f"{escape(path)}: cannot be read ({reason}); repair it, and pack again") from error
        if self._tar is None:
            self._name = f"{self._split}-{self._number:06}.tar"
            self._tar = tarfile.open(self.folder / self._name, "w", format=tarfile.GNU_FORMAT)  # noqa: SIM115 - see close
        suffix = os.path.splitext(path)[1].lower()  # noqa: PTH122 - of millions
        start = self._put(f"{key}{suffix if suffix in SUFFIXES else image_suffix(data) or '.bin'}", data)
        self._put(f"{key}.cls", str(target).encode())
        self.columns[-1][:, row] = len(self.shards), start, len(data)
        if self._tar.offset >= self.most:
            self.close()

    def _put(self, name: str, data: bytes) -> int:
        """Add a file; where its content begins."""
        assert self._tar is not None
        info = tarfile.TarInfo(name)
        info.size = len(data)
        self._tar.addfile(info, BytesIO(data))
        self._tar.members.clear()  # type: ignore[attr-defined]  # it would keep them all
        return self._tar.offset - -(-len(data) // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE

    def close(self) -> None:
        """End the shard that is open."""
        if self._tar is None:
            return
        self._tar.close()
        path = self.folder / self._name
        size = path.stat().st_size
        self.shards.append(Shard(self._name, self._split, size, ends_of(str(path), size)))
        self._tar, self._number = None, self._number + 1


def _key(name: str, keys: set[str]) -> str:
    """What WebDataset calls a sample: without points in its last part, and each another."""
    folder, _, base = name.replace("\\", "/").rpartition("/")
    parts = [part for part in folder.replace(":", "/").split("/") if part not in ("", ".", "..")]
    key = "/".join([*parts, os.path.splitext(base)[0].replace(".", "_") or "_"])  # noqa: PTH122 - of millions
    while key in keys:
        key += "_"
    keys.add(key)
    return key


def check_destination(folder: Path, source: str) -> None:
    """Make sure that a set can be packed into a folder, before any work is done for it.

    Raises:
        InputError: it lies in the folder of the set, or is not empty.
    """
    if Path(source).is_dir() and folder.resolve().is_relative_to(Path(source).resolve()):
        raise InputError(
            f"{escape(folder)} lies in {escape(source)}, which it is packed from: choose a folder beside it"
        )
    if folder.exists() and not is_unused(folder):
        raise InputError(f"{escape(folder)} is not an empty folder: choose a new one")
