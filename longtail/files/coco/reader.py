"""Reads JSON of COCO format to arrays, in which nothing is left that cannot be used."""

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from longtail.errors import InputError
from longtail.files.coco.entries import UNKNOWN, Categories, Entries, Fault, Images, Instances, Segmentations
from longtail.files.coco.ids import OddError
from longtail.files.coco.results import codec
from longtail.files.coco.stream import JSONStream
from longtail.files.listing import IntArray
from longtail.messages import escape
from longtail.plain import JSON

_BEYOND = 0.5  # pixels by which rounding takes a box beyond its image
Arrays = dict[str, NDArray[Any]]


class Content(NamedTuple):
    """What is read from a file.

    Attributes:
        arrays: those of ``Annotations`` and ``Segments`` by name; "absent" and "incomplete" with "..._starts".
        about: what is no array and can stand in JSON: the other fields, and of the annotations how many there are
            ("total"), how many are bad and left out ("bad"), how many like the first of these ("alike"), and why the
            first few are ("reasons"), how many lack a segmentation ("shapeless") and how many were clipped to their
            image ("clipped"); "idle": categories that were left out; and "short": how many polygons were left out of
            the other annotations, of how many of these, and the first.
        folder: the folder that the arrays are mapped from; None where they are in memory.
    """

    arrays: Arrays
    about: dict[str, JSON]
    folder: Path | None = None


def parse(file: Path, masks: bool) -> Content:
    """Read a file of COCO format.

    Raises:
        InputError: the file cannot be used, or masks are wanted and faster-coco-eval is not installed.
        OSError: the file cannot be read.
    """
    images, categories = Images(), Categories()
    instances = Instances(Segmentations(codec()) if masks else None, images.texts, categories.texts)
    try:
        with file.open(encoding="utf-8-sig") as stream:
            try:
                _walk(JSONStream(stream), {"images": images, "categories": categories, "annotations": instances})
            except (ValueError, RecursionError) as error:
                raise InputError(f"{escape(file)}: not a JSON file ({error}); unpack or export it again") from error
        return content_of(images, categories, instances)
    except OddError as error:
        raise InputError(
            f"{escape(file)}: not annotations of COCO format ({error}); "
            "correct it, or give a JSON file of COCO instances or LVIS v1"
        ) from error


def _walk(text: JSONStream, lists: dict[str, Entries]) -> None:
    """Hand the entries of the lists to those who collect them, and pass over everything else."""
    if text.peek() == "[":
        raise OddError("it is a list")
    keys = set()
    for key in text.members():
        if key not in lists:
            text.value()
            continue
        if text.peek() != "[":
            raise OddError(f'its "{key}" is not a list')
        if key in keys:
            raise OddError(f'two lists are called "{key}"')
        keys.add(key)
        for number, entry in enumerate(text.items(), start=1):
            try:
                lists[key].add(entry)
            except OddError as error:
                has_id = isinstance(entry, dict) and type(entry.get("id")) is int
                name = f"{lists[key].name} {entry['id']}" if has_id else f'entry {number} of "{key}"'
                raise OddError(f"{name} {error}") from None
    if text.peek():
        raise text.error("something follows the end")
    if missing := lists.keys() - keys:
        raise OddError(f'no "{min(missing)}"')


def content_of(images: Images, categories: Categories, instances: Instances) -> Content:
    """Check all entries, leave out the bad annotations and sort the others by image.

    Raises:
        OddError: the images or the categories cannot be used.
    """
    for entries, name in ((images, "images"), (categories, "categories")):
        if not entries.ids:
            raise OddError(f'its "{name}" is empty')
    of_categories, about_categories = _checked_categories(categories, set(instances.category_ids))
    of_images, about_images = _checked_images(images, of_categories["category_ids"])
    of_instances, about_instances = _checked_instances(instances, of_images, of_categories["category_ids"])
    return Content(of_categories | of_images | of_instances, about_categories | about_images | about_instances)


def _checked_categories(categories: Categories, annotated: set[int]) -> tuple[Arrays, dict[str, JSON]]:
    ids, useful = _ids(categories), categories.useful(annotated)
    rows = [int(i) for i in np.argsort(ids) if int(i) in useful]
    names = [categories.names[i] for i in rows]
    if len(set(names)) < len(names):
        name, count = Counter(names).most_common(1)[0]
        raise OddError(f"{count} categories are called {escape(name)}")
    frequencies = [categories.frequencies[i] for i in rows]
    if None in frequencies and any(frequencies):
        raise OddError(f'category {ids[rows[frequencies.index(None)]]} has no "frequency", but others have')
    return {"category_ids": ids[rows]}, {
        "classes": names,
        "frequencies": frequencies if any(frequencies) else None,
        "idle": [f"{categories.names[i]} ({ids[i]})" for i in range(len(ids)) if i not in useful],
    }


def _checked_images(images: Images, category_ids: IntArray) -> tuple[Arrays, dict[str, JSON]]:
    ids, sizes = _ids(images), np.array(images.sizes).reshape(-1, 2)
    if len(flat := np.flatnonzero((sizes.min(1) < 1) & (sizes.max(1) != UNKNOWN))):
        raise OddError(f"image {ids[flat[0]]} has no positive height and width{_more_such(len(flat))}")
    arrays: Arrays = {"image_ids": ids, "sizes": sizes}
    for name, key in (("absent", "neg_category_ids"), ("incomplete", "not_exhaustive_category_ids")):
        values, starts = np.asarray(images.lists[key]), np.asarray(images.ends[key])
        arrays |= {name: _positions(values, category_ids), f"{name}_starts": starts}
        if len(unknown := np.flatnonzero(arrays[name] < 0)):
            image = ids[np.searchsorted(starts, unknown[0], side="right") - 1]
            raise OddError(f'image {image} has {values[unknown[0]]} in "{key}", which is not in "categories"')
    return arrays, {"file_names": images.file_names, "federated": images.federated}


def _checked_instances(
    instances: Instances, of_images: Arrays, category_ids: IntArray
) -> tuple[Arrays, dict[str, JSON]]:
    """Arrays of the good annotations sorted by image, and what is to be said of the others."""
    ids = _ids(instances)
    images = _positions(np.asarray(instances.image_ids), of_images["image_ids"])
    labels = _positions(np.asarray(instances.category_ids), category_ids)
    sizes = of_images["sizes"][images]  # of no meaning where the image is not known, which is a fault of its own
    limits = sizes[:, [1, 0]]
    xywh, areas = np.asarray(instances.boxes).reshape(-1, 4), np.asarray(instances.areas)
    with np.errstate(invalid="ignore", over="ignore"):
        corners = np.concatenate((xywh[:, :2], xywh[:, :2] + xywh[:, 2:]), axis=1)
        outside = np.any((corners[:, :2] >= limits) | (corners[:, 2:] <= 0), axis=1)
        boxes = np.clip(corners, 0, np.tile(limits, 2)).astype(np.float32)
        flat = ~(xywh[:, 2:] > 0).all(1) | (~outside & ~(boxes[:, 2:] > boxes[:, :2]).all(1))
    names = (instances.category_texts.name, instances.image_texts.name)
    faults = [
        Fault(
            labels < 0, lambda k: f'has category {names[0](instances.category_ids[k])}, which is not in "categories"'
        ),
        Fault(images < 0, lambda k: f'has image {names[1](instances.image_ids[k])}, which is not in "images"'),
        Fault(sizes[:, 0] == UNKNOWN, lambda k: "is in an image without height and width"),
        Fault(~np.isfinite(xywh).all(1), lambda k: 'has a "bbox" that is not four finite numbers'),
        Fault(flat, lambda k: f"has a box without area, width {xywh[k, 2]:g} and height {xywh[k, 3]:g}"),
        Fault(
            outside, lambda k: f"has a box outside its image, at {xywh[k].tolist()} in {sizes[k, 1]} x {sizes[k, 0]}"
        ),
        Fault(~((areas >= 0) & (areas < np.inf)), lambda k: 'has an "area" that is not a number of 0 or more'),
    ]
    if instances.segmentations is not None:
        faults += instances.segmentations.faults(sizes)
    good = np.flatnonzero(~np.any([fault.where for fault in faults], axis=0))
    good = good[np.argsort(images[good], kind="stable")]
    arrays: Arrays = {
        "starts": np.searchsorted(images[good], np.arange(len(of_images["image_ids"]) + 1)),
        "ids": ids[good],
        "images": images[good],
        "labels": labels[good],
        "boxes": boxes[good],
        "xywh": xywh[good],
        "areas": areas[good],
        "crowd": np.asarray(instances.crowd)[good] != 0,
    }
    if instances.segmentations is not None:
        arrays |= instances.segmentations.arrays(good)
    beyond = np.any((corners[good] < -_BEYOND) | (corners[good] > np.tile(limits[good], 2) + _BEYOND), axis=1)
    about = {"clipped": int(beyond.sum()), "short": _about_short(instances, good)}
    return arrays, _about_bad(instances, faults) | about


def _about_bad(instances: Instances, faults: list[Fault]) -> dict[str, JSON]:
    """What is to be said of bad annotations; one with several faults counts for the first of them."""
    where = np.stack([fault.where for fault in faults])
    bad = np.flatnonzero(where.any(0))
    kinds = where[:, bad].argmax(0)
    return {
        "total": len(instances.ids),
        "bad": len(bad),
        "alike": int((kinds == kinds[:1]).sum()),
        "shapeless": 0 if instances.segmentations is None else instances.segmentations.missing(),
        "reasons": [
            f"{instances.called(k)} {faults[i].reason(int(k))}" for k, i in zip(bad[:3], kinds[:3], strict=True)
        ],
    }


def _about_short(instances: Instances, good: IntArray) -> list[Any]:
    """Number of the polygons left out of annotations that stay, number of these, and the first; or nothing."""
    if instances.segmentations is None:
        return []
    short = np.asarray(instances.segmentations.short)
    rows = np.sort(good[short[good] > 0])
    return [int(short[rows].sum()), len(rows), instances.called(int(rows[0]))] if len(rows) else []


def _ids(entries: Entries) -> IntArray:
    """The ids of all entries; refuses one that comes twice."""
    ids = np.asarray(entries.ids)
    distinct, counts = np.unique(ids, return_counts=True)
    if len(distinct) < len(ids):
        repeated = distinct[counts > 1]
        name = entries.texts.name(int(repeated[0]))
        raise OddError(f"{entries.name} id {name} is there more than once{_more_such(len(repeated))}")
    return ids


def _positions(values: IntArray, ids: IntArray) -> IntArray:
    """The index in ``ids``, which are distinct and at least one, of every value; -1 where it is not there."""
    order = np.argsort(ids)
    positions = order[np.minimum(np.searchsorted(ids, values, sorter=order), len(ids) - 1)]
    return np.where(ids[positions] == values, positions, -1)


def _more_such(count: int) -> str:
    return f" (and {count - 1} more such)" if count > 1 else ""
