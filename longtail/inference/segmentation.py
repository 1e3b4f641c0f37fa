"""A run of segmentation, used: give the pixels of image files their classes."""

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from longtail.augment.normalise import Normalise
from longtail.errors import InputError
from longtail.files.images import decode
from longtail.files.pixels.pairs import read_image
from longtail.inference.runs import load_method, readable, sample_files
from longtail.methods.pixels import PixelMethod, labels_at
from longtail.reports.overlays import COLOURS, colour, draw_labels
from longtail.reports.results import load_results
from longtail.writing import whole_folder


@dataclass(frozen=True)
class Segmenter:
    """A method of segmentation out of training, with what it needs to be used.

    Attributes:
        method: in evaluation mode.
        classes: class names in the order of the labels.
        size: what the shorter side of larger images is resized to, in pixels; None leaves them.
        normalise: from uint8 images to what the method takes.
        source: the checkpoint it came from.
    """

    method: PixelMethod
    classes: list[str]
    size: int | None
    normalise: Normalise
    source: Path

    def segment(self, file: str, size: tuple[int, int]) -> NDArray[np.uint8]:
        """The class of each pixel of an image file, at the size (H, W)."""
        device = next(self.method.parameters()).device
        image = read_image(file, self.size)[None].to(device)
        with torch.inference_mode():
            labels = labels_at(self.method.segment(self.normalise(image)).float(), size)
        return labels[0].to(torch.uint8).cpu().numpy()


def load_segmenter(run: Path, checkpoint: str | None = None) -> Segmenter:
    """Load the segmenter of a run.

    Args:
        run: folder of the run.
        checkpoint: "best" or "last"; by default the one best on validation if there is one.

    Raises:
        InputError: if the run, or its checkpoint, is not there or damaged, or it is of another task.
    """
    results = load_results(run)
    method, path = load_method(run, results, "segmentation", checkpoint)
    assert isinstance(method, PixelMethod)
    given = results["data"]["input"]
    return Segmenter(method, results["classes"], given.get("size"), Normalise(given["mean"], given["std"]), path)


def segment_files(
    segmenter: Segmenter, paths: Sequence[Path], output: Path, overlays: Path | None, skip_bad_images: bool
) -> None:
    """Write a PNG for each image of files and folders, of its size, whose palette indices are the classes of its
    pixels; see ``names_of`` for its name. The folders are written whole or not at all.

    Args:
        segmenter: what finds the classes.
        paths: image files and folders.
        output: new folder for the PNGs.
        overlays: new folder for a picture of every image with the classes drawn in; None for none.
        skip_bad_images: leave out files that cannot be read.

    Raises:
        InputError: on an image that cannot be read, two images of one name, or a folder that is not empty or cannot be
            written.
    """
    files = sample_files(paths)
    names = names_of(files)
    if overlays is not None:
        one, other = output.resolve(), overlays.resolve()
        if one.is_relative_to(other) or other.is_relative_to(one):
            raise InputError(
                f"--output {output} and --overlays {overlays} must not lie in each other: give two folders"
            )
    with contextlib.ExitStack() as stack:
        masks = stack.enter_context(whole_folder(output))
        pictures = None if overlays is None else stack.enter_context(whole_folder(overlays))
        for index, image in readable(files, decode, skip_bad_images):
            labels = segmenter.segment(files[index], (image.height, image.width))
            _save(indexed(labels), masks / names[index])
            if pictures is not None:
                _save(draw_labels(image, labels, segmenter.classes), pictures / names[index])


def names_of(files: Sequence[str]) -> list[str]:
    """A name for the PNG of each image file: its own, or where two have the same, its path below their common folder.

    Raises:
        InputError: if two still have the same.
    """
    paths = [Path(file).absolute().with_suffix(".png") for file in files]
    names = [path.name for path in paths]
    if _same(names) is not None:
        common = os.path.commonpath([path.parent for path in paths])
        names = [path.relative_to(common).as_posix() for path in paths]
    if (same := _same(names)) is not None:
        one, other = (files[row] for row in same)
        raise InputError(f"the answers for {one} and {other} would both be {names[same[0]]}: predict them apart")
    return names


def _same(names: Sequence[str]) -> tuple[int, int] | None:
    """Rows of the first two names that some file systems cannot tell apart."""
    rows: dict[str, int] = {}
    for row, name in enumerate(names):
        if (first := rows.setdefault(name.casefold(), row)) != row:
            return first, row
    return None


def indexed(labels: NDArray[np.uint8]) -> Image.Image:
    """Classes (H, W) as an image with a palette: its indices are the classes, in the colours of the pictures."""
    image = Image.fromarray(labels)
    image.putpalette([part for index in range(COLOURS) for part in colour(index)])
    return image


def _save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
