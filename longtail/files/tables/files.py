"""Parquet or Arrow files as Hugging Face's ``datasets`` and its hub lay them out: which there are, and the split of
each."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

from longtail.errors import InputError
from longtail.files.images.reading import SUFFIXES as IMAGE_SUFFIXES
from longtail.files.listing import entries, is_file, is_folder
from longtail.files.listing import reading as scanning
from longtail.files.split_names import split_of
from longtail.files.tables.columnar import SUFFIXES
from longtail.files.tables.configurations import Configuration
from longtail.messages import escape, plural, some

_DEPTH = 2  # of the folders in which the files of a split lie
_SHARD = re.compile(r"(.*?)-?(\d+)(?:-of-(\d+)(?:-[0-9a-f]{16})?)?")  # the number of a file, and how many there are
_STATE = "state.json"


def table_files(config: Configuration) -> list[Path]:
    """The tables that a configuration names, or in its folder and below; of a folder that ``save_to_disk`` wrote those
    that it says are its data.

    Raises:
        InputError: one of these is missing.
    """
    return _files(config.folder) if config.splits is None else config.files(SUFFIXES)


def metadata_files(config: Configuration) -> list[Path]:
    """The files called metadata with what is known of the images beside them, as ``imagefolder`` has them: those that
    a configuration names, or in its folder, in data/ and in folders of splits."""
    if config.splits is not None:
        return [file for file in config.files((*SUFFIXES, ".jsonl")) if file.stem == "metadata"]
    folders = [config.folder]
    for folder in folders[:] + [config.folder / "data"] * (config.folder / "data").is_dir():
        below = (entry.name for entry in entries(str(folder)) if is_folder(entry))
        folders += [folder / name for name in sorted(below) if name == "data" or split_of(name)]
    names = ("metadata.jsonl", "metadata.parquet")
    return [folder / name for folder in folders for name in names if (folder / name).is_file()]


def tables_by_split(config: Configuration, files: Sequence[Path]) -> tuple[dict[str, list[Path]], list[Path]]:
    """The files of each split, "train" or "all" first, and those of no split where there are some for training.

    Raises:
        InputError: a file is missing, or several sets of files claim one split that no configuration names.
    """
    splits: dict[str, list[Path]] = {}
    for file in files:
        splits.setdefault(config.split_of(file), []).append(file)
    others = splits.pop("all", []) if "train" in splits else []
    splits = {split: splits[split] for split in ("train", "all", "val", "test") if split in splits}
    for split, its in splits.items():
        sets: dict[tuple[object, ...], list[Path]] = {}
        for file in its:
            match = _SHARD.fullmatch(file.stem)
            sets.setdefault((file.parent, match[1] if match else file.stem, match and match[3]), []).append(file)
        if len(sets) > 1 and config.splits is None:
            _refuse_several(config.folder, split, its)
        for shards in sets.values():
            _check_shards(split, shards)
    return splits, others


def shards_words(root: Path, files: Sequence[Path]) -> str:
    """The files of a split for people: the first, and how many more."""
    first = os.path.relpath(files[0], root)
    return escape(first) if len(files) == 1 else f"{escape(first)} and {plural(len(files) - 1, 'more file')}"


def shards_name(files: Sequence[Path]) -> Path:
    """One name for the files of a split, such as train*.parquet."""
    first = files[0]
    if len(files) == 1:
        return first
    match = _SHARD.fullmatch(first.stem)
    return first.with_name(f"{match[1] if match else first.stem}*{first.suffix}")


def _files(root: Path, depth: int = 0) -> list[Path]:
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
            f"{escape(folder / _STATE)}: does not name the files of the set ({error}); save it again"
        ) from error
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise InputError(f"{escape(folder)}: {some(missing)} of {_STATE} is not there; copy the whole folder")
    return [folder / name for name in names]


def _refuse_several(root: Path, split: str, files: Sequence[Path]) -> None:
    claims = some([os.path.relpath(file, root) for file in files], 4)
    folders = list(dict.fromkeys(file.parent for file in files))
    way_out = f"such as --data {escape(folders[0])}" if len(folders) > 1 else "or one file"
    raise InputError(
        f"{escape(root)} has several sets of files for {split}, {claims}: give the folder of one, {way_out}"
    )


def _check_shards(split: str, files: Sequence[Path]) -> None:
    """Make sure that all numbered parts of a table are there."""
    matches = [match for file in files if (match := _SHARD.fullmatch(file.stem))]
    total = next((match[3] for match in matches), None)
    there = {int(match[2]) for match in matches}
    if total and (missing := [i for i in range(int(total)) if i not in there]):
        first = matches[0]
        name = f"{first[1]}-{missing[0]:0{len(first[2])}d}-of-{total}{files[0].suffix}"
        raise InputError(
            f"{escape(files[0].parent)}: {plural(len(missing), 'file')} of {int(total)} for {split} missing, such as "
            f"{escape(name)}; copy it there"
        )
