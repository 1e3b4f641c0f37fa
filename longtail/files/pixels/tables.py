"""Pairs of an image and a mask in the rows of tables, as Hugging Face's ``datasets`` has them."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path

from longtail.errors import InputError
from longtail.files.cache import kept_in
from longtail.files.pixels.pairs import Pairs, read_text
from longtail.files.tables.configurations import Configuration
from longtail.files.tables.files import table_files, tables_by_split
from longtail.files.tables.objects import Masked, find_masks
from longtail.files.tables.places import placed
from longtail.files.tables.unpacking import unpacked
from longtail.messages import escape, plural, some

logger = logging.getLogger(__name__)

NAMES = "id2label.json"  # as transformers and its sets have the names of the classes


def mask_tables(
    config: Configuration, image: str | None = None, mask: str | None = None
) -> dict[str, list[tuple[Path, Masked]]]:
    """The tables of each split in which images and masks are, and their columns.

    Args:
        config: the set.
        image, mask: the columns; None for the likeliest.

    Raises:
        InputError: there are none, or one cannot be used.
    """
    tables = {file: masked for file in table_files(config) if (masked := find_masks(file, image, mask))}
    splits, others = tables_by_split(config, list(tables))
    if not splits:
        way_out = "give their column by --data.mask_column"
        raise InputError(f"{escape(config.folder)} has no table with a column of images and one of masks: {way_out}")
    if others:
        logger.info(f"{escape(config.folder)}: left out {plural(len(others), 'table')} of no split")
    named = {"train" if split == "all" else split: files for split, files in splits.items()}
    return {split: [(file, tables[file]) for file in files] for split, files in named.items()}


def mask_pairs(config: Configuration, tables: Sequence[tuple[Path, Masked]]) -> Pairs:
    """The images and masks in the rows of some tables, unpacked into files.

    Args:
        config: the set.
        tables: of a split, and their columns.

    Raises:
        InputError: a table cannot be read.
    """
    pairs = Pairs([], [], [])
    homes = [kept_in(config.folder, "images"), kept_in(config.folder, "masks")]
    for file, masked in tables:
        name = file.relative_to(config.folder)
        columns = [unpacked(file, column, home, name) for column, home in zip(masked, homes, strict=True)]
        for row, paths in enumerate(zip(*columns, strict=True), start=1):
            if "" in paths:
                lacks = "image" if not paths[0] else "mask"
                pairs.alone.append(f"{escape(file)}, row {row}: has no {lacks}")
                continue
            image, mask = (placed(path, [home, file.parent]) for home, path in zip(homes, paths, strict=True))
            if image is None or mask is None:
                pairs.alone.append(
                    f"{escape(file)}, row {row}: {escape(paths[0] if image is None else paths[1])} is not there"
                )
                continue
            pairs.images.append(image)
            pairs.annotations.append(mask)
    return pairs


def names_by_value(root: Path) -> dict[int, str]:
    """The name of each value of a pixel, of ``id2label.json``; nothing where there is none.

    Raises:
        InputError: it is not as it should be.
    """
    file = root / NAMES
    if not file.is_file():
        return {}
    text = read_text(file)
    try:
        names = {int(value): str(name) for value, name in json.loads(text).items()}
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        raise InputError(f"{escape(file)}: no name for each number of a class ({error}); correct it") from error
    if odd := [value for value in names if not 0 <= value <= 255]:
        raise InputError(f"{escape(file)}: values of pixels go from 0 to 255, not {some(odd)}; correct it")
    return dict(sorted(names.items()))
