"""How an annotation tells the class of each pixel: by index or by colour."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from longtail.augment.pixels import IGNORED
from longtail.errors import InputError
from longtail.files.images.palette import pascal_colours
from longtail.files.listing import IntArray, IntegerArray
from longtail.files.pixels.pairs import INVALID, ByteArray, read_colours, read_text, read_values
from longtail.messages import escape, some

_BORDER = (224, 224, 192)  # Pascal VOC's colour of pixels that do not count
_NUMBERS = r"\s*[,;\s]\s*".join(rf"(?P<{name}>\d{{1,3}})" for name in "rgb")
_NAME_FIRST = re.compile(rf"\s*(?P<name>[^:,;\t#][^:,;\t]*?)\s*[:,;\t]\s*{_NUMBERS}\s*([:,;\t].*)?")
_NAME_LAST = re.compile(rf"\s*{_NUMBERS}\s*[,;\s]\s*(?P<name>\S.*?)\s*")
_NO_COLOUR = re.compile(r"\s*(?P<name>[^:#][^:]*?)\s*::[^:]*:[^:]*")


def check_names(names: Sequence[str], source: str) -> None:
    """Make sure that the classes of a set are two or more, as many as values of a PNG, and each called another name.

    Raises:
        InputError: they are not.
    """
    if len(names) < 2:
        raise InputError(f"{source} has {len(names)} class names, and needs at least two")
    if len(names) > INVALID:
        raise InputError(f"{source} has {len(names)} class names; a PNG of 8 bits has room for {INVALID}")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"{source}: the class names {some(twice)} come more than once: make them differ")


class PixelLabels(ABC):
    """What the classes of the pixels of an image are read by.

    Attributes:
        state: the same as long as the same annotations have the same labels.
    """

    state: str

    @abstractmethod
    def read(self, image: str, annotation: str) -> ByteArray:
        """The label of each pixel (H, W): 0..C-1, ``IGNORED``, or ``INVALID``.

        Raises:
            InputError: the annotation cannot be read.
        """

    @abstractmethod
    def fault(self, annotation: str) -> str:
        """What is wrong with an annotation that has invalid labels."""

    @abstractmethod
    def mapped(self, rows: IntArray) -> PixelLabels:
        """The same with ``rows[c]`` in the place of the class c."""


class IndexLabels(PixelLabels):
    """The value of a pixel stands for its class.

    Args:
        table: the label of every value (256,).
        num_classes: C.
    """

    def __init__(self, table: ByteArray, num_classes: int) -> None:
        self.table, self.num_classes = table, num_classes
        self.state = repr(table.tolist())

    def read(self, image: str, annotation: str) -> ByteArray:
        return self.table[read_values(annotation)]

    def fault(self, annotation: str) -> str:
        there = np.bincount(read_values(annotation).ravel(), minlength=256) > 0
        beyond = some(np.flatnonzero((self.table == INVALID) & there).tolist())
        ignored = some(np.flatnonzero(self.table == IGNORED).tolist()) or "none"
        return f"has the label {beyond}, beyond the {self.num_classes} classes, and ignore_index is {ignored}"

    def mapped(self, rows: IntArray) -> PixelLabels:
        return IndexLabels(_replaced(self.table, rows), self.num_classes)


class ColourLabels(PixelLabels):
    """The colour of a pixel stands for its class; where there is a palette, its colours count.

    Args:
        colours: of the C classes (C, 3), red, green and blue in 0..255.
        labels: that of each colour (C,).
        file: that has the colours, for messages.
    """

    def __init__(self, colours: IntArray, labels: ByteArray, file: Path) -> None:
        self._colours, self._labels, self._file = colours, labels, file
        codes = np.append(_codes(colours), _codes(np.array([_BORDER])))
        both = np.append(labels, np.uint8(IGNORED))
        self._codes, first = np.unique(codes, return_index=True)
        self._of_codes = both[first]
        self.state = repr((self._codes.tolist(), self._of_codes.tolist()))

    def read(self, image: str, annotation: str) -> ByteArray:
        codes = _codes(read_colours(annotation))
        places = np.minimum(np.searchsorted(self._codes, codes), len(self._codes) - 1)
        return np.where(self._codes[places] == codes, self._of_codes[places], INVALID).astype(np.uint8)

    def fault(self, annotation: str) -> str:
        colours = np.unique(read_colours(annotation).reshape(-1, 3), axis=0)
        odd = [tuple(colour.tolist()) for colour in colours if _codes(colour) not in self._codes]
        return f"has the colour {some(odd)}, which is not in {escape(self._file)}"

    def mapped(self, rows: IntArray) -> PixelLabels:
        return ColourLabels(self._colours, _replaced(self._labels, rows), self._file)


def read_colour_table(file: Path) -> tuple[list[str], IntArray]:
    """Names and colours (C, 3) of classes, one in each line: ``name,r,g,b`` with or without a header, CVAT's
    ``name:r,g,b:parts:actions``, or ``r g b name``. Lines that begin with # are passed over. Where no line of CVAT's
    form has a colour, these are those of Pascal VOC's palette, in the order of the lines.

    Raises:
        InputError: a line is none of these, or two classes have one colour.
    """
    names: list[str] = []
    colours: list[tuple[int, ...]] = []
    lines = read_text(file).splitlines()
    rows = [line for line in lines if line.strip() and line.lstrip()[0] != "#"]
    bare = [match["name"] for line in rows if (match := _NO_COLOUR.fullmatch(line))]
    if 0 < len(bare) == len(rows) <= 256:
        return bare, pascal_colours()[: len(bare)]
    for number, line in enumerate(lines, start=1):
        match = _NAME_FIRST.fullmatch(line) or _NAME_LAST.fullmatch(line)
        if match is None and (
            not line.strip() or line.lstrip()[0] == "#" or (number == 1 and not re.search(r"\d", line))
        ):
            continue
        colour = tuple(int(match[channel]) for channel in "rgb") if match else ()
        if match is None or max(colour) > 255:
            raise InputError(
                f"{escape(file)}, line {number}: not a name and a colour: {escape(line)}; write name,r,g,b"
            )
        if colour in colours:
            other = names[colours.index(colour)]
            raise InputError(
                f"{escape(file)}, line {number}: {escape(match['name'])} has the colour of {escape(other)}"
            )
        names.append(match["name"])
        colours.append(colour)
    if not names:
        raise InputError(f"{escape(file)} has no colour of a class: write name,r,g,b in each line")
    return names, np.array(colours, dtype=np.int64)


def is_pascal_palette(annotation: str) -> bool:
    """Whether a PNG has the palette of Pascal VOC, whose first 21 colours stand for its classes."""
    with Image.open(annotation) as image:
        palette = image.getpalette() if image.mode == "P" else None
    return palette is not None and palette[:63] == pascal_colours()[:21].ravel().tolist()


def _codes(colours: IntegerArray) -> IntArray:
    wide = colours.astype(np.int64)
    return (wide[..., 0] << 16) | (wide[..., 1] << 8) | wide[..., 2]


def _replaced(labels: ByteArray, rows: Sequence[int] | IntArray) -> ByteArray:
    """Labels with those of other classes in their place; ``IGNORED`` and ``INVALID`` stay."""
    table = np.arange(256)
    table[: len(rows)] = rows
    return table[labels].astype(np.uint8)
