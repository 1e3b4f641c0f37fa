"""Where the images or videos lie that a file names: by their paths, or by their names anywhere below a folder."""

# ruff: noqa: PTH100, PTH112, PTH113, PTH117, PTH118, PTH119, PTH122, PTH206, PTH208 - paths are plain strings: objects are slow in their thousands

from __future__ import annotations

import logging
import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence

import numpy as np

from longtail.errors import InputError
from longtail.files.images.folder import IMAGES, Kind
from longtail.files.listing import by_folder, entries, is_file, missing_files, names_in, reading
from longtail.files.split_names import split_in
from longtail.files.tables.labels import Rows
from longtail.files.texts import Block, all_but
from longtail.messages import escape, plural, some

logger = logging.getLogger(__name__)

_UPLOAD = re.compile(r"[0-9a-f]{8}-(?=.)")  # what Label Studio puts before the names of uploads


def find_files(rows: Rows, folders: Sequence[str], kind: Kind, split: str | None = None) -> Block:
    """The path of each row's file, empty where there is none.

    A path leads from one of ``folders``. One that leads nowhere, as it is an id, has leading folders of another machine
    or another suffix, is looked for by its name, then by its name without suffix, anywhere below the folders; of
    several files of that name the one counts whose folders are those of the path, or of ``split``.

    Args:
        rows: name the files.
        folders: those that paths may start from, the likeliest first, each one there.
        kind: what the files are.
        split: the split of the rows, where it is known.

    Raises:
        InputError: a folder is not there, a path is empty or leads out of the folders, or may be one of several files.
    """
    for folder in folders:
        if not os.path.isdir(folder):
            way_out = f"give the one that the paths of {escape(rows.file)} start from"
            raise InputError(f"{escape(folder)}: no such folder; {way_out}")
    inner = _inner_paths(rows, folders)
    waiting = all_but(inner.blank(), len(inner))
    parts = [Block.of([""])]  # and the places in them
    place = np.zeros(len(inner), dtype=np.int64)
    for folder in folders:
        paths = inner.take(waiting).prefixed(os.path.join(folder, ""))
        missing = np.array(missing_files(paths, kind.folders), dtype=np.int64)
        if len(paths) == len(inner) and not len(missing):
            return paths
        there = all_but(missing, len(waiting))
        place[waiting[there]] = sum(map(len, parts)) + np.arange(len(there))
        parts.append(paths.take(there))
        waiting = waiting[missing]
    lost = np.flatnonzero(place == 0).tolist()
    if lost and (names := _Names(folders, kind, split)).files:
        matches = {i: path for i in lost if (path := names.find(rows, i))}
        place[list(matches)] = sum(map(len, parts)) + np.arange(len(matches))
        parts.append(Block.of(matches.values()))
        if matches:
            where, total = escape(folders[-1]), plural(len(set(rows.paths)), kind.noun)
            by_name = len({rows.paths[i] for i in matches})
            logger.info(f"{by_name} of {total} of {escape(rows.file)} found by their names in {where}")
    return Block.joined(parts).take(place)


def unnamed(paths: Iterable[str], kind: Kind = IMAGES) -> list[str]:
    """The files of a kind beside those of some paths, of which none comes twice, that are not among these."""
    paths = Block.of(paths)
    result: dict[str, list[str]] = {}
    for folder, rows in by_folder(paths):
        with reading(folder):
            count = len(os.listdir(folder))
        if count > len(rows):
            named = set(names_in(folder, paths.take(rows)))
            others = [entry for entry in entries(folder) if entry.name not in named and entry.name[0] != "."]
            result[folder] = [entry.path for entry in others if kind.has(entry.path) and is_file(entry)]
    return [path for folder in sorted(result) for path in result[folder]]


def _inner_paths(rows: Rows, folders: Sequence[str]) -> Block:
    """The paths as they start from a folder, without detours; empty for one that starts elsewhere."""
    paths = Block.of(rows.paths)
    if all(map(_are_plain, paths.pieces())):
        return paths
    tops = {os.path.join(top, "") for folder in folders for top in (os.path.abspath(folder), os.path.realpath(folder))}
    return Block.of(_inner_path(rows, i, path, tops, folders[-1]) for i, path in enumerate(paths))


def _are_plain(paths: bytes) -> bool:
    """Whether all paths, with NULs between, are relative ones without detours, by one look at them together."""
    whole = b"/%b/" % paths.replace(b"\0", b"/")
    return os.sep == "/" and not any(mark in whole for mark in (b"//", b"/./", b"/../"))


def _inner_path(rows: Rows, i: int, path: str, tops: Collection[str], folder: str) -> str:
    if not path:
        raise rows.error(i, "the path is empty; fill it in or remove the row")
    plain = os.path.normpath(path)
    start = plain
    elsewhere = False
    if os.path.isabs(plain):
        start = next((plain[len(top) :] for top in tops if plain.startswith(top)), "")
        elsewhere = not start and os.path.lexists(plain)
    if elsewhere or plain in (os.curdir, os.pardir) or plain.startswith(os.pardir + os.sep):
        raise rows.error(i, f"path {escape(path)} is not inside {escape(folder)}; correct it or give another root")
    return start


class _Names:
    """The files below some folders, by their names."""

    def __init__(self, folders: Sequence[str], kind: Kind, split: str | None) -> None:
        self.kind, self.split = kind, split
        self.files: dict[str, list[str]] = defaultdict(list)
        self.stems: dict[str, list[str]] = defaultdict(list)
        for path in dict.fromkeys(path for folder in folders for path in _below(folder, kind)):
            name = os.path.basename(path)
            self.files[name].append(path)
            self.stems[self._stem(name)].append(path)

    def _stem(self, name: str) -> str:
        stem, suffix = os.path.splitext(name)
        return stem if suffix.lower() in self.kind.suffixes else name

    def find(self, rows: Rows, row: int) -> str | None:
        *folders, name = re.split(r"[/\\]+", rows.paths[row].rstrip("/\\")) or [""]
        matches: list[str] = []
        for word in (name, _UPLOAD.sub("", name)):
            matches = matches or self.files.get(word, []) or self.stems.get(word, [])
            matches = matches or self.stems.get(self._stem(word), [])
        if len(matches) > 1:
            matches = self._nearest(matches, folders)
        if len(matches) > 1:
            raise rows.error(
                row,
                f"{escape(rows.paths[row])} may be {some(matches)}; write the path, or give the folder of the "
                f"{self.kind.noun}s by --data.root",
            )
        return matches[0] if matches else None

    def _nearest(self, paths: list[str], folders: Sequence[str]) -> list[str]:
        """Of several paths those that have the most of the folders, else those in a folder of the split."""
        shared = [_shared(path, folders) for path in paths]
        nearest = [path for path, count in zip(paths, shared, strict=True) if count == max(shared)]
        if len(nearest) == 1 or self.split is None:
            return nearest
        splits = [{split_in(part) for part in path.split(os.sep)[:-1]} for path in nearest]
        return [path for path, names in zip(nearest, splits, strict=True) if self.split in names] or nearest


def _shared(path: str, folders: Sequence[str]) -> int:
    """How many of the last folders of a path are those given."""
    pairs = zip(reversed(path.split(os.sep)[:-1]), reversed(folders), strict=False)
    return next((i for i, (ours, theirs) in enumerate(pairs) if ours != theirs), len(folders))


def _below(folder: str, kind: Kind) -> Iterator[str]:
    """The paths of what may be samples below a folder, each folder entered once."""
    real_paths: set[str] = set()
    for current, folders, names in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(current)) in real_paths:
            folders.clear()
            continue
        real_paths.add(real)
        folders[:] = sorted(name for name in folders if name[0] != "." and name != "__MACOSX")
        yield from (os.path.join(current, name) for name in folders if kind.folders)
        for name in sorted(names):
            path = os.path.join(current, name)
            if name[0] != "." and kind.has(path) and os.path.isfile(path):
                yield path


def placed(path: str, folders: Sequence[str | os.PathLike[str]]) -> str | None:
    """Where a file lies that a row names, in one of some folders; None where it is not there, never in another folder
    that has one of its name."""
    plain = os.path.normpath(path)
    if not path or os.path.isabs(plain) or plain.startswith(os.pardir):
        return None
    return next((whole for folder in folders if os.path.isfile(whole := os.path.join(folder, plain))), None)
