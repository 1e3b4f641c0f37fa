"""What kind of set lies at a path, told from its layout and its names alone: nothing is imported for it that takes
seconds."""

from __future__ import annotations

import os
import re
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from longtail.errors import InputError
from longtail.files.archives import refuse_archive, refuse_archives
from longtail.files.formats.base import text_start
from longtail.files.formats.known import format_of, in_shards, is_labels
from longtail.files.formats.layouts import boxes_in_file, check_tables, find_layouts, in_file, refuse_unread
from longtail.files.formats.readers import Reader
from longtail.files.images.folder import VIDEO_SUFFIXES
from longtail.files.images.reading import SUFFIXES
from longtail.files.listing import entries
from longtail.files.tables.columnar import SUFFIXES as COLUMNAR
from longtail.files.tables.entries import Reading
from longtail.messages import command, escape

_FILES = 2000  # of a folder that are looked at to tell videos from images
_TEXT = 2**16  # bytes of a table that are looked at for it
_VIDEOS = VIDEO_SUFFIXES - SUFFIXES
_ENDING = re.compile(r"\.\w{2,4}\b")


class Recognition(NamedTuple):
    """What lies at a path.

    Attributes:
        data: the class that reads it.
        words: what it is.
    """

    data: Reader
    words: str


def recognise(path: Path, configuration: str | None = None) -> Recognition:
    """Tell what lies at a path that is there. Folders of frames are taken for folders of images, as they look the same.

    Args:
        path: file or folder.
        configuration: which one of a set that has several; by default all are looked at.

    Raises:
        InputError: nothing that can be read, or several kinds of set; the message says what to give.
    """
    refuse_archive(path)
    return _in_folder(path, configuration) if path.is_dir() else _in_file(path)


def _in_folder(folder: Path, configuration: str | None) -> Recognition:
    if not any(entry.name[0] != "." for entry in entries(str(folder))):
        raise InputError(f"{escape(folder)} is empty: give a folder with images, videos or annotations")
    if in_shards(folder, Reading()):
        return Recognition(Reader.FOLDER, "images in shards")
    layouts = find_layouts(folder, configuration)
    if unread := next((layout for layout in layouts if layout.reader is None), None):
        raise InputError(f"{escape(folder)} holds {unread.words}: {unread.way_out}")
    words = " and ".join(dict.fromkeys(layout.words for layout in layouts))
    readers = list(dict.fromkeys(layout.reader for layout in layouts if layout.reader))
    if len(readers) > 1:
        ways = " or ".join(command("longtail", "data", reader.value, "--data.root", folder) for reader in readers)
        raise InputError(f"{escape(folder)} holds {words}: choose by {ways}")
    names = chain.from_iterable(names for _, _, names in os.walk(folder, followlinks=True))
    suffixes = [os.path.splitext(name)[1].lower() for name in islice(names, _FILES)]  # noqa: PTH122 - thousands
    if readers in ([], [Reader.FOLDER]) and _more_videos(suffixes):
        return Recognition(Reader.VIDEO_FOLDER, "videos with one class each")
    if not readers and not {*SUFFIXES, *COLUMNAR} & set(suffixes):
        refuse_archives(folder)
    return Recognition(readers[0], words) if readers else Recognition(Reader.FOLDER, "images with one class each")


def _in_file(file: Path) -> Recognition:
    if file.suffix.lower() == ".json" and (layout := boxes_in_file(file)):
        way_out = f"give the folder of the images, and {command('--data.train', file)}"
        raise InputError(f"{escape(file)} holds {layout.words}: {way_out}")
    refuse_unread(file)
    if file.suffix.lower() in (".yaml", ".yml"):
        raise InputError(f"{escape(file)}: give {command(file.parent)}; names and splits are read from it there")
    if not is_labels(file):
        raise InputError(
            f"{escape(file)} is no table and no file of a known tool: give a table, or the folder of a set"
        )
    layouts = in_file(file)
    if layouts and layouts[0].grain == "pixels":
        check_tables(file, "images")
    if layouts and layouts[-1].grain == "boxes" and layouts[-1].reader:
        return Recognition(layouts[-1].reader, layouts[-1].words)
    known = format_of(file)
    videos = file.suffix.lower() not in COLUMNAR and _more_videos(_ENDING.findall(text_start(file, _TEXT).lower()))
    plain = "a table of videos" if videos else "a table of images"
    return Recognition(Reader.VIDEO_TABLE if videos else Reader.TABLE, plain if known is None else known.name)


def _more_videos(suffixes: list[str]) -> bool:
    return sum(suffix in _VIDEOS for suffix in suffixes) > sum(suffix in SUFFIXES for suffix in suffixes)
