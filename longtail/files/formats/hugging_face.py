"""Folders of Parquet or Arrow files with images in them, as Hugging Face's ``datasets`` and its hub write them."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from longtail.errors import InputError
from longtail.files.columnar import SUFFIXES
from longtail.files.entries import Reading
from longtail.files.folder import IMAGES, samples_below
from longtail.files.images import SUFFIXES as IMAGE_SUFFIXES
from longtail.files.labels import Rows, joined
from longtail.files.listing import is_file, is_folder
from longtail.files.listing import reading as scanning
from longtail.files.packed import has_images, read_columnar
from longtail.messages import plural, shown, some

logger = logging.getLogger(__name__)

_DEPTH = 2  # of the folders in which the files of a split lie
_SHARD = re.compile(r"(.*?)-?(\d+)(?:-of-(\d+)(?:-[0-9a-f]{16})?)?")  # the number of a file, and how many there are
_STATE = "state.json"


def packed_files(root: Path) -> list[Path]:
    """The files in a folder and below that have images in them.

    Raises:
        InputError: one cannot be read, or is missing.
    """
    return [file for file in _files(root) if has_images(file)]


def read_packed(
    root: Path, files: Sequence[Path], reading: Reading, split_of_file: Callable[[Path], str]
) -> dict[str, Rows]:
    """The rows of each split.

    Args:
        root: the folder of the set.
        files: those of ``packed_files``.
        reading: how to read.
        split_of_file: tells the split of a file, "all" where it cannot.

    Raises:
        InputError: a file cannot be used or is missing, or several sets of files claim one split.
    """
    splits: dict[str, list[Path]] = {}
    for file in files:
        splits.setdefault(split_of_file(file), []).append(file)
    if "train" in splits and (others := splits.pop("all", [])):
        reading.passed.leave_out(len(others), "file", f"of no split ({some([file.name for file in others])})")
    splits = {split: splits[split] for split in ("train", "all", "val", "test") if split in splits}
    parts: dict[str, Rows] = {}
    for split, its in splits.items():
        _check_shards(root, split, its)
        rows = _joined([read_columnar(file, reading.columns, root) for file in its])
        if split == "test" and not any(rows.labels) and parts:
            reading.passed.unlabelled += len(rows.labels)
        else:
            parts[split] = rows
    if beside := samples_below(str(root), IMAGES):
        reading.passed.leave_out(len(beside), "image file", "beside the tables")
    words = ", ".join(f"{split} in {_words(root, its)}" for split, its in splits.items())
    logger.info(f"read as {reading.kind.noun}s in tables: {words}; {next(iter(parts.values())).columns}")
    return parts


def _files(root: Path, depth: int = 0) -> list[Path]:
    """The tables in a folder and below; of a folder that ``save_to_disk`` wrote those that it says are its data."""
    if (root / _STATE).is_file():
        return _saved(root)
    files = []
    with scanning(str(root)), os.scandir(root) as scan:
        for entry in scan:
            suffix = Path(entry.name).suffix.lower()
            if entry.name[0] == ".":
                continue
            if depth and suffix in IMAGE_SUFFIXES:  # a folder of images, which may have very many
                return []
            if is_folder(entry) and depth < _DEPTH:
                files += _files(root / entry.name, depth + 1)
            elif suffix in SUFFIXES and is_file(entry) and not entry.name.startswith("cache-"):
                files.append(root / entry.name)
    return sorted(files)


def _saved(folder: Path) -> list[Path]:
    try:
        content = json.loads((folder / _STATE).read_text(encoding="utf-8"))
        names = [str(entry["filename"]) for entry in content["_data_files"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{shown(folder / _STATE)}: does not name the files of the set ({error}); save it again"
        ) from error
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise InputError(f"{shown(folder)}: {some(missing)} of {_STATE} is not there; copy the whole folder")
    return [folder / name for name in names]


def _check_shards(root: Path, split: str, files: list[Path]) -> None:
    """Make sure that the files of a split are the numbered parts of one, and all of them."""
    parts = {file: _SHARD.fullmatch(file.stem) for file in files}
    names = {(file.parent, match[1] if match else file.stem, match and match[3]) for file, match in parts.items()}
    if len(names) > 1:
        claims = some([os.path.relpath(file, root) for file in files], 4)
        folders = list(dict.fromkeys(file.parent for file in files))
        way_out = f"such as --data {shown(folders[0])}" if len(folders) > 1 else "or one file"
        raise InputError(
            f"{shown(root)} has several sets of files for {split}, {claims}: give the folder of one, {way_out}"
        )
    total = next((match[3] for match in parts.values() if match), None)
    there = {int(match[2]) for match in parts.values() if match}
    if total and (missing := [i for i in range(int(total)) if i not in there]):
        file = files[0]
        match = parts[file]
        name = f"{match[1]}-{missing[0]:0{len(match[2])}d}-of-{total}{file.suffix}" if match else file.name
        raise InputError(
            f"{shown(file.parent)}: {plural(len(missing), 'file')} of {int(total)} for {split} missing, such as "
            f"{shown(name)}; copy it there"
        )


def _joined(parts: list[Rows]) -> Rows:
    """The rows of several files as those of one."""
    first, *others = parts
    for part in others:
        if (part.columns, part.classes) != (first.columns, first.classes):
            raise InputError(
                f"{shown(part.file)} has other columns or classes than {shown(first.file)}: give files of one set"
            )
    match = _SHARD.fullmatch(first.file.stem)
    name = f"{match[1] if match else first.file.stem}*{first.file.suffix}"
    return joined(parts, first.file.with_name(name)) if others else first


def _words(root: Path, files: list[Path]) -> str:
    first = os.path.relpath(files[0], root)
    return shown(first) if len(files) == 1 else f"{shown(first)} and {plural(len(files) - 1, 'more file')}"
