"""Images with classes in COCO's form: iNaturalist's files, COCO Camera Traps with LILA's lists of places, and the
classes of objects, where an image may have several."""

from __future__ import annotations

import logging
import re
from collections import Counter
from pathlib import Path

from longtail.errors import InputError
from longtail.files.formats.base import Format, load, start
from longtail.files.formats.layouts import boxes_in_file
from longtail.files.split_names import split_of
from longtail.files.tables.groups import TIES, is_pattern, tell_ties, values_of_field
from longtail.files.tables.labels import Draft, Rows, text
from longtail.messages import escape, plural, some
from longtail.plain import JSON

logger = logging.getLogger(__name__)


def _is_file(file: Path) -> bool:
    head = start(file)
    if '"bbox"' in head or '"segmentation"' in head:
        return False
    return ('"images"' in head and '"file_name"' in head) or ('"annotations"' in head and '"category_id"' in head)


def _has_objects(file: Path) -> bool:
    layout = boxes_in_file(file) if file.suffix.lower() == ".json" else None
    return layout is not None


def _read(file: Path, group: str | None) -> Rows:
    content = load(file)
    try:
        images: list[dict[str, JSON]] = content["images"]
        names = {text(category["id"]): str(category["name"]) for category in content["categories"]}
        labels: dict[str, list[str]] = {}
        for number, annotation in enumerate(content["annotations"]):
            category = text(annotation["category_id"])
            if category not in names:
                raise InputError(f"{escape(file)}, annotation {number + 1}: there is no category {escape(category)}")
            labels.setdefault(text(annotation["image_id"]), []).append(category)
        usable = [image for image in images if not image.get("corrupt")]
        ids = [text(image["id"]) for image in usable]
        paths = [str(image["file_name"]) for image in usable]
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{escape(file)}: no images with classes in COCO's form (no {error}); correct it") from error
    if len(usable) < len(images):
        lost = plural(len(images) - len(usable), "image")
        logger.info(f"{escape(file)}: left out {lost} that it calls corrupt")
    if unknown := labels.keys() - {text(image["id"]) for image in images}:
        raise InputError(f"{escape(file)}: annotations of images that it does not list: {some(sorted(unknown))}")
    twice = {name for name, count in Counter(names.values()).items() if count > 1}
    names = {key: f"{name} ({key})" if name in twice else name for key, name in names.items()}
    rows = Draft()
    groups = [] if group is None or is_pattern(group) else values_of_field(file, usable, group)
    places, where = _places(file, usable)
    for i, image_id in enumerate(ids):
        for category in dict.fromkeys(labels.get(image_id, [""])):
            group_of, split = groups[i] if groups else None, places[i] if places else None
            rows.add(i + 1, paths[i], names[category] if category else "", group_of, split)
    if where is not None:
        logger.info(f"splits by location are those of {escape(where)}")
    elif group is None:
        tell_ties([name for name in TIES if any(name in image for image in usable)])
    return rows.rows(file, "image", classes=_in_order(names), several=True)


def _in_order(names: dict[str, str]) -> list[str]:
    """The names by their ids, numbers by value."""
    numbers = all(re.fullmatch(r"\d+", key) for key in names)
    return [names[key] for key in (sorted(names, key=int) if numbers else names)]


def _places(file: Path, images: list[dict[str, JSON]]) -> tuple[list[str], Path | None]:
    """The split of each image by LILA's list of locations, where one lies beside the file; and that list."""
    for other in sorted(file.parent.glob("*.json")):
        if '"splits"' not in start(other)[:10_000] or other == file:
            continue
        lists = load(other).get("splits")
        if not isinstance(lists, dict) or not all(isinstance(names, list) for names in lists.values()):
            continue
        split = {text(name): its for key, names in lists.items() if (its := split_of(key)) for name in names}
        own = [split.get(text(image.get("location")), "") for image in images]
        if any(own):
            if lost := own.count(""):
                logger.info(f"{escape(other)}: left out {plural(lost, 'image')} of other locations")
            return own, other
    return [], None


COCO = Format("classes of images in COCO's form", _is_file, _read)
OBJECTS = Format("the classes of the objects of each image in COCO's form", _has_objects, _read)
