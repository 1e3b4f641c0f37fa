"""Annotations in JSON of COCO format, as arrays: instances of COCO, and LVIS v1."""

from __future__ import annotations

import json
import os
import re
import shutil
import uuid
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TextIO

import numpy as np
from lightning.pytorch.utilities import rank_zero_info
from numpy.typing import NDArray

from longtail.data.base import IntArray
from longtail.data.listing import shown
from longtail.data.table import Rows, below, missing_files
from longtail.errors import InputError

Rle = dict[str, Any]  # "size": [height, width], "counts": bytes

_WINDOW = 2**22  # characters of the file that are held at once, at least
_CACHED_FROM = 2**24  # bytes; a smaller file is read as quickly as its cache
_CACHE_VERSION = 1  # a new one whenever the arrays or their checks change
_ABOUT = "about.json"
_FAR = 1e6  # pixels; a polygon that reaches farther is an error, and would take gigabytes to rasterise
_NO_BOX = [float("nan")] * 4
_SPACE = re.compile(r"[ \t\n\r]*")


@dataclass(frozen=True, eq=False)
class Ragged:
    """Lists of whole numbers in one array: list i is ``values[starts[i] : starts[i + 1]]``.

    Attributes:
        values: all numbers, int64.
        starts: (N + 1,) int64.
    """

    values: IntArray
    starts: IntArray

    def __getitem__(self, i: int) -> IntArray:
        return self.values[self.starts[i] : self.starts[i + 1]]


@dataclass(frozen=True, eq=False)
class Segments:
    """Shapes of M annotations: polygons as they are in the file, run lengths compressed.

    Attributes:
        polygon: (M,) bool, whether an annotation has polygons and not run lengths.
        spans: (M, 2) int64, first and one past the last of its polygons, or of its bytes in ``counts``.
        ends: (P + 1,) int64: polygon i is ``points[ends[i] : ends[i + 1]]``.
        points: float64, x0, y0, x1, y1, ... in pixels. Rounded to float32 some masks would differ.
        counts: uint8, the bytes of compressed run lengths.
    """

    polygon: NDArray[np.bool_]
    spans: IntArray
    ends: IntArray
    points: NDArray[np.float64]
    counts: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Annotations:
    """Annotations of images: N images, M annotations ordered by image, C classes. The arrays are read-only.

    Attributes:
        file: the JSON file.
        classes: C names, in the order of ``category_ids``.
        category_ids: (C,) int64, ascending.
        frequencies: "r", "c" or "f" of each class; None where the file has none.
        image_ids: (N,) int64, in the order of the file.
        file_names: N paths, relative to the folder of the images.
        sizes: (N, 2) int32, height and width in pixels.
        starts: (N + 1,) int64: the annotations of image i are ``starts[i]`` to ``starts[i + 1] - 1``.
        ids: (M,) int64, of the annotations in the file.
        images: (M,) int64, the image of every annotation, in 0..N-1, ascending; within one in the order of the file.
        labels: (M,) int64, its class index, in 0..C-1.
        boxes: (M, 4) float32, x1, y1, x2, y2 in pixels, clipped to the image.
        xywh: (M, 4) float64, the box as in the file: x, y, width, height.
        areas: (M,) float64, in square pixels: that of the file, or of the box where there is none.
        crowd: (M,) bool, whether it stands for a group of objects.
        federated: whether the file tells what is absent from an image, as LVIS does.
        absent, incomplete: see ``negatives`` and ``not_exhaustive``.
        segments: the shapes; None where they were not read.
        cache: the folder that the arrays are mapped from; None where they are in memory.
    """

    file: Path
    classes: list[str]
    category_ids: IntArray
    frequencies: list[str] | None
    image_ids: IntArray
    file_names: list[str]
    sizes: NDArray[np.int32]
    starts: IntArray
    ids: IntArray
    images: IntArray
    labels: IntArray
    boxes: NDArray[np.float32]
    xywh: NDArray[np.float64]
    areas: NDArray[np.float64]
    crowd: NDArray[np.bool_]
    federated: bool
    absent: Ragged
    incomplete: Ragged
    segments: Segments | None
    cache: Path | None

    def __len__(self) -> int:
        """Number of images."""
        return len(self.image_ids)

    def __reduce__(self) -> str | tuple[Any, ...]:
        """Worker processes map the arrays anew, in place of a copy for each."""
        return super().__reduce__() if self.cache is None else (_reopened, (self.file, self.cache))

    @property
    def has_masks(self) -> bool:
        """Whether the shapes were read."""
        return self.segments is not None

    def rows(self, image: int) -> slice:
        """The annotations of an image."""
        return slice(int(self.starts[image]), int(self.starts[image + 1]))

    def negatives(self, image: int) -> IntArray:
        """Class indices that are known to be absent from an image (any number), in the order of the file."""
        return self.absent[image]

    def not_exhaustive(self, image: int) -> IntArray:
        """Class indices of which an image may hold more than is annotated (any number), in the order of the file."""
        return self.incomplete[image]

    def rle(self, k: int) -> Rle:
        """The shape of annotation ``k`` as compressed run lengths: "size" [height, width] and "counts", bytes.

        Raises:
            ValueError: the annotations were read without masks.
            InputError: faster-coco-eval is not installed.
        """
        if self.segments is None:
            raise ValueError("the annotations were read without masks")
        segments = self.segments
        height, width = self.sizes[self.images[k]].tolist()
        start, stop = segments.spans[k].tolist()
        if not segments.polygon[k]:
            return {"size": [height, width], "counts": segments.counts[start:stop].tobytes()}
        codec = _codec(self.file)
        parts = [segments.points[a:b].tolist() for a, b in pairwise(segments.ends[start : stop + 1].tolist())]
        rle: Rle = codec.merge(codec.frPyObjects(parts, height, width))
        return rle

    def mask(self, k: int) -> NDArray[np.uint8]:
        """The shape of annotation ``k``: (H, W) uint8, 1 inside. Raises as ``rle`` does."""
        mask: NDArray[np.uint8] = _codec(self.file).decode(self.rle(k))
        return mask

    def truth(self, masks: bool) -> dict[str, Any]:
        """All of it as the dictionary of COCO or LVIS format that an evaluator takes, with the ids of the file.

        Args:
            masks: whether to give each annotation its shape, as compressed run lengths. Raises as ``rle`` does.
        """
        images = []
        for i, (image_id, (height, width)) in enumerate(zip(self.image_ids.tolist(), self.sizes.tolist(), strict=True)):
            images.append({"id": image_id, "height": height, "width": width})
            if self.federated:
                images[-1]["neg_category_ids"] = self.category_ids[self.negatives(i)].tolist()
                images[-1]["not_exhaustive_category_ids"] = self.category_ids[self.not_exhaustive(i)].tolist()
        categories = [
            {"id": number, "name": name} for number, name in zip(self.category_ids.tolist(), self.classes, strict=True)
        ]
        for category, frequency in zip(categories, self.frequencies or (), strict=False):
            category["frequency"] = frequency
        keys = ("id", "image_id", "category_id", "bbox", "area", "iscrowd")
        columns = (
            self.ids,
            self.image_ids[self.images],
            self.category_ids[self.labels],
            self.xywh,
            self.areas,
            self.crowd.astype(np.int64),
        )
        rows = zip(*(column.tolist() for column in columns), strict=True)
        annotations = [dict(zip(keys, row, strict=True)) for row in rows]
        if masks:
            for k, annotation in enumerate(annotations):
                annotation["segmentation"] = self.rle(k)
        return {"images": images, "categories": categories, "annotations": annotations}


def read_annotations(file: Path, masks: bool = False, skip_bad: bool = False) -> Annotations:
    """Read annotations of COCO format: instances of COCO, or LVIS v1.

    A large file takes a while once; its arrays are kept in a hidden folder ``.longtail`` beside it, where that can be
    written, and are mapped into memory from then on.

    Args:
        file: the JSON file. An image has an "id", "height", "width" and "file_name", or like LVIS a "coco_url", of
            which the last two parts count; a category an "id" and a "name"; an annotation an "id", "image_id",
            "category_id" and "bbox" (x, y, width, height in pixels).
        masks: whether to read the "segmentation" too: polygons, or run lengths, compressed or not.
        skip_bad: leave out annotations that cannot be used, and say how many; otherwise they are an error.

    Returns:
        All images, also those without an annotation.

    Raises:
        InputError: the file or an entry in it cannot be used, or masks are wanted and faster-coco-eval is not
            installed; the message names the id of the entry.
    """
    if masks:
        _codec(file)
    try:
        cache = _Cache(file, masks) if file.stat().st_size >= _CACHED_FROM else None
        content = None if cache is None else cache.read()
        if content is None:
            content = _parsed(file, masks)
            if cache is not None:
                cache.write(content)
                content = cache.read() or content
    except OSError as error:
        raise InputError(
            f"{shown(file)}: cannot read it ({error.strerror}); give the path of a JSON file of COCO format"
        ) from error
    _refuse_or_tell(file, content.about, skip_bad)
    return _annotations(file, content)


def check_files(annotations: Annotations, folder: Path) -> None:
    """Make sure that every image lies in ``folder``.

    Raises:
        InputError: one is missing, is given twice, or its path leads out of ``folder``.
    """
    rows = Rows(annotations.file, annotations.file_names, [], annotations.image_ids.tolist(), "image")
    paths = below(str(folder), rows)
    if missing := missing_files(paths):
        raise rows.error(
            missing[0],
            f"no such file: {shown(paths[missing[0]])}; {len(missing)} of {len(paths)} images are missing: "
            f"put them below {shown(folder)}, or give another folder",
        )


class _Content(NamedTuple):
    """What is read from a file: arrays by name, and what is no array and can stand in JSON."""

    arrays: dict[str, NDArray[Any]]
    about: dict[str, Any]
    folder: Path | None = None  # that the arrays are mapped from


def _annotations(file: Path, content: _Content) -> Annotations:
    arrays: dict[str, Any] = dict(content.arrays)
    for values in arrays.values():
        values.setflags(write=False)
    for name in ("absent", "incomplete"):
        arrays[name] = Ragged(arrays[name], arrays.pop(f"{name}_starts"))
    shapes = {name: arrays.pop(name) for name in Segments.__dataclass_fields__ if name in arrays}
    return Annotations(
        file=file,
        **{name: content.about[name] for name in ("classes", "frequencies", "file_names", "federated")},
        **arrays,
        segments=Segments(**shapes) if shapes else None,
        cache=content.folder,
    )


def _reopened(file: Path, folder: Path) -> Annotations:
    content = _mapped(folder)
    if content is None:
        raise InputError(f"{shown(folder)}: the cache of {shown(file)} was removed in the meantime; start again")
    return _annotations(file, content)


def _refuse_or_tell(file: Path, about: dict[str, Any], skip_bad: bool) -> None:
    """Refuse bad annotations, or say that they are left out."""
    count, alike, first, total = (about[name] for name in ("bad", "alike", "reasons", "total"))
    if count and not skip_bad:
        more = [f"{alike - 1} more such"] * (alike > 1) + [f"{count - alike} bad in other ways"] * (count > alike)
        also = f" (and {', '.join(more)})" if more else ""
        raise InputError(
            f"{shown(file)}: {first[0]}{also}; "
            "repair or remove it, or leave such annotations out by --data.skip_bad_annotations true"
        )
    if count == total > 0:
        raise InputError(f"{shown(file)}: none of the {total} annotations can be used ({first[0]}); repair the file")
    if count:
        more_reasons = f" and {count - len(first)} more" if count > len(first) else ""
        rank_zero_info(f"{shown(file)}: left out {count} of {total} annotations: {'; '.join(first)}{more_reasons}")


def _codec(file: Path) -> Any:
    """The module that makes masks of polygons and run lengths, as pycocotools does."""
    try:
        from faster_coco_eval.core import mask
    except ImportError as error:
        raise InputError(
            f'{shown(file)}: its masks need faster-coco-eval; pip install "longtail[detection]"'
        ) from error
    return mask


class _Text:
    """JSON text, of which a window is held in memory. Values are taken one by one."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._decode = json.JSONDecoder().raw_decode
        self._text, self._at, self._before = "", 0, 0  # the window, the place in it, the characters before it
        self._ended = False

    def _more(self) -> None:
        """Drop what was taken and make the window longer."""
        rest = self._text[self._at :]
        piece = self._stream.read(max(_WINDOW, len(rest)))
        self._before += self._at
        self._text, self._at, self._ended = rest + piece, 0, not piece

    def error(self, message: str, at: int | None = None) -> ValueError:
        at = self._at if at is None else at
        return ValueError(f"{message}, character {self._before + at + 1}")

    def peek(self) -> str:
        """The next character that is no white space; empty at the end."""
        while True:
            if space := _SPACE.match(self._text, self._at):
                self._at = space.end()
            if self._at < len(self._text) or self._ended:
                return self._text[self._at : self._at + 1]
            self._more()

    def skip(self, wanted: str) -> str:
        """Take the next character, one of ``wanted``."""
        found = self.peek()
        if not found:
            raise self.error("the text breaks off")
        if found not in wanted:
            raise self.error(f"{' or '.join(wanted)} expected")
        self._at += 1
        return found

    def value(self) -> Any:
        """Take a whole value."""
        self.peek()
        while True:
            try:
                value, end = self._decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if self._ended:
                    raise self.error(error.msg, error.pos) from error
            else:
                if self._ended or end + 8 <= len(self._text):  # else a number could go on behind the window
                    self._at = end
                    return value
            self._more()

    def items(self, opening: str, closing: str) -> Iterator[None]:
        """Stops before each item of a list or an object, which is to be taken then."""
        self.skip(opening)
        if self.peek() != closing:
            yield
            while self.skip("," + closing) == ",":
                yield
        else:
            self.skip(closing)

    def members(self) -> Iterator[str]:
        """The keys of an object; each time, the value is to be taken."""
        for _ in self.items("{", "}"):
            if self.peek() != '"':
                raise self.error("a key in quotes expected")
            key = self.value()
            self.skip(":")
            yield key


class _OddError(Exception):
    """The file is JSON, but not of COCO format: says why."""


def _put(store: array[Any], entry: Any, key: str) -> None:
    """Append a whole number of an entry."""
    try:
        store.append(entry[key])
    except KeyError:
        raise _OddError(f'has no "{key}"') from None
    except (TypeError, OverflowError):
        raise _OddError(f'has a wrong "{key}"') from None


class _Images:
    name = "image"

    def __init__(self) -> None:
        self.ids, self.sizes = array("q"), array("i")
        self.file_names: list[str] = []
        self.lists = {"neg_category_ids": array("q"), "not_exhaustive_category_ids": array("q")}
        self.ends = {key: array("q", [0]) for key in self.lists}
        self.federated = False

    def add(self, entry: Any) -> None:
        _put(self.ids, entry, "id")
        _put(self.sizes, entry, "height")
        _put(self.sizes, entry, "width")
        if "file_name" in entry:
            name = entry["file_name"]
        elif "coco_url" in entry:
            name = "/".join(str(entry["coco_url"]).rsplit("/", 2)[-2:])
        else:
            raise _OddError('has neither "file_name" nor "coco_url"')
        if not isinstance(name, str):
            raise _OddError('has a wrong "file_name"')
        self.file_names.append(name)
        for key, store in self.lists.items():
            if key in entry:
                try:
                    store.fromlist(entry[key])
                except (TypeError, OverflowError):
                    raise _OddError(f'has a wrong "{key}"') from None
            self.ends[key].append(len(store))
        self.federated |= "neg_category_ids" in entry


class _Categories:
    name = "category"

    def __init__(self) -> None:
        self.ids = array("q")
        self.names: list[str] = []
        self.frequencies: list[str | None] = []

    def add(self, entry: Any) -> None:
        _put(self.ids, entry, "id")
        if not isinstance(entry.get("name"), str):
            raise _OddError(f'has {"a wrong" if "name" in entry else "no"} "name"')
        if (frequency := entry.get("frequency")) not in (None, "r", "c", "f"):
            raise _OddError('has a "frequency" that is not r, c or f')
        self.names.append(entry["name"])
        self.frequencies.append(frequency)


class _Instances:
    name = "annotation"

    def __init__(self, shapes: _Shapes | None) -> None:
        self.ids, self.image_ids, self.category_ids = array("q"), array("q"), array("q")
        self.boxes, self.areas, self.crowd = array("d"), array("d"), array("b")
        self.shapes = shapes

    def add(self, entry: Any) -> None:
        _put(self.ids, entry, "id")
        _put(self.image_ids, entry, "image_id")
        _put(self.category_ids, entry, "category_id")
        if "bbox" not in entry:
            raise _OddError('has no "bbox"')
        box = entry["bbox"]
        try:
            self.boxes.fromlist(box if len(box) == 4 else _NO_BOX)
        except (TypeError, OverflowError):
            self.boxes.fromlist(_NO_BOX)
        area = entry.get("area")
        try:
            self.areas.append(self.boxes[-2] * self.boxes[-1] if area is None else area)
        except (TypeError, OverflowError):
            self.areas.append(np.nan)
        if "iscrowd" in entry:
            _put(self.crowd, entry, "iscrowd")
        else:
            self.crowd.append(0)
        if self.shapes is not None:
            self.shapes.add(entry.get("segmentation"))


class _Shapes:
    """Collects the segmentations. What is bad stays empty, with its fault."""

    MISSING, POLYGON, RLE = 1, 2, 3

    def __init__(self, codec: Any) -> None:
        self._codec = codec
        self.polygon, self.spans, self.faults = array("b"), array("q"), array("b")
        self.ends, self.points = array("q", [0]), array("d")
        self.counts, self.sizes = bytearray(), array("q")

    def add(self, segmentation: Any) -> None:
        is_rle = isinstance(segmentation, dict)
        start = len(self.counts) if is_rle else len(self.ends) - 1
        size = (0, 0)
        fault = 0
        if is_rle:
            try:
                counts, size = _compressed(segmentation, self._codec)
                self.counts += counts
            except (KeyError, TypeError, ValueError, OverflowError):
                fault = self.RLE
        elif not segmentation:
            fault = self.MISSING
        elif not self._add_polygons(segmentation):
            fault = self.POLYGON
        self.polygon.append(not is_rle)
        self.spans.extend((start, len(self.counts) if is_rle else len(self.ends) - 1))
        self.sizes.extend(size)
        self.faults.append(fault)

    def _add_polygons(self, polygons: Any) -> bool:
        start = len(self.ends)
        try:
            for polygon in polygons:
                self.points.fromlist(polygon)
                self.ends.append(len(self.points))
                if len(polygon) < 6 or len(polygon) % 2:
                    raise ValueError
        except (TypeError, ValueError, OverflowError):
            del self.ends[start:]
            del self.points[self.ends[-1] :]
            return False
        return True

    def far(self) -> IntArray:
        """Annotations with a coordinate that is not finite or far from any image."""
        points, step = np.asarray(self.points), 2**20
        at = [np.empty(0, np.int64)]
        for start in range(0, len(points), step):
            at.append(start + np.flatnonzero(~(np.abs(points[start : start + step]) < _FAR)))
        parts = np.searchsorted(np.asarray(self.ends), np.concatenate(at), side="right") - 1
        polygons = np.flatnonzero(np.asarray(self.polygon))
        stops = np.asarray(self.spans).reshape(-1, 2)[polygons, 1]
        return polygons[np.searchsorted(stops, np.unique(parts), side="right")]


def _compressed(rle: dict[str, Any], codec: Any) -> tuple[bytes, tuple[int, int]]:
    """The compressed counts and the size (height, width) of run lengths; a ``ValueError`` where they do not agree."""
    height, width = rle["size"]
    text = rle["counts"]
    counts = _decompressed(text.encode("ascii")) if isinstance(text, str) else np.array(text)
    if counts.dtype.kind != "i" or counts.ndim != 1 or {type(height), type(width)} != {int} or height < 1:
        raise ValueError
    if counts.min(initial=0) < 0 or counts.max(initial=0) > height * width or counts.sum() != height * width:
        raise ValueError
    if isinstance(text, str):
        return text.encode("ascii"), (height, width)
    return codec.frPyObjects({"size": [height, width], "counts": text}, height, width)["counts"], (height, width)


def _decompressed(text: bytes) -> IntArray:
    """The counts of compressed run lengths; a ``ValueError`` where they are not any.

    A number is written in characters of 5 bits, the lowest first, and a sixth that says whether more follow; the
    uppermost bit is its sign. From the fourth on, it is the difference to the count two before.
    """
    codes = np.frombuffer(text, np.uint8).astype(np.int64) - 48
    if not len(codes) or codes.min() < 0 or codes.max() > 63 or codes[-1] & 32:
        raise ValueError
    ends = np.flatnonzero(codes & 32 == 0)
    starts = np.concatenate(([0], ends[:-1] + 1))
    places = np.arange(len(codes)) - np.repeat(starts, ends - starts + 1)
    if places.max() > 6:
        raise ValueError
    counts = np.add.reduceat((codes & 31) << (5 * places), starts)
    counts -= np.where(codes[ends] & 16, 1 << (5 * places[ends] + 5), 0)
    counts[1::2] = counts[1::2].cumsum()
    counts[2::2] = counts[2::2].cumsum()
    return counts


def _parsed(file: Path, masks: bool) -> _Content:
    """Read the file itself."""
    images, categories = _Images(), _Categories()
    instances = _Instances(_Shapes(_codec(file)) if masks else None)
    lists: dict[str, _Images | _Categories | _Instances] = {
        "images": images,
        "categories": categories,
        "annotations": instances,
    }
    try:
        with file.open(encoding="utf-8-sig") as stream:
            try:
                _walk(_Text(stream), lists)
            except (ValueError, RecursionError) as error:
                raise InputError(f"{shown(file)}: not a JSON file ({error}); unpack or export it again") from error
        return _content(images, categories, instances)
    except _OddError as error:
        raise InputError(
            f"{shown(file)}: not annotations of COCO format ({error}); "
            "correct it, or give a JSON file of COCO instances or LVIS v1"
        ) from error


def _walk(text: _Text, lists: dict[str, _Images | _Categories | _Instances]) -> None:
    """Hand the entries of the lists to those who collect them, and pass over everything else."""
    if text.peek() == "[":
        raise _OddError("it is a list")
    found = set()
    for key in text.members():
        if key not in lists:
            text.value()
            continue
        if text.peek() != "[":
            raise _OddError(f'its "{key}" is not a list')
        if key in found:
            raise _OddError(f'two lists are called "{key}"')
        found.add(key)
        for number, _ in enumerate(text.items("[", "]"), start=1):
            entry = text.value()
            try:
                lists[key].add(entry)
            except _OddError as error:
                known = isinstance(entry, dict) and type(entry.get("id")) is int
                which = f"{lists[key].name} {entry['id']}" if known else f'entry {number} of "{key}"'
                raise _OddError(f"{which} {error}") from None
    if text.peek():
        raise text.error("something follows the end")
    if missing := lists.keys() - found:
        raise _OddError(f'no "{min(missing)}"')


def _content(images: _Images, categories: _Categories, instances: _Instances) -> _Content:
    """Check all entries, leave out the bad annotations and sort the others by image."""
    for entries, name in ((images, "images"), (categories, "categories")):
        if not entries.ids:
            raise _OddError(f'its "{name}" is empty')
    image_ids, category_ids = _ids(images), _ids(categories)
    order = np.argsort(category_ids)
    category_ids = category_ids[order]
    sizes = np.array(images.sizes, np.int32).reshape(-1, 2)
    if len(flat := np.flatnonzero(sizes.min(1) < 1)):
        raise _OddError(f"image {image_ids[flat[0]]} has no positive height and width{_more_such(len(flat))}")
    if len(set(categories.names)) < len(categories.names):
        name, count = Counter(categories.names).most_common(1)[0]
        raise _OddError(f"{count} categories are called {shown(name)}")
    frequencies = [categories.frequencies[i] for i in order]
    if None in frequencies and any(frequencies):
        raise _OddError(f'category {category_ids[frequencies.index(None)]} has no "frequency", but others have')
    arrays: dict[str, NDArray[Any]] = {"category_ids": category_ids, "image_ids": image_ids, "sizes": sizes}
    for name, (key, values) in zip(("absent", "incomplete"), images.lists.items(), strict=True):
        indices, starts = _positions(np.asarray(values), category_ids), np.asarray(images.ends[key])
        if len(unknown := np.flatnonzero(indices < 0)):
            image = image_ids[np.searchsorted(starts, unknown[0], side="right") - 1]
            raise _OddError(f'image {image} has {values[unknown[0]]} in "{key}", which is not in "categories"')
        arrays |= {name: indices, f"{name}_starts": starts}
    chosen, faults = _chosen(instances, image_ids, category_ids, sizes)
    about = {
        "classes": [categories.names[i] for i in order],
        "frequencies": frequencies if any(frequencies) else None,
        "file_names": images.file_names,
        "federated": images.federated,
        **faults,
    }
    return _Content(arrays | chosen, about)


def _chosen(
    instances: _Instances, image_ids: IntArray, category_ids: IntArray, sizes: NDArray[np.int32]
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Arrays of the good annotations sorted by image, and what is to be said of the others."""
    ids = _ids(instances)
    images = _positions(np.asarray(instances.image_ids), image_ids)
    labels = _positions(np.asarray(instances.category_ids), category_ids)
    xywh, areas = np.asarray(instances.boxes).reshape(-1, 4), np.asarray(instances.areas)
    limits = sizes[images][:, [1, 0]]  # of no meaning where the image is not known, which is a fault of its own
    with np.errstate(invalid="ignore", over="ignore"):
        corners = np.concatenate((xywh[:, :2], xywh[:, :2] + xywh[:, 2:]), axis=1)
        outside = np.any((corners[:, :2] >= limits) | (corners[:, 2:] <= 0), axis=1)
        boxes = np.clip(corners, 0, np.tile(limits, 2)).astype(np.float32)
        flat = ~(xywh[:, 2:] > 0).all(1) | (~outside & ~(boxes[:, 2:] > boxes[:, :2]).all(1))
    faults: list[tuple[NDArray[np.bool_], Callable[[int], str]]] = [
        (labels < 0, lambda k: f'has category {instances.category_ids[k]}, which is not in "categories"'),
        (images < 0, lambda k: f'has image {instances.image_ids[k]}, which is not in "images"'),
        (~np.isfinite(xywh).all(1), lambda k: 'has a "bbox" that is not four finite numbers'),
        (flat, lambda k: f"has a box without area, width {xywh[k, 2]:g} and height {xywh[k, 3]:g}"),
        (outside, lambda k: f"has a box outside its image, at {xywh[k].tolist()} in {limits[k, 0]} x {limits[k, 1]}"),
        (~((areas >= 0) & (areas < np.inf)), lambda k: 'has an "area" that is not a number of 0 or more'),
    ]
    shapes = instances.shapes
    if shapes is not None:
        kinds, rle_sizes = np.array(shapes.faults), np.asarray(shapes.sizes).reshape(-1, 2)
        kinds[shapes.far()] = shapes.POLYGON
        other_size = (rle_sizes != sizes[images]).any(1) & ~np.asarray(shapes.polygon).astype(bool)
        faults += [
            (kinds == shapes.MISSING, lambda k: 'has no "segmentation"'),
            (
                kinds == shapes.POLYGON,
                lambda k: "has a polygon that is not an even count of at least 6 numbers below a million",
            ),
            (kinds == shapes.RLE, lambda k: "has run lengths whose counts do not make up their size"),
            (
                other_size,
                lambda k: (
                    f"has run lengths of size {rle_sizes[k].tolist()}, not of its image, {sizes[images[k]].tolist()}"
                ),
            ),
        ]
    found = np.stack([mask for mask, _ in faults])
    bad = np.flatnonzero(found.any(0))
    kind = found[:, bad].argmax(0)
    good = np.flatnonzero(~found.any(0))
    good = good[np.argsort(images[good], kind="stable")]
    arrays: dict[str, NDArray[Any]] = {
        "starts": np.searchsorted(images[good], np.arange(len(image_ids) + 1)),
        "ids": ids[good],
        "images": images[good],
        "labels": labels[good],
        "boxes": boxes[good],
        "xywh": xywh[good],
        "areas": areas[good],
        "crowd": np.asarray(instances.crowd)[good] != 0,
    }
    if shapes is not None:
        arrays |= {
            "polygon": np.asarray(shapes.polygon)[good] != 0,
            "spans": np.asarray(shapes.spans).reshape(-1, 2)[good],
            "ends": np.asarray(shapes.ends),
            "points": np.asarray(shapes.points),
            "counts": np.frombuffer(shapes.counts, np.uint8),
        }
    return arrays, {
        "total": len(ids),
        "bad": len(bad),
        "alike": int((kind == kind[:1]).sum()),
        "reasons": [f"annotation {ids[k]} {faults[i][1](int(k))}" for k, i in zip(bad[:3], kind[:3], strict=True)],
    }


def _ids(entries: _Images | _Categories | _Instances) -> IntArray:
    """The ids of all entries; refuses one that comes twice."""
    ids = np.asarray(entries.ids)
    distinct, counts = np.unique(ids, return_counts=True)
    if len(distinct) < len(ids):
        repeated = distinct[counts > 1]
        raise _OddError(f"{entries.name} id {repeated[0]} is there more than once{_more_such(len(repeated))}")
    return ids


def _positions(values: IntArray, ids: IntArray) -> IntArray:
    """The index in ``ids``, which are distinct and at least one, of every value; -1 where it is not there."""
    order = np.argsort(ids)
    found = order[np.minimum(np.searchsorted(ids, values, sorter=order), len(ids) - 1)]
    return np.where(ids[found] == values, found, -1)


def _more_such(count: int) -> str:
    return f" (and {count - 1} more such)" if count > 1 else ""


class _Cache:
    """The content of a file as arrays in a hidden folder beside it.

    The folder is called by the size and the time of the file, so that of a changed file is not found.
    """

    def __init__(self, file: Path, masks: bool) -> None:
        stat = file.stat()
        state = f"{_CACHE_VERSION} {stat.st_size} {stat.st_mtime_ns}"
        self._prefix = f"{file.name}-{'masks' if masks else 'boxes'}-"
        self._folder = file.parent / ".longtail" / (self._prefix + sha256(state.encode()).hexdigest()[:16])

    def read(self) -> _Content | None:
        return _mapped(self._folder)

    def write(self, content: _Content) -> None:
        """Write all of it under another name and rename it; goes without where that is not possible."""
        temporary = self._folder.with_name(f".{self._folder.name}.{uuid.uuid4().hex}.tmp")
        try:
            temporary.mkdir(parents=True)
            for name, values in content.arrays.items():
                with _to_disk(temporary / f"{name}.npy") as file:
                    np.save(file, values)
            shapes = {name: [values.dtype.str, values.shape] for name, values in content.arrays.items()}
            with _to_disk(temporary / _ABOUT) as file:
                file.write(json.dumps({**content.about, "arrays": shapes}).encode())
            if self.read() is None:  # else another process was quicker, as it still can be after this
                shutil.rmtree(self._folder, ignore_errors=True)
                temporary.rename(self._folder)
            for other in self._folder.parent.iterdir():
                if other.name.startswith(self._prefix) and other != self._folder:
                    shutil.rmtree(other, ignore_errors=True)
        except OSError as error:
            if self.read() is None:
                parent = shown(self._folder.parent)
                rank_zero_info(f"{parent}: cannot be written ({error.strerror}), so nothing is kept for next time")
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _to_disk(path: Path) -> Iterator[BinaryIO]:
    """A new file, of which everything has reached the disk in the end."""
    with path.open("xb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def _mapped(folder: Path) -> _Content | None:
    """The arrays in ``folder``, mapped into memory; None where it is missing or damaged."""
    try:
        about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
        arrays = {}
        for name, (kind, shape) in about.pop("arrays").items():
            arrays[name] = np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r"))
            if [arrays[name].dtype.str, *arrays[name].shape] != [kind, *shape]:
                return None
    except Exception:  # whatever a damaged file leads to
        return None
    return _Content(arrays, about, folder)
