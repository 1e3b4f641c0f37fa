"""Which format a file or a folder of images with classes has, and how it is read."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from longtail.errors import InputError
from longtail.files.formats.base import Format
from longtail.files.formats.coco import COCO, OBJECTS
from longtail.files.formats.cvat import CVAT
from longtail.files.formats.fiftyone import FIFTYONE
from longtail.files.formats.hugging_face import packed_files, read_packed
from longtail.files.formats.label_studio import JSON, TABLE
from longtail.files.formats.layouts import find_layouts
from longtail.files.formats.open_images import OPEN_IMAGES
from longtail.files.formats.webdataset import has_index, read_shards, tars_of_images
from longtail.files.images.folder import IMAGES, samples_below, scan_labelled
from longtail.files.listing import Listing, entries, is_file, is_folder
from longtail.files.split_names import folder_splits
from longtail.files.tables.configurations import Configuration, configuration
from longtail.files.tables.entries import Reading, listings_of
from longtail.files.tables.labels import Draft, Rows
from longtail.files.tables.places import find_files
from longtail.files.tables.table import is_table, read_rows
from longtail.messages import command, escape, some

logger = logging.getLogger(__name__)

FORMATS = (COCO, JSON, TABLE, FIFTYONE, OPEN_IMAGES, CVAT)
_BELOW = ("annotations", "labels", "metadata")  # folders in which files about images lie
_ABOUT = (".json", ".csv", ".tsv", ".jsonl", ".parquet", ".xml")
_NO_LABELS = ("submission", "class-descriptions", "test_labels")


def format_of(file: Path, several: bool = False) -> Format | None:
    """The format of a tool that a file has, where an image may have ``several`` classes or not; None for a plain table
    and for what is unknown."""
    formats = (*FORMATS, OBJECTS) if several else FORMATS
    return next((known for known in formats if known.is_file(file)), None)


def is_labels(file: Path, several: bool = False) -> bool:
    """Whether a file can be read for the classes of images, of which one may have ``several`` or not."""
    return is_table(file) or format_of(file, several) is not None


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
        InputError: something cannot be used, several files claim one split, there are files of several tools, or a
            configuration is named of shards.
    """
    if reading.kind == IMAGES and in_shards(root, reading):
        if reading.configuration is not None:
            option = command("--data.configuration", reading.configuration)
            raise InputError(f"{option}: {escape(root)} is read as shards, which have none: leave it out")
        return read_shards(str(root), reading, classes)
    config = configuration(root, reading.configuration)
    root = config.folder
    if packed := _packed_files(config, reading):
        return listings_of(read_packed(config, packed, reading), [str(root)], reading, classes)
    files = [(file, known) for file in _candidates(config) if (known := format_of(file, reading.columns.several))]
    kinds = list(dict.fromkeys(known.name for _, known in files))
    if len(kinds) > 1:
        raise InputError(f"{escape(root)} holds {' and '.join(kinds)}: give the file, by --data FILE")
    if not files:
        return _read_tables(config, reading, classes) or _read_named(config, reading, classes)
    places: dict[str, list[Path]] = {}
    for file, _ in files:
        places.setdefault(config.split_of(file), []).append(file)
    parts = {split: _rows(file, reading) for split, file in _single(config, places, kinds[0]).items()}
    return listings_of(parts, [str(root)], reading, classes)


def in_shards(root: Path, reading: Reading) -> bool:
    """Whether the images of a folder are those in its tar files: of an index, or with labels beside them.

    Where class folders or files that name images lie beside tar files of others, these are passed over.

    Raises:
        InputError: no tar file of images has labels, and there is nothing else.
    """
    if has_index(str(root)):
        return True
    tars = tars_of_images(str(root), reading.columns)
    if not tars:
        return False
    if _is_set(root, reading):
        reading.passed_over.leave_out(
            len(tars), "archive", f"beside the set ({some([Path(file).name for file in tars])})"
        )
        return False
    if not any(tars.values()):
        way_out = "unpack it, and give the folder"
        raise InputError(
            f"{escape(next(iter(tars)))} is an archive of images without labels (.cls or .json): {way_out}"
        )
    return True


def _is_set(root: Path, reading: Reading) -> bool:
    """Whether there is a set in a folder beside its tar files: class folders, boxes, pixels, or files that name images
    which are there."""
    if _class_folders(root, reading) or any(layout.grain in ("boxes", "pixels") for layout in find_layouts(root)):
        return True
    whole = Configuration(root)
    with suppress(InputError):
        if packed_files(whole):
            return True
    for file in _candidates(whole):
        with suppress(InputError):
            if is_labels(file, reading.columns.several) and not _is_unlabelled(file):
                known = format_of(file, reading.columns.several)
                rows = read_rows(file, reading.columns) if known is None else known.read(file, None)
                if _first_images(rows, root, reading, whole.split_of(file)):
                    return True
    return False


def _is_unlabelled(file: Path) -> bool:
    return any(word in file.name.lower() for word in _NO_LABELS)


def _first_images(rows: Rows, root: Path, reading: Reading, split: str) -> list[tuple[str, str]]:
    """The images of the first rows of a file that are there and have a label, and that."""
    first = rows.subset(range(min(len(rows.paths), 20)))
    paths = find_files(first, list(dict.fromkeys([str(rows.file.parent), str(root)])), reading.kind, split)
    return [(path, label) for path, label in zip(paths, first.labels, strict=True) if path and label]


def _packed_files(config: Configuration, reading: Reading) -> list[Path]:
    """The tables with images in them; what cannot be read is passed over where folders of images lie beside it."""
    root = config.folder
    try:
        files = packed_files(config)
    except InputError:
        if _class_folders(root, reading):
            return []
        raise
    if files and config.splits is None and (folders := _class_folders(root, reading)):
        both = f"folders of images, {some(folders)}, and tables with images"
        raise InputError(f"{escape(root)} has {both}: give one of them, by --data")
    return files


def _single(config: Configuration, places: dict[str, list[Path]], kind: str) -> dict[str, Path]:
    """The file of each split, which no other claims; what was recognised is told."""
    root = config.folder
    for split, claims in places.items():
        if len(claims) > 1:
            names = some([os.path.relpath(file, root) for file in claims])
            raise InputError(f"{escape(root)} has several files for {split}, {names}: give one, by --data FILE")
    words = ", ".join(f"{split} in {os.path.relpath(claims[0], root)}" for split, claims in places.items())
    logger.info(f"{config.words}read as {kind}: {words}")
    return {split: claims[0] for split, claims in places.items()}


def _read_tables(config: Configuration, reading: Reading, classes: Sequence[str] | None) -> dict[str, Listing]:
    """The images of a folder in which tables lie that name them, unless their folders are their classes.

    Tables that name no image there, or no classes, are passed over.
    """
    root = config.folder
    tables: dict[str, list[Path]] = {}
    rows: dict[Path, Rows] = {}
    for file in _candidates(config):
        if not is_table(file) or _is_unlabelled(file):
            continue
        split = config.split_of(file)
        with suppress(*[InputError] * (split != "train")):
            its = read_rows(file, reading.columns)
            pairs = _first_images(its, root, reading, split)
            if pairs and not all(label in Path(path).parts for path, label in pairs):
                rows[file] = its
                tables.setdefault(split, []).append(file)
    if not tables:
        return {}
    if "train" in tables:
        tables.pop("all", None)
    if config.splits is None and (folders := _class_folders(root, reading)):
        file = next(iter(tables.values()))[0]
        raise InputError(
            f"{escape(root)} has folders of images, {some(folders)}, and {escape(file.name)} with other classes: give "
            f"{command('--data', file)}, or move the table elsewhere to take the folders for the classes"
        )
    places = _single(config, tables, "a table")
    return listings_of({split: rows[file] for split, file in places.items()}, [str(root)], reading, classes)


def _read_named(config: Configuration, reading: Reading, classes: Sequence[str] | None) -> dict[str, Listing]:
    """The images that a configuration itself names, whose classes are their folders; nothing where these are not
    several."""
    drafts: dict[str, Draft] = {}
    for file, split in sorted((config.splits or {}).items()):
        if reading.kind.has(str(file)):
            rows = drafts.setdefault(split, Draft())
            rows.add(len(rows) + 1, str(file.relative_to(config.folder)), file.parent.name)
    parts = {split: rows.rows(config.folder / "README.md", "file") for split, rows in drafts.items()}
    if len({label for rows in parts.values() for label in rows.labels}) < 2:
        return {}
    logger.info(f"{config.words}read as folders of classes, with the splits of README.md: {', '.join(parts)}")
    return listings_of(parts, [str(config.folder)], reading, classes)


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
        raise InputError(f"{escape(place)}: has {some(list(listings))} and no {split} images; give a set with some")
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
    known = format_of(file, reading.columns.several)
    if known is None:
        return read_rows(file, reading.columns)
    rows = known.read(file, reading.columns.group)
    logger.info(f"{escape(file)}: read as {known.name}")
    return rows


def _candidates(config: Configuration) -> list[Path]:
    """Files about images that a configuration names, or in its folder: right in it, in folders such as annotations/,
    and in those of splits."""
    if config.splits is not None:
        return config.files(_ABOUT)
    root = config.folder
    folders = [root]
    below = [entry.name for entry in entries(str(root)) if is_folder(entry)]
    folders += [root / name for name in below if name.lower() in _BELOW]
    for name in folder_splits(below):
        folders += [root / name, *(root / name / other for other in _BELOW)]
    files = []
    for folder in folders:
        with suppress(InputError):
            files += [Path(entry.path) for entry in entries(str(folder)) if entry.name[0] != "." and is_file(entry)]
    return [file for file in files if file.suffix.lower() in _ABOUT]
