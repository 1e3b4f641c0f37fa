"""Pairs of an image and an annotation, a PNG with the class of each pixel: finding them, and reading them."""

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from longtail.augment.pixels import resize
from longtail.errors import InputError
from longtail.files.images.reading import SUFFIXES, decode
from longtail.files.listing import reading
from longtail.files.split_names import SPLIT_NAMES
from longtail.messages import escape

ByteArray = NDArray[np.uint8]

INVALID = 254  # what a lookup table makes of a value that stands for nothing
_GREY, _PALETTE = 0, 3  # colour types in the header of a PNG


@dataclass(frozen=True)
class Pairs:
    """The images and annotations of a split, (N,) paths each, and a line for each file that has no partner."""

    images: list[str]
    annotations: list[str]
    alone: list[str]


def lookup_table(labels: dict[int, int]) -> ByteArray:
    """The label of every value of an annotation (256,): those given, and ``INVALID``."""
    table = np.full(256, INVALID, dtype=np.uint8)
    for value, label in labels.items():
        table[value] = label
    return table


def read_text(file: Path) -> str:
    """The text of a file with the names of the classes.

    Raises:
        InputError: if it cannot be read.
    """
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"{escape(file)}: {reason}; it has the names of the classes") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{escape(file)}: not text in UTF-8; it has the names of the classes") from error


def find_splits(images: Path, annotations: Path, needs_train: bool = True) -> dict[str, Pairs]:
    """The pairs of every split of a set with a folder of images and one of annotations.

    Below both are train/ (or training/), val/ (validation/, valid/) and test/ (testing/), of which some may not be
    there; or all are for training.

    Args:
        images, annotations: the folders.
        needs_train: whether there has to be a train folder where there are others.

    Raises:
        InputError: a folder is missing, there twice, empty or cannot be read.
    """
    folders = _split_folders(images, annotations)
    if needs_train and "train" not in folders:
        raise InputError(f"{escape(images)} has no train folder: add one with the training images")
    return {split: find_pairs(*pair) for split, pair in folders.items()}


def _split_folders(images: Path, annotations: Path) -> dict[str, tuple[Path, Path]]:
    """The folder of images and that of annotations of every split."""
    for folder in (images, annotations):
        if not folder.is_dir():
            raise InputError(f"no folder at {escape(folder)}")
    splits: dict[str, tuple[Path, Path]] = {}
    for split, names in SPLIT_NAMES.items():
        sides = [[folder / name for name in names if (folder / name).is_dir()] for folder in (images, annotations)]
        for folders in sides:
            if len(folders) > 1:
                raise InputError(
                    f"{escape(folders[0])} and {escape(folders[1])} both stand for {split}: keep one of them"
                )
        if sides[0] and sides[1]:
            splits[split] = (sides[0][0], sides[1][0])
        elif sides[0] or sides[1]:
            folder = (sides[0] or sides[1])[0]
            other = annotations if sides[0] else images
            raise InputError(f"{escape(folder)} has no counterpart in {escape(other)}: add it, or take the folder away")
    if not splits:
        return {"train": (images, annotations)}
    return splits


def find_pairs(images: Path, annotations: Path, image_end: str = "", annotation_end: str = "") -> Pairs:
    """Pair the images below a folder with the annotations at the same place below another, by their names.

    Hidden files and folders are left out. Links are followed.

    Args:
        images: folder of the images.
        annotations: folder of the annotations.
        image_end, annotation_end: how the names end before the suffix; others are left out.

    Raises:
        InputError: a folder cannot be read, or has no such file.
    """
    pictures, masks = files_by_name(images, image_end, SUFFIXES), files_by_name(annotations, annotation_end, {".png"})
    if images == annotations:
        pictures = {name: files for name, files in pictures.items() if not name.endswith(annotation_end)}
    for folder, files, kind in (
        (images, pictures, f"{image_end} image"),
        (annotations, masks, f"{annotation_end}.png"),
    ):
        if not files:
            raise InputError(f"{escape(folder)} has no {kind.strip()} file: is it the right folder?")
    alone = []
    for files, others, missing in (
        (pictures, masks, f"annotation in {annotations}"),
        (masks, pictures, f"image in {images}"),
    ):
        for name, (first, *more) in files.items():
            alone += [f"{escape(path)}: has the same name as {escape(first)}" for path in more]
            alone += [f"{escape(first)}: has no {escape(missing)}"] if name not in others else []
    names = sorted(pictures.keys() & masks.keys())
    return Pairs([pictures[name][0] for name in names], [masks[name][0] for name in names], sorted(alone))


def files_by_name(folder: Path, end: str, suffixes: Collection[str]) -> dict[str, list[str]]:
    """Files below a folder, by their path in it without the end and the suffix."""
    files: dict[str, list[str]] = {}
    tops: set[str] = set()
    with reading(str(folder)):
        for top, folders, names in os.walk(folder, onerror=_raise, followlinks=True):
            tops.add(os.path.realpath(top))
            folders[:] = [name for name in folders if name[0] != "." and os.path.realpath(Path(top, name)) not in tops]
            for name in sorted(names):
                path = Path(top, name)
                if name[0] != "." and path.suffix.lower() in suffixes and path.stem.endswith(end):
                    key = (path.parent.relative_to(folder) / path.stem.removesuffix(end)).as_posix()
                    files.setdefault(key, []).append(str(path))
    return files


def _raise(error: OSError) -> None:
    raise error


def read_image(path: str, shorter: int | None, bit_depth: int | None = None) -> Tensor:
    """The image in a file, its shorter side resized to so many pixels where it is longer: uint8 (3, h, w).
    ``bit_depth`` is as in ``decode``.

    Raises:
        InputError: if it cannot be decoded.
    """
    reduction = None if shorter is None else lambda width, height: min(width, height) / shorter
    image = torch.from_numpy(np.array(decode(path, reduction, bit_depth))).permute(2, 0, 1)
    least = min(image.shape[1:])
    if shorter is None or least <= shorter:
        return image
    height, width = (round(side * shorter / least) for side in image.shape[1:])
    return resize(image, (height, width))


def read_values(path: str) -> ByteArray:
    """The values in an annotation (H, W). Those of a palette stand for themselves, not for their colours.

    Raises:
        InputError: if it cannot be decoded, is a colour picture, or has a value over 255.
    """
    try:
        with Path(path).open("rb") as file:
            header = file.read(26)
            file.seek(0)
            with Image.open(file, formats=("PNG",)) as image:
                values = np.asarray(image)
    except MemoryError:
        raise
    except Exception as error:  # on damaged files, decoders raise nearly anything
        raise InputError(f"{escape(path)}: {_reason(error)}") from error
    bits, kind = header[24:]
    if kind not in (_GREY, _PALETTE):
        raise InputError(f"{escape(path)}: is a colour picture, not class indices")
    if kind == _GREY and bits in (2, 4):  # scaled to 0..255 by Pillow
        values = values // (255 // (2**bits - 1))
    if values.max() > 255:
        raise InputError(f"{escape(path)}: has the value {values.max()}; labels go up to 255")
    return values.astype(np.uint8)


def read_colours(path: str) -> ByteArray:
    """The colours in an annotation (H, W, 3), those of its palette where it has one.

    Raises:
        InputError: if it cannot be decoded.
    """
    try:
        with Path(path).open("rb") as file, Image.open(file, formats=("PNG",)) as image:
            return np.asarray(image.convert("RGB"))
    except MemoryError:
        raise
    except Exception as error:  # as above
        raise InputError(f"{escape(path)}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not a PNG image"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return f"cannot be decoded ({escape(error)})"
