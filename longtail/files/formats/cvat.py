"""Classes of images as tags in CVAT's XML for images."""

from __future__ import annotations

import logging
from pathlib import Path
from xml.etree import ElementTree

from longtail.errors import InputError
from longtail.files.formats.base import Format, start
from longtail.files.split_names import split_of
from longtail.files.tables.labels import Draft, Rows
from longtail.messages import escape, plural

logger = logging.getLogger(__name__)


def _is_file(file: Path) -> bool:
    head = start(file, ".xml")
    return "<annotations>" in head and "<image " in head and "<tag " in head


def _read(file: Path, group: str | None) -> Rows:
    rows = Draft()
    number = 0
    try:
        for _, element in ElementTree.iterparse(file):
            if element.tag != "image":
                continue
            number += 1
            for label in dict.fromkeys(tag.get("label", "") for tag in element.iter("tag")) or [""]:
                rows.add(number, element.get("name", ""), label, split=split_of(element.get("subset", "")) or "")
            element.clear()
    except (ElementTree.ParseError, OSError, LookupError) as error:
        raise InputError(f"{escape(file)}: cannot be read as XML ({error}); export it again") from error
    if "train" not in rows.splits:
        rows.splits.clear()
    elif lost := rows.splits.count(""):
        logger.info(f"{escape(file)}: left out {plural(lost, 'tag')} of a subset that is no split")
    return rows.rows(file, "image", several=True)


CVAT = Format("tags in CVAT's XML", _is_file, _read)
