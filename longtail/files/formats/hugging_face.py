"""Folders of Parquet or Arrow files with images in them, as Hugging Face's ``datasets`` and its hub write them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from longtail.errors import InputError
from longtail.files.images.folder import IMAGES, samples_below
from longtail.files.tables.configurations import Configuration
from longtail.files.tables.entries import Reading
from longtail.files.tables.files import shards_name, shards_words, table_files, tables_by_split
from longtail.files.tables.labels import Rows, joined
from longtail.files.tables.packed import has_images, read_columnar
from longtail.messages import escape, some

logger = logging.getLogger(__name__)


def packed_files(config: Configuration) -> list[Path]:
    """The files of a set that have images in them.

    Raises:
        InputError: one cannot be read, or is missing.
    """
    return [file for file in table_files(config) if has_images(file)]


def read_packed(config: Configuration, files: Sequence[Path], reading: Reading) -> dict[str, Rows]:
    """The rows of each split.

    Args:
        config: the set.
        files: those of ``packed_files``.
        reading: how to read.

    Raises:
        InputError: a file cannot be used or is missing, or several sets of files claim one split.
    """
    root = config.folder
    splits, others = tables_by_split(config, files)
    if others:
        reading.passed_over.leave_out(len(others), "file", f"of no split ({some([file.name for file in others])})")
    parts: dict[str, Rows] = {}
    for split, its in splits.items():
        rows = _joined([read_columnar(file, reading.columns, root, config.name) for file in its])
        if split == "test" and not any(rows.labels) and parts:
            reading.passed_over.unlabelled += len(rows.labels)
        else:
            parts[split] = rows
    if config.splits is None and (beside := samples_below(str(root), IMAGES)):
        reading.passed_over.leave_out(len(beside), "image file", "beside the tables")
    words = ", ".join(f"{split} in {shards_words(root, its)}" for split, its in splits.items())
    columns = next(iter(parts.values())).columns
    logger.info(f"{config.words}read as {reading.kind.noun}s in tables: {words}; {columns}")
    return parts


def _joined(parts: list[Rows]) -> Rows:
    """The rows of several files as those of one."""
    first, *others = parts
    for part in others:
        if (part.columns, part.classes) != (first.columns, first.classes):
            raise InputError(
                f"{escape(part.file)} has other columns or classes than {escape(first.file)}: give files of one set"
            )
    return joined(parts, shards_name([part.file for part in parts])) if others else first
