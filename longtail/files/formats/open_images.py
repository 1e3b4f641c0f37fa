"""Open Images' labels of whole images, with the names of its classes."""

from __future__ import annotations

import csv
import io
import logging
from pathlib import Path

from longtail.errors import InputError
from longtail.files.formats.base import Format, start
from longtail.files.tables.labels import Draft, Rows
from longtail.files.tables.table import file_text
from longtail.messages import escape, plural

logger = logging.getLogger(__name__)

_HEADER = ["ImageID", "Source", "LabelName", "Confidence"]


def _is_file(file: Path) -> bool:
    return start(file, ".csv").lstrip().partition("\n")[0].strip().split(",") == _HEADER


def _read(file: Path, group: str | None) -> Rows:
    names = _class_names(file)
    rows = Draft()
    reader = csv.reader(io.StringIO(file_text(file), newline=""))
    absent = 0
    next(reader)
    try:
        for fields in filter(None, reader):
            if len(fields) < len(_HEADER):
                message = f"{plural(len(fields), 'field')} where the header has {len(_HEADER)}; correct the row"
                raise InputError(f"{escape(file)}, line {reader.line_num}: {message}")
            image, _, label, confidence = fields[:4]
            if float(confidence) <= 0:  # it was verified that the image has none
                absent += 1
                continue
            rows.add(reader.line_num, image, names.get(label, label))
    except (csv.Error, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{escape(file)}, line {reader.line_num}: {error}; correct the row") from error
    if absent:
        labels = plural(absent, "label")
        logger.info(f"{escape(file)}: left out {labels} of confidence 0, of what an image does not show")
    return rows.rows(file, several=True)


def _class_names(file: Path) -> dict[str, str]:
    """The names of classes by their codes, from a file of descriptions beside the labels or above them."""
    for folder in (file.parent, file.parent.parent, file.parent.parent / "metadata"):
        for other in sorted([*folder.glob("*class-descriptions*.csv"), *folder.glob("classes.csv")]):
            table = csv.reader(io.StringIO(file_text(other), newline=""))
            return {row[0]: row[1].strip() for row in table if len(row) > 1}
    logger.info(f"{escape(file)}: no class-descriptions*.csv beside it, so classes are called by their codes")
    return {}


OPEN_IMAGES = Format("Open Images' labels", _is_file, _read)
