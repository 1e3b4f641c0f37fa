"""A run of classification, used: load it, and classify image files."""

import argparse
import csv
import io
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

import torch
from torch import Tensor

from longtail.augment.normalise import Normalise
from longtail.augment.preprocessing import Resize, input_parts
from longtail.checks import check_outputs
from longtail.counts import log_prior
from longtail.errors import InputError
from longtail.export.classification import write_classifier
from longtail.export.timm_folder import write_timm_folder
from longtail.files.crops import prepare
from longtail.files.folder import IMAGES, VIDEOS, Kind
from longtail.files.images import decode
from longtail.files.labelled import Listed
from longtail.files.table import is_table
from longtail.files.video.clips import read_clips
from longtail.inference.base import Predictor
from longtail.inference.inputs import NORMALISATION, network_input
from longtail.inference.runs import load_method, readable, samples, tell_escaped
from longtail.messages import retrievable
from longtail.methods.base import Method
from longtail.reports.results import Results
from longtail.writing import write_atomically

logger = logging.getLogger(__name__)

MAX_STRENGTH = 100  # of the logit adjustment; beyond it nothing but the class counts would decide


@dataclass(frozen=True)
class Classifier(Predictor):
    """A classifier out of training, with what it needs to be used.

    Attributes:
        method: in evaluation mode.
        classes: class names in the order of the logits.
        class_counts: training images of each class (C,).
        size: side of the images in pixels.
        normalise: from uint8 images to what the method takes.
        resize: how images are brought to their size.
        source: the checkpoint it came from.
        frames: of a clip, T, where the method takes those; None for images.
        strength: S; the logits are adjusted by -S log p, larger predicts rare classes more.
        bit_depth: how many bits of images of 16 count, where they do not say it.
        frame_pattern: what the names of frames in a folder are like, where that was given.
    """

    task = "classification"

    method: Method
    classes: list[str]
    class_counts: list[int]
    size: int
    normalise: Normalise
    resize: Resize
    source: Path
    frames: int | None = None
    strength: float = 0.0
    bit_depth: int | None = None
    frame_pattern: str | None = None

    @classmethod
    def predict_options(cls, parser: argparse.ArgumentParser) -> None:
        """Classes to name, the form of the answer, the strength, and images of a batch."""
        group = parser.add_argument_group("for runs of classification")
        group.add_argument("--top-k", type=int, help="classes to name for each image (default 5, or all)")
        group.add_argument(
            "--format", dest="style", choices=("csv", "jsonl"), default="csv", help="of the answer (default csv)"
        )
        _add_strength(group)
        group.add_argument("--batch-size", type=int, default=64)

    @classmethod
    def export_options(cls, parser: argparse.ArgumentParser) -> None:
        """The strength, and the layout of what is written."""
        group = parser.add_argument_group("for runs of classification")
        _add_strength(group)
        group.add_argument(
            "--format",
            dest="layout",
            choices=("onnx", "timm"),
            default="onnx",
            help="onnx writes ONNX and safetensors (default), timm a folder that timm.create_model loads",
        )

    @classmethod
    def load(cls, run: Path, results: Results, checkpoint: str | None = None) -> "Classifier":
        """Load a run of classification, of images or of clips; see ``Predictor.load``."""
        method, path = load_method(run, results, Method, checkpoint)  # type: ignore[type-abstract] # asked by isinstance
        needed = ("size", *NORMALISATION, "interpolation", "crop")
        inputs, counts = network_input(run, results, *needed), results["train_counts"]
        network = (method, results["classes"], counts, inputs["size"], *input_parts(inputs), path)
        depth, pattern = inputs.get("bit_depth"), inputs.get("frame_pattern")
        return cls(*network, inputs.get("frames"), bit_depth=depth, frame_pattern=pattern)

    def adjusted(self, strength: float) -> "Classifier":
        """The same with its logits adjusted.

        Raises:
            InputError: for a strength that is not a number from -100 to 100.
        """
        if not abs(strength) <= MAX_STRENGTH:
            raise InputError(f"--strength must be a number from -{MAX_STRENGTH} to {MAX_STRENGTH}, got {strength:g}")
        return replace(self, strength=strength)

    @property
    def adjustment(self) -> Tensor | None:
        """What is added to the logits, -S log p (C,) with p_c = n_c / sum n; None for strength 0.

        Source: Menon et al., Long-tail learning via logit adjustment, ICLR 2021, equation 9.
        """
        return -self.strength * log_prior(self.class_counts) if self.strength else None

    @property
    def shape(self) -> tuple[int, ...]:
        """That of an image, (3, size, size), or of a clip, (3, T, size, size)."""
        return (3, *(() if self.frames is None else (self.frames,)), self.size, self.size)

    @property
    def kind(self) -> Kind:
        """What it classifies: images or videos."""
        return IMAGES if self.frames is None else VIDEOS

    def files(self, paths: Sequence[Path]) -> list[Listed]:
        """The image files, or the videos, in some files, folders and lists; those of a list are called as there."""
        listed = [path for path in paths if path.is_file() and is_table(path)]
        return [
            sample if path in listed else Listed(sample.path, sample.path)
            for path in paths
            for sample in samples([path], self.kind)
        ]

    def read(self, file: str) -> Tensor:
        """An image or a video as the method was trained on, uint8 of `shape`."""
        if self.frames is None:
            return prepare(decode(file, bit_depth=self.bit_depth), self.size, self.resize)
        pattern = self.frame_pattern
        return read_clips(file, self.frames, self.size, resize=self.resize, bit_depth=self.bit_depth, pattern=pattern)[
            0
        ]

    def probabilities(self, images: Tensor) -> Tensor:
        """Class probabilities (N, C) of images or clips (N, ...), uint8 of `shape`, by the adjusted logits.

        Raises:
            InputError: if the network gives NaN or infinity.
        """
        device = next(self.method.parameters()).device
        with torch.inference_mode():
            logits = self.method.classify(self.normalise(images.to(device))).float().cpu()
            check_outputs(logits)
            return (logits if self.adjustment is None else logits + self.adjustment).softmax(1)

    def predict(
        self,
        paths: Sequence[Path],
        output: Path | None = None,
        skip_bad_images: bool = False,
        style: str = "csv",
        top_k: int | None = None,
        strength: float = 0.0,
        batch_size: int = 64,
    ) -> None:
        """Classify files and folders, and write CSV or JSON lines; a file is written whole or not at all.

        Args:
            paths: files, folders, and tables that list files.
            output: file for the answer; None prints it.
            skip_bad_images: leave out files that cannot be read.
            style: "csv", with a column pair for each rank, or "jsonl".
            top_k: classes to name for each image, all where there are fewer; 5 where left out.
            strength: of the logit adjustment.
            batch_size: images that are classified at a time.

        Raises:
            InputError: on an image that cannot be read, an output that cannot be written, or another number than is
                allowed.
        """
        wanted = 5 if top_k is None else top_k
        if wanted < 1 or batch_size < 1:
            raise InputError(f"--top-k and --batch-size must be at least 1, got {wanted} and {batch_size}")
        ranks = min(wanted, len(self.classes))
        if top_k is not None and ranks < top_k:
            logger.info(f"--top-k {top_k} names all classes: there are {ranks}")
        adjusted, files = self.adjusted(strength), self.files(paths)
        tell_escaped([file.name for file in files])
        rows = predictions(adjusted, files, ranks, batch_size, skip_bad_images)
        if output is None:
            write_rows(rows, style, ranks, sys.stdout)
            return
        text = io.StringIO()
        write_rows(rows, style, ranks, text)
        write_atomically(output, text.getvalue().encode("utf-8", "backslashreplace"))  # names of classes too

    def export(self, output: Path, strength: float = 0.0, layout: str = "onnx") -> list[Path]:
        """Write ``model.onnx`` and ``model.safetensors``, and check the ONNX model against torch by onnxruntime.

        The network takes "images", float32 (N, 3, size, size), normalised, N free, and gives "logits" (N, C). Size,
        mean, deviation, class names and the strength S of the logit adjustment are metadata of both files. The logits
        of the ONNX model are adjusted. The tensors are those of the method, and what is to be added to its logits,
        -S log p (C,), is their metadata "adjustment".

        Args:
            output: folder for the files.
            strength: S; 0 leaves the logits as they are.
            layout: "onnx", or "timm" for a folder that timm loads instead; see ``write_timm_folder``.

        Raises:
            InputError: if something that is needed is not installed, or the outputs differ.
        """
        adjustment = self.adjusted(strength).adjustment
        if layout == "timm":
            about = (self.classes, self.size, self.normalise, self.resize)
            return write_timm_folder(self.method, *about, adjustment, output)
        metadata = {
            "classes": json.dumps(self.classes),
            "size": str(self.size),
            "mean": json.dumps(list(self.normalise.mean)),
            "std": json.dumps(list(self.normalise.std)),
            "interpolation": self.resize.interpolation,
            "crop": str(self.resize.crop),
            "checkpoint": self.source.name,
            "strength": str(strength),
        }
        metadata |= {} if self.bit_depth is None else {"bit_depth": str(self.bit_depth)}
        return write_classifier(self.method, self.shape, adjustment, metadata, output)


# argparse does not name the type of a group
def _add_strength(group: Any) -> None:
    group.add_argument(
        "--strength", type=float, default=0.0, help="of the logit adjustment; above 0 for the rare classes (default 0)"
    )


def predictions(
    classifier: Classifier, files: Sequence[Listed], top_k: int, batch_size: int, skip_bad_images: bool
) -> Iterator[dict[str, Any]]:  # JSON
    """Yield {"path", "top": [{"class", "probability"}, ...]} for every file, most probable class first."""
    for start in range(0, len(files), batch_size):
        part = files[start : start + batch_size]
        read = list(readable([sample.path for sample in part], classifier.read, skip_bad_images, classifier.kind))
        if not read:
            continue
        images = torch.stack([image for _, image in read])
        top = classifier.probabilities(images).topk(top_k)
        for (index, _), values, indices in zip(read, top.values.tolist(), top.indices.tolist(), strict=True):
            ranked = zip(indices, values, strict=True)
            yield {
                "path": retrievable(part[index].name),
                "top": [{"class": classifier.classes[c], "probability": round(p, 6)} for c, p in ranked],
            }


def write_rows(rows: Iterator[dict[str, Any]], style: str, top_k: int, stream: TextIO) -> None:  # JSON
    """Write predictions as "csv" (a column pair for each rank) or "jsonl"."""
    if style == "jsonl":
        for row in rows:
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
        return
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(["path", *(f"{name}_{k + 1}" for k in range(top_k) for name in ("class", "probability"))])
    for row in rows:
        table.writerow([row["path"], *(value for entry in row["top"] for value in entry.values())])
