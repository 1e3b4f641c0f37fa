"""Which format a file or a folder of images with classes has, and how it is read."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from longtail.errors import InputError
from longtail.files.entries import Reading, listings_of
from longtail.files.folder import IMAGES, samples_below, scan_labelled
from longtail.files.formats.base import Format
from longtail.files.formats.coco import COCO
from longtail.files.formats.fiftyone import FIFTYONE
from longtail.files.formats.hugging_face import packed_files, read_packed
from longtail.files.formats.label_studio import JSON, TABLE
from longtail.files.formats.open_images import OPEN_IMAGES
from longtail.files.formats.webdataset import has_shards, read_shards
from longtail.files.labels import Rows
from longtail.files.listing import Listing, entries, is_file, is_folder
from longtail.files.places import find_files
from longtail.files.split_names import folder_splits, split_in, split_of
from longtail.files.table import is_table, read_rows
from longtail.messages import command, shown, some

logger = logging.getLogger(__name__)

FORMATS = (COCO, JSON, TABLE, FIFTYONE, OPEN_IMAGES)
_BELOW = ("annotations", "labels", "metadata")  # folders in which files about images lie
_NO_LABELS = ("submission", "class-descriptions", "test_labels")


def format_of(file: Path) -> Format | None:
    """The format of a tool that a file has; None for a plain table and for what is unknown."""
    return next((known for known in FORMATS if known.is_file(file)), None)


def is_labels(file: Path) -> bool:
    """Whether a file can be read for the classes of images."""
    return is_table(file) or format_of(file) is not None


def read_file(
    file: Path, root: Path | None, reading: Reading, classes: Sequence[str] | None = None
) -> dict[str, Listing]:
    """The images of a file: under "all", or by the splits that the file says.

    Args:
        file: a table, or a file of a tool.
        root: folder that paths start from; by default that of the file.
        reading: how to read.
        classes: the class names in order, such as those of the training images.

    Raises:
        InputError: it cannot be used.
    """
    folders = [str(file.parent if root is None else root)]
    rows = _rows(file, reading)
    return listings_of({"all": rows}, folders, reading, classes)


def read_folder(root: Path, reading: Reading, classes: Sequence[str] | None = None) -> dict[str, Listing]:
    """The images of a folder in which the files of a tool lie, by split; nothing where there are none.

    Args:
        root: the folder.
        reading: how to read.
        classes: as in ``read_file``.

    Raises:
        InputError: something cannot be used, several files claim one split, or there are files of several tools.
    """
    if reading.kind == IMAGES and has_shards(str(root), reading.columns):
        return read_shards(str(root), reading, classes)
    if packed := _packed_files(root, reading):
        return listings_of(read_packed(root, packed, reading, partial(_split, root)), [str(root)], reading, classes)
    files = [(file, known) for file in _candidates(root) if (known := format_of(file))]
    kinds = list(dict.fromkeys(known.name for _, known in files))
    if len(kinds) > 1:
        raise InputError(f"{shown(root)} holds {' and '.join(kinds)}: give the file, by --data FILE")
    if not files:
        return _read_tables(root, reading, classes)
    places: dict[str, list[Path]] = {}
    for file, _ in files:
        places.setdefault(_split(root, file), []).append(file)
    parts = {split: _rows(file, reading) for split, file in _single(root, places, kinds[0]).items()}
    return listings_of(parts, [str(root)], reading, classes)


def _packed_files(root: Path, reading: Reading) -> list[Path]:
    """The tables with images in them; what cannot be read is passed over where folders of images lie beside it."""
    try:
        files = packed_files(root)
    except InputError:
        if _class_folders(root, reading):
            return []
        raise
    if files and (folders := _class_folders(root, reading)):
        both = f"folders of images, {some(folders)}, and tables with images"
        raise InputError(f"{shown(root)} has {both}: give one of them, by --data")
    return files


def _single(root: Path, places: dict[str, list[Path]], kind: str) -> dict[str, Path]:
    """The file of each split, which no other claims; what was recognised is told."""
    for split, claims in places.items():
        if len(claims) > 1:
            names = some([os.path.relpath(file, root) for file in claims])
            raise InputError(f"{shown(root)} has several files for {split}, {names}: give one, by --data FILE")
    words = ", ".join(f"{split} in {os.path.relpath(claims[0], root)}" for split, claims in places.items())
    logger.info(f"read as {kind}: {words}")
    return {split: claims[0] for split, claims in places.items()}


def _read_tables(root: Path, reading: Reading, classes: Sequence[str] | None) -> dict[str, Listing]:
    """The images of a folder in which tables lie that name them, unless their folders are their classes.

    Tables that name no image there, or no classes, are passed over.
    """
    tables: dict[str, list[Path]] = {}
    rows: dict[Path, Rows] = {}
    for file in _candidates(root):
        if not is_table(file) or any(word in file.name.lower() for word in _NO_LABELS):
            continue
        split = _split(root, file)
        with suppress(*[InputError] * (split != "train")):
            its = read_rows(file, reading.columns)
            first = its.subset(range(min(len(its.paths), 20)))
            found = find_files(first, list(dict.fromkeys([str(file.parent), str(root)])), reading.kind, split)
            pairs = [(path, label) for path, label in zip(found, first.labels, strict=True) if path and label]
            if pairs and not all(label in Path(path).parts for path, label in pairs):
                rows[file] = its
                tables.setdefault(split, []).append(file)
    if not tables:
        return {}
    if "train" in tables:
        tables.pop("all", None)
    if folders := _class_folders(root, reading):
        file = next(iter(tables.values()))[0]
        raise InputError(
            f"{shown(root)} has folders of images, {some(folders)}, and {shown(file.name)} with other classes: give "
            f"{command('--data', file)}, or move the table elsewhere to take the folders for the classes"
        )
    places = _single(root, tables, "a table")
    return listings_of({split: rows[file] for split, file in places.items()}, [str(root)], reading, classes)


def read_labelled(place: Path, classes: list[str], split: str, reading: Reading, root: Path | None = None) -> Listing:
    """The labelled files of a table, a file of a tool, or a folder, whose classes are known.

    Args:
        place: the file or the folder.
        classes: the class names in order, such as those of the training images.
        split: "val" or "test": of a place with splits that one is taken.
        reading: how to read.
        root: folder that the relative paths of a file start from; by default its own.

    Raises:
        InputError: see ``scan_labelled``, ``read_file`` and ``read_folder``; or there is no such split.
    """
    listings = read_folder(place, reading, classes) if place.is_dir() else read_file(place, root, reading, classes)
    if not listings:
        return scan_labelled(place, classes, split, reading.kind)
    if not {split, "all"} & listings.keys():
        raise InputError(f"{shown(place)}: has {some(list(listings))} and no {split} images; give a set with some")
    return listings[split if split in listings else "all"]


def _class_folders(root: Path, reading: Reading) -> list[str]:
    """The folders that would be taken for classes, where there are some."""
    names = _folders(root)
    splits = folder_splits(names)
    train = next((name for name, split in splits.items() if split == "train"), None)
    folder = root if train is None else root / train
    names = [name for name in names if name not in splits] if train is None else _folders(folder)
    held = [name for name in names if next(iter(samples_below(str(folder / name), reading.kind)), None)]
    return held if len(held) > 1 else []


def _folders(root: Path) -> list[str]:
    return [entry.name for entry in entries(str(root)) if is_folder(entry) and entry.name[0] not in "._"]


def _rows(file: Path, reading: Reading) -> Rows:
    known = format_of(file)
    if known is None:
        return read_rows(file, reading.columns)
    rows = known.read(file, reading.columns.group)
    logger.info(f"{shown(file)}: read as {known.name}")
    return rows


def _candidates(root: Path) -> list[Path]:
    """Files about images in a folder: right in it, in folders such as annotations/, and in those of splits."""
    folders = [root]
    below = [entry.name for entry in entries(str(root)) if is_folder(entry)]
    folders += [root / name for name in below if name.lower() in _BELOW]
    for name in folder_splits(below):
        folders += [root / name, *(root / name / other for other in _BELOW)]
    files = []
    for folder in folders:
        with suppress(InputError):
            files += [Path(entry.path) for entry in entries(str(folder)) if entry.name[0] != "." and is_file(entry)]
    return [file for file in files if file.suffix.lower() in (".json", ".csv", ".tsv", ".jsonl", ".parquet")]


def _split(root: Path, file: Path) -> str:
    """The split of a file, by its folder or its name; "all" where neither says one."""
    above = file.relative_to(root).parts[:-1]
    by_folder = next((split for part in above if (split := split_of(part))), None)
    return by_folder or split_of(file.stem) or split_in(file.stem) or "all"
