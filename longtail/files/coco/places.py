"""Where the images lie that annotations name."""

# ruff: noqa: PTH113, PTH118 - paths are plain strings: objects are slow in their thousands

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PureWindowsPath
from urllib.parse import unquote

import numpy as np

from longtail.errors import InputError
from longtail.files.coco.annotations import Annotations
from longtail.files.listing import IntArray, missing_files
from longtail.files.tables.labels import Rows
from longtail.files.tables.table import below
from longtail.messages import escape


def placed(annotations: Annotations, folders: Sequence[Path]) -> tuple[Annotations, Path]:
    """The annotations with the paths of their images as these lie, and the folder that the paths start from.

    That is the one of ``folders`` in which most images are. A path that leads nowhere is tried without its leading
    folders, with back slashes as separators, and with %C3%A4 read as in an address, as tools write where the images
    were when they were annotated.

    Args:
        annotations: read from a file.
        folders: those to look in, the likeliest first; some may not be there.

    Raises:
        InputError: none of the folders is there.
    """
    there = [folder for folder in dict.fromkeys(folders) if folder.is_dir()]
    if not there:
        raise InputError(
            f"no folder at {escape(folders[0])}, where the images of {escape(annotations.file)} are to lie"
        )
    best: tuple[int, list[str], Path] | None = None
    for folder in there:
        names, count = _names_in(str(folder), annotations.file_names)
        if best is None or count > best[0]:
            best = (count, names, folder)
        if count == len(names):
            break
    assert best is not None
    if best[1] == annotations.file_names:
        return annotations, best[2]
    return replace(annotations, file_names=best[1], cache=None), best[2]  # the cache has the paths of the file


def _names_in(folder: str, names: list[str]) -> tuple[list[str], int]:
    """The paths as they lie in a folder, and how many of them do."""
    placed = list(names)
    missing = missing_files([os.path.join(folder, name) for name in names])
    count = len(names) - len(missing)
    for i in missing:
        parts = [
            part for part in PureWindowsPath(names[i]).parts if part not in ("..", "/", "\\") and part[-1:] != "\\"
        ]
        ends = (way("/".join(parts[start:])) for way in (str, unquote) for start in range(len(parts)))
        end = next((end for end in ends if os.path.isfile(os.path.join(folder, end))), None)
        if end is not None:
            placed[i], count = end, count + 1
    return placed, count


def check_files(annotations: Annotations, folder: Path, skip_missing: bool = False) -> IntArray:
    """Make sure that every image lies in ``folder``, or leave out those that do not.

    Returns:
        The rows of the images that are there.

    Raises:
        InputError: one is missing, is given twice, or its path leads out of ``folder``.
    """
    rows = Rows(annotations.file, annotations.file_names, [], annotations.image_ids.tolist(), "image")
    paths = below(str(folder), rows)
    missing = missing_files(paths)
    if missing and (not skip_missing or len(missing) == len(paths)):
        raise rows.error(
            missing[0],
            f"no such file: {escape(paths[missing[0]])}; {len(missing)} of {len(paths)} images are missing: "
            f"put them below {escape(folder)}, or leave such images out by --data.skip_bad_annotations true",
        )
    return np.setdiff1d(np.arange(len(paths)), missing)
