"""A run of segmentation, used: give the pixels of image files their classes."""

import argparse
import contextlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from longtail.augment.normalise import Normalise
from longtail.distributed import processes, share
from longtail.errors import InputError
from longtail.export.segmentation import write_segmenter
from longtail.files.images.reading import decode
from longtail.files.pixels.pairs import read_image
from longtail.files.tables.labelled import Listed
from longtail.inference.base import Predictor
from longtail.inference.inputs import NORMALISATION, network_input
from longtail.inference.runs import distinct_names, load_method, readable, samples
from longtail.methods.pixels import PixelMethod, labels_at
from longtail.plain import AnyPath
from longtail.reports.overlays import COLOURS, colour, draw_labels
from longtail.reports.results import Results
from longtail.writing import whole_folder


@dataclass(frozen=True)
class Segmenter(Predictor):
    """A method of segmentation out of training, with what it needs to be used.

    Attributes:
        method: in evaluation mode.
        classes: class names in the order of the labels.
        size: what the shorter side of larger images is resized to, in pixels; None leaves them.
        normalise: from uint8 images to what the method takes.
        source: the checkpoint it came from.
        bit_depth: how many bits of images of 16 count, where they do not say it.
    """

    task = "segmentation"

    method: PixelMethod
    classes: list[str]
    size: int | None
    normalise: Normalise
    source: Path
    bit_depth: int | None = None

    @classmethod
    def predict_options(cls, parser: argparse.ArgumentParser) -> None:
        """Pictures."""
        group = parser.add_argument_group(
            "for runs of segmentation, whose answer is a PNG for each image in a new folder --output"
        )
        group.add_argument("--overlays", type=Path, help="folder for a picture of each image with what was found")

    @classmethod
    def export_options(cls, parser: argparse.ArgumentParser) -> None:
        """The size of the images."""
        group = parser.add_argument_group("for runs of segmentation")
        help = "of the images in pixels, where the network cannot take any (by default any)"
        group.add_argument("--size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), help=help)

    @classmethod
    def load(cls, run: AnyPath, results: Results, checkpoint: str | None = None) -> "Segmenter":
        """Load a run of segmentation; see ``Predictor.load``."""
        method, path = load_method(run, results, PixelMethod, checkpoint)  # type: ignore[type-abstract] # asked by isinstance
        inputs = network_input(run, results, *NORMALISATION)
        normalise = Normalise(inputs["mean"], inputs["std"])
        return cls(method, results["classes"], inputs.get("size"), normalise, path, inputs.get("bit_depth"))

    def read(self, file: str) -> Image.Image:
        """An image as it is looked at."""
        return decode(file, bit_depth=self.bit_depth)

    def segment(self, file: str, size: tuple[int, int]) -> NDArray[np.uint8]:
        """The class of each pixel of an image file, at the size (H, W)."""
        device = next(self.method.parameters()).device
        image = read_image(file, self.size, self.bit_depth)[None].to(device)
        with torch.inference_mode():
            labels = labels_at(self.method.segment(self.normalise(image)).float(), size)
        return labels[0].to(torch.uint8).cpu().numpy()

    def predict(
        self,
        paths: Sequence[AnyPath],
        output: AnyPath | None = None,
        skip_bad_images: bool = False,
        overlays: AnyPath | None = None,
    ) -> None:
        """Write a PNG for each image of files and folders, of its size, whose palette indices are the classes of its
        pixels; see ``names_of`` for its name. The folders are written whole or not at all.

        Args:
            paths: image files, folders, and tables that list files.
            output: new folder for the PNGs; it has to be given.
            skip_bad_images: leave out files that cannot be read.
            overlays: new folder for a picture of every image with the classes drawn in; None for none.

        Raises:
            InputError: without an output, on an image that cannot be read, two images of one name, or a folder that is
                not empty or cannot be written.
        """
        if output is None:
            raise InputError("give --output FOLDER, for a PNG of each image with the class of its pixels")
        entries = samples(paths)
        files, names = [sample.path for sample in entries], names_of(entries)
        if overlays is not None:
            output, overlays = Path(output), Path(overlays)
            one, other = output.resolve(), overlays.resolve()
            if one.is_relative_to(other) or other.is_relative_to(one):
                raise InputError(
                    f"--output {output} and --overlays {overlays} must not lie in each other: give two folders"
                )

        def answer(index: int) -> list[bytes]:
            """PNGs of the classes and of the picture; none of a file that cannot be read."""
            pictures: list[Image.Image] = []
            for _, image in readable([files[index]], self.read, skip_bad_images):
                labels = self.segment(files[index], (image.height, image.width))
                pictures = [indexed(labels)] + ([] if overlays is None else [draw_labels(image, labels, self.classes)])
            return [_png(picture) for picture in pictures]

        answers = share(range(len(files)), answer, files)
        if processes()[0] > 0:
            list(answers)  # the first one has them, and writes
            return
        with contextlib.ExitStack() as stack:
            folders = [stack.enter_context(whole_folder(folder)) for folder in (output, overlays) if folder is not None]
            for name, images in zip(names, answers, strict=True):
                for folder, content in zip(folders, images, strict=False):  # of a file that was left out there is none
                    path = folder / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(content)

    def export(self, output: AnyPath, size: tuple[int, int] | None = None) -> list[Path]:
        """Write ``model.onnx`` and ``model.safetensors`` of a segmenter, and check the first against torch by
        onnxruntime; see ``longtail.export.segmentation.write_segmenter`` for what it takes and gives.

        Mean, deviation, class names, the label of pixels without a class, and where they are given the side of the
        windows, the shorter side that larger images are resized to before, and the size are metadata of both files.

        Args:
            output: folder for the files.
            size: H and W, where they are to be fixed.

        Raises:
            InputError: if something that is needed is not installed, the network needs a size, or the outputs differ.
        """
        metadata = {
            "classes": json.dumps(self.classes),
            "mean": json.dumps(list(self.normalise.mean)),
            "std": json.dumps(list(self.normalise.std)),
            "ignore_index": str(self.method.ignore_index),
            "checkpoint": self.source.name,
        }
        metadata |= {} if self.size is None else {"size": str(self.size)}
        metadata |= {} if self.method.window is None else {"window": str(self.method.window)}
        metadata |= {} if self.bit_depth is None else {"bit_depth": str(self.bit_depth)}
        return write_segmenter(self.method, size, metadata, output)


def names_of(entries: Sequence[Listed]) -> list[str]:
    """A name for the PNG of each image file: what it is called, with another suffix; see ``distinct_names``.

    Raises:
        InputError: if two have the same.
    """
    names: list[str] = []
    rows: dict[str, int] = {}
    for row, name in enumerate(distinct_names(entries)):
        names.append(str(PurePosixPath(name).with_suffix(".png")))
        if (first := rows.setdefault(names[row].casefold(), row)) != row:
            one, other = entries[first].path, entries[row].path
            raise InputError(f"the answers for {one} and {other} would both be {names[first]}: predict them apart")
    return names


def indexed(labels: NDArray[np.uint8]) -> Image.Image:
    """Classes (H, W) as an image with a palette: its indices are the classes, in the colours of the pictures."""
    image = Image.fromarray(labels)
    image.putpalette([part for index in range(COLOURS) for part in colour(index)])
    return image


def _png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()
