"""What kind of set lies in a folder, so that whoever wants another kind can name the recipe that fits."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from longtail.errors import InputError
from longtail.files.formats.readers import Reader
from longtail.files.formats.unread import ENDINGS, WAY_OUT, unread_format
from longtail.files.images.reading import SUFFIXES
from longtail.files.listing import is_folder
from longtail.files.split_names import SPLIT_NAMES
from longtail.files.tables.columnar import SUFFIXES as COLUMNAR
from longtail.files.tables.configurations import Configuration, configuration, configuration_names
from longtail.files.tables.files import metadata_files, table_files
from longtail.files.tables.nested import LINES
from longtail.files.tables.objects import find_masks, find_objects, has_classes
from longtail.messages import escape

_ENDS = 2**20  # bytes looked at at each end of a file
_SHAPES = rb'"segmentation"\s*:\s*(\[\s*\[|\{)'
_CVAT_OBJECTS = rb"<(box|polygon|ellipse|mask|polyline|points|cuboid|skeleton) "
_NUMBER = rb"[-+.\deE]+"
_BOX_LINE = re.compile(rb"\s*\d+(\.0+)?([ \t]+%b){4,}\s*(\n|\r|$)" % _NUMBER)
_POLYGON_LINE = re.compile(rb"\s*\d+(\.0+)?([ \t]+%b){6,}\s*(\n|\r|$)" % _NUMBER)
_YOLO_YAML = re.compile(rb"^names\s*:(?s:.*)^train\s*:|^train\s*:(?s:.*)^names\s*:", re.MULTILINE)
_FEW = 20  # folders or files of one kind that are looked into
_DEPTH, _MOST = 4, 200  # how deep folders lie that are looked into, and how many these are
# Folders that are called by what they hold and not by a class.
_SPLIT = rf"({'|'.join(name for names in SPLIT_NAMES.values() for name in names)})[-_\d]*"
_PICTURES = r"(image|img|jpegimage|picture)s?|data|image_2|leftimg8bit"
_PIXELS = r"annotations?|masks?|labels?|gtfine|segmentationclass|semantic_rgb|(train|val|test|default)annot"
_OTHER = (
    r"default|imagesets|segmentationobject|gtcoarse|voc\w*|obj_\w*|xmls?|jsons?|label_2|labeltxt|ground_truth|semantic|"
    r"instance|wider_\w*"
)
_GENERIC = re.compile(rf"{_SPLIT}|{_PICTURES}|{_PIXELS}|{_OTHER}", re.IGNORECASE)


class Layout(NamedTuple):
    """A kind of set.

    Attributes:
        grain: "images", "boxes" or "pixels"; others of what is not read.
        words: what it holds.
        way_out: what to do with it.
        reader: the class that reads it; None where none does.
        shapes: whether its boxes have masks.
    """

    grain: str
    words: str
    way_out: str
    reader: Reader | None = None
    shapes: bool = False


def _images(words: str) -> Layout:
    return Layout("images", words, "give --recipe ce", Reader.FOLDER)


def _of_boxes(words: str, reader: Reader) -> Layout:
    return Layout("boxes", words, "give --recipe fasterrcnn_ce", reader)


def _of_shapes(words: str, reader: Reader) -> Layout:
    return Layout("boxes", words, "give --recipe maskrcnn_ce", reader, shapes=True)


def _of_pixels(words: str, reader: Reader) -> Layout:
    return Layout("pixels", words, "give --recipe segmentation/ce", reader)


_COCO = "boxes in COCO's format"
_UNREAD = "annotations that are not read"
_CLASSES = _images("images in a folder for each class")
_TABLE = _images("images in tables with one class each")
_BOXES = _of_boxes(_COCO, Reader.COCO)
_MASKS = _of_shapes(f"{_COCO}, with masks", Reader.COCO)
_VOC = _of_boxes("boxes in Pascal VOC's format", Reader.PASCAL_VOC)
_YOLO = _of_boxes("boxes in YOLO's format", Reader.YOLO)
_POLYGONS = _of_shapes("polygons in YOLO's format", Reader.YOLO)
_LABELME = _of_shapes("shapes in LabelMe's format", Reader.LABELME)
_CVAT = _of_boxes("boxes in CVAT's XML", Reader.CVAT)
_CVAT_SHAPES = _of_shapes("shapes in CVAT's XML", Reader.CVAT)
_TABLE_BOXES = _of_boxes("boxes in tables", Reader.BOX_TABLES)
_TABLE_SHAPES = _of_shapes("shapes in tables", Reader.BOX_TABLES)
_TABLE_MASKS = _of_pixels("masks in tables", Reader.MASK_TABLES)
_LABELS = _of_pixels("images with a class for each pixel", Reader.SEGMENTATION_FOLDER)
_CITYSCAPES = _LABELS._replace(way_out="give --recipe cityscapes/ce", reader=Reader.CITYSCAPES)
_CAMVID = _LABELS._replace(
    way_out="give --recipe segmentation/ce --data camvid --data.root FOLDER", reader=Reader.CAMVID
)


def check_layout(root: Path, grain: str) -> None:
    """Make sure that ``root`` holds nothing that is plainly a set of another grain, and none of this.

    Raises:
        InputError: it does; the message names the recipe that fits. Or it has tables that cannot be read, and nothing
            else; those beside images are passed over.
    """
    layouts = find_layouts(root) if root.is_dir() else []
    if not layouts and grain != "images" and root.is_dir():
        for file in _tables(configuration(root))[:1]:
            find_objects(file)
    if layouts and grain not in {layout.grain for layout in layouts}:
        raise InputError(f"{escape(root)} holds {layouts[0].words}: {layouts[0].way_out}")


def check_tables(place: Path, grain: str, configuration: str | None = None) -> None:
    """The same as ``check_layout`` of a table, or of the tables of a set in a folder, there of a configuration.

    Raises:
        InputError: they hold nothing of this grain, and something of another.
    """
    layouts = _tables_in(place, configuration) if place.is_dir() else in_file(place)
    if layouts and grain not in {layout.grain for layout in layouts}:
        folder = f" --data {escape(place.parent)}" if layouts[0].grain == "pixels" and place.is_file() else ""
        raise InputError(f"{escape(place)} holds {layouts[0].words}: {layouts[0].way_out}{folder}")


def refuse_boxes(file: Path) -> None:
    """Make sure that a file that was given as a set is not a JSON file of boxes, nor in a format that is not read.

    Raises:
        InputError: it is; the message names the recipe that fits.
    """
    refuse_unread(file)
    layout = boxes_in_file(file) if file.suffix.lower() == ".json" else None
    if layout is not None:
        options = f"{layout.way_out} --data FOLDER, that of the images, and --data.train {escape(file)}"
        raise InputError(f"{escape(file)} holds {layout.words}: {options}")


def refuse_unread(file: Path) -> None:
    """Make sure that a file that was given as a set is not of a tool whose format is not read.

    Raises:
        InputError: it is.
    """
    if words := unread_format({file.name: _ends(file)} if file.suffix.lower() in ENDINGS else {}):
        raise InputError(f"{escape(file)} holds {words}: {WAY_OUT}")


def find_layouts(root: Path, configuration: str | None = None) -> list[Layout]:
    """The kinds of set that lie in a folder, boxes before pixels, as far as their layout is known; else none. Of tables
    those of a configuration, or of any."""
    tops = _folders(root)
    named = [root / name for name in tops if not _GENERIC.fullmatch(name)]
    for name in tops:
        if re.fullmatch(_SPLIT, name, re.IGNORECASE):
            named += [root / name / below for below in _folders(root / name) if not _GENERIC.fullmatch(below)]
    if not _own_colours(root) and any(_names(folder, SUFFIXES) for folder in named):
        return [_CLASSES, *dict.fromkeys(layout for folder in named[:_FEW] if (layout := _boxes_in(folder)))]
    folders = list(islice(_walk(root), _MOST))
    boxes = [layout for folder in folders if (layout := _boxes_in(folder))]
    pixels = [layout for folder in folders if (layout := _pixels_in(root, folder))]
    tables = _tables_in(root, configuration)
    if not boxes + pixels + tables and any(_YOLO_YAML.search(_ends(file)) for file in _names(root, {".yaml", ".yml"})):
        boxes = [_YOLO]  # of which no image shows an object
    unread = [] if boxes + tables else [layout for folder in folders if (layout := _unread_in(folder))]
    return list(dict.fromkeys(unread[:1] or boxes + pixels + tables))


def _tables_in(root: Path, name: str | None = None) -> list[Layout]:
    """What the tables of a set in a folder hold, of a configuration or of any, where that is more than a class of each
    image; what cannot be read whoever reads the set will refuse."""
    names: list[str | None] = [name]
    if name is None:
        names = [*configuration_names(root)[:_FEW]] or [None]
    candidates = []
    for entry in names:
        with suppress(InputError):
            candidates += [in_file(file) for file in _tables(configuration(root, entry))[:1]]
    layouts = [layout for its in candidates for layout in its or [_TABLE]]
    return list(dict.fromkeys(layouts)) if any(candidates) else []


def _tables(config: Configuration) -> list[Path]:
    return [*metadata_files(config), *table_files(config)]


def in_file(file: Path) -> list[Layout]:
    """What a table holds, where that is more than a class of each image: boxes, masks, and such classes last; nothing
    of a file that cannot be read, or is none with lists and images in it."""
    if file.suffix.lower() not in (*COLUMNAR, LINES):
        return []
    layouts = []
    with suppress(InputError):
        objects = find_objects(file)
        layouts = [] if objects is None else [_TABLE_SHAPES if objects.shape else _TABLE_BOXES]
        layouts += [_TABLE_MASKS] if find_masks(file) else []
        layouts += [_TABLE] if layouts and has_classes(file) else []
    return layouts


def box_readers(root: Path) -> dict[Reader, Layout]:
    """The layouts of the sets of boxes in a folder that can be read, by the classes that read them."""
    return {layout.reader: layout for layout in find_layouts(root) if layout.grain == "boxes" and layout.reader}


def boxes_in_file(file: Path) -> Layout | None:
    """What a JSON file holds, if these are annotations of boxes in COCO's format."""
    text = _ends(file)
    if b'"image_id"' not in text or b'"segments_info"' in text or b'"_type"' in text:  # the last as in a schema
        return None
    if b'"bbox"' not in text and not re.search(_SHAPES, text):
        return None
    return _MASKS if re.search(_SHAPES, text) else _BOXES


def _boxes_in(folder: Path) -> Layout | None:
    """Boxes of the files right in a folder."""
    for file in _names(folder, {".json"}):
        if layout := boxes_in_file(file):
            return layout
        if b'"shapes"' in (text := _ends(file)) and b'"imagePath"' in text:
            return _LABELME
    for file in _names(folder, {".xml"}):
        if b"<bndbox>" in (text := _ends(file)):
            return _VOC
        is_cvat = b"<annotations>" in text and b"<image " in text and b"<track " not in text
        if is_cvat and (b"<tag " not in text or re.search(_CVAT_OBJECTS, text)):
            return _CVAT_SHAPES if re.search(rb"<(polygon|ellipse|mask) ", text) else _CVAT
    texts = [_ends(file) for file in _names(folder, {".txt"})]
    if any(_POLYGON_LINE.match(text) for text in texts):
        return _POLYGONS
    return _YOLO if any(_BOX_LINE.match(text) for text in texts) else None


def _unread_in(folder: Path) -> Layout | None:
    """Files right in a folder in a format that is not read."""
    words = unread_format({file.name: _ends(file) for file in _names(folder, ENDINGS)})
    return None if words is None else Layout(_UNREAD, words, WAY_OUT)


def _own_colours(root: Path) -> bool:
    """Whether a set in the layout of a benchmark says that its classes are others."""
    return (root / "label_colors.txt").is_file()


def _pixels_in(root: Path, folder: Path) -> Layout | None:
    """PNGs of the classes of pixels in a folder of a set, by its place in it."""
    place = folder.relative_to(root)
    if any(file.stem.endswith("_mask") for file in _names(folder, {".png"})):
        return _LABELS
    above = next((part for part in place.parts if re.fullmatch(_PIXELS, part, re.IGNORECASE)), None)
    if above is None or not _names(folder, {".png"}):
        return None
    name = above.lower()
    if _own_colours(root):
        return _LABELS
    return _CITYSCAPES if name == "gtfine" else _CAMVID if name.endswith("annot") else _LABELS


def _walk(folder: Path, depth: int = 0) -> Iterator[Path]:
    """A set's folder, those in it that are called by what they hold, and a few of those below."""
    yield folder
    below = _folders(folder) if depth < _DEPTH else []
    for name in [name for name in below if depth or _GENERIC.fullmatch(name)][:_FEW]:
        yield from _walk(folder / name, depth + 1)


def _folders(folder: Path) -> list[str]:
    """Names of the folders in a folder."""
    return sorted(entry.name for entry in _entries(folder) if entry.name[0] not in "._" and is_folder(entry))


def _names(folder: Path, suffixes: frozenset[str] | set[str]) -> list[Path]:
    """A few files with these suffixes right in a folder."""
    names = [entry.name for entry in _entries(folder) if entry.name[0] != "."]
    return [folder / name for name in sorted(name for name in names if Path(name).suffix.lower() in suffixes)[:_FEW]]


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What lies in a folder; nothing where that cannot be read, which whoever reads the set will say."""
    with suppress(OSError), os.scandir(folder) as scan:
        return list(scan)
    return []


def _ends(file: Path) -> bytes:
    """The first and the last bytes of a file; nothing where it cannot be read."""
    try:
        with file.open("rb") as stream:
            start = stream.read(_ENDS)
            stream.seek(max(len(start), stream.seek(0, os.SEEK_END) - _ENDS))
            return start + stream.read()
    except OSError:
        return b""
