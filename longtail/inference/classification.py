"""A run of classification, used: load it, and classify image files."""

import csv
import io
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from longtail.augment.normalise import Normalise
from longtail.counts import Counts, log_prior
from longtail.errors import InputError
from longtail.files.crops import prepare
from longtail.files.folder import IMAGES, VIDEOS, Kind
from longtail.files.images import decode
from longtail.files.video.clips import read_clips
from longtail.inference.runs import load_method, readable, sample_files
from longtail.methods.base import Method
from longtail.reports.results import load_results
from longtail.writing import write_atomically

MAX_STRENGTH = 100  # of the logit adjustment; beyond it nothing but the class counts would decide


@dataclass(frozen=True)
class Classifier:
    """A method out of training, with what it needs to be used.

    Attributes:
        method: in evaluation mode.
        classes: class names in the order of the logits.
        size: side of the images in pixels.
        normalise: from uint8 images to what the method takes.
        source: the checkpoint it came from.
        adjustment: what is added to the logits (C,), where they are adjusted.
        frames: of a clip, T, where the method takes those; None for images.
    """

    method: Method
    classes: list[str]
    size: int
    normalise: Normalise
    source: Path
    adjustment: Tensor | None = None
    frames: int | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """That of an image, (3, size, size), or of a clip, (3, T, size, size)."""
        return (3, *(() if self.frames is None else (self.frames,)), self.size, self.size)

    @property
    def kind(self) -> Kind:
        """What it classifies: images or videos."""
        return IMAGES if self.frames is None else VIDEOS

    def files(self, paths: Sequence[Path]) -> list[str]:
        """The image files, or the videos, in some files and folders."""
        return sample_files(paths, self.kind)

    def read(self, file: str) -> Tensor:
        """An image or a video as the method was trained on, uint8 of `shape`."""
        if self.frames is None:
            return prepare(decode(file), self.size)
        return read_clips(file, self.frames, self.size)[0]

    def probabilities(self, images: Tensor) -> Tensor:
        """Class probabilities (N, C) of images or clips (N, ...), uint8 of `shape`, by the adjusted logits."""
        device = next(self.method.parameters()).device
        with torch.inference_mode():
            logits = self.method.classify(self.normalise(images.to(device))).float().cpu()
            return (logits if self.adjustment is None else logits + self.adjustment).softmax(1)


class Inference(nn.Module):
    """Images to logits, adjusted where ``adjustment`` (C,) is given, as a module of its own for export."""

    adjustment: Tensor | None

    def __init__(self, method: Method, adjustment: Tensor | None = None) -> None:
        super().__init__()
        self.method = method
        self.register_buffer("adjustment", adjustment)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, C) of normalised images (N, 3, H, W)."""
        logits = self.method.classify(images)
        return logits if self.adjustment is None else logits + self.adjustment


def logit_adjustment(class_counts: Counts, strength: float) -> Tensor | None:
    """What is added to the logits, -strength * log p (C,) with p_c = n_c / sum n; None for strength 0.

    Raises:
        InputError: for a strength that is not a number from -100 to 100.

    Source: Menon et al., Long-tail learning via logit adjustment, ICLR 2021, equation 9.
    """
    if not abs(strength) <= MAX_STRENGTH:
        raise InputError(f"--strength must be a number from -{MAX_STRENGTH} to {MAX_STRENGTH}, got {strength:g}")
    return -strength * log_prior(class_counts) if strength else None


def load_run(run: Path, checkpoint: str | None = None, strength: float = 0.0) -> Classifier:
    """Load the classifier of a run.

    Args:
        run: folder of the run.
        checkpoint: "best" or "last"; by default the one best on validation if there is one.
        strength: S, where the logits are to be adjusted by -S log p; larger predicts rare classes more.

    Raises:
        InputError: if the run, or its checkpoint, is not there or damaged, it is of another task, or the strength is
            no reasonable number.
    """
    results = load_results(run)
    adjustment = logit_adjustment(results["train_counts"], strength)
    method, path = load_method(run, results, "classification", checkpoint)
    assert isinstance(method, Method)
    given = results["data"]["input"]
    normalise = Normalise(given["mean"], given["std"])
    return Classifier(method, results["classes"], given["size"], normalise, path, adjustment, given.get("frames"))


def predictions(
    classifier: Classifier, files: Sequence[str], top_k: int, batch_size: int, skip_bad_images: bool
) -> Iterator[dict[str, Any]]:
    """Yield {"path", "top": [{"class", "probability"}, ...]} for every file, most probable class first."""
    for start in range(0, len(files), batch_size):
        part = files[start : start + batch_size]
        found = list(readable(part, classifier.read, skip_bad_images, classifier.kind))
        if not found:
            continue
        images = torch.stack([image for _, image in found])
        top = classifier.probabilities(images).topk(min(top_k, len(classifier.classes)))
        for (index, _), values, indices in zip(found, top.values.tolist(), top.indices.tolist(), strict=True):
            ranked = zip(indices, values, strict=True)
            yield {
                "path": part[index],
                "top": [{"class": classifier.classes[c], "probability": round(p, 6)} for c, p in ranked],
            }


def predict_files(
    classifier: Classifier,
    paths: Sequence[Path],
    output: Path | None,
    style: str,
    top_k: int,
    batch_size: int,
    skip_bad_images: bool,
) -> None:
    """Classify files and folders, and write CSV or JSON lines; a file is written whole or not at all.

    Raises:
        InputError: on an image that cannot be read, or an output that cannot be written.
    """
    if top_k < 1 or batch_size < 1:
        raise InputError(f"--top-k and --batch-size must be at least 1, got {top_k} and {batch_size}")
    rows = predictions(classifier, classifier.files(paths), top_k, batch_size, skip_bad_images)
    if output is None:
        write_rows(rows, style, top_k, sys.stdout)
        return
    text = io.StringIO()
    write_rows(rows, style, top_k, text)
    write_atomically(output, text.getvalue())


def write_rows(rows: Iterator[dict[str, Any]], style: str, top_k: int, stream: Any) -> None:
    """Write predictions as "csv" (a column pair for each rank) or "jsonl"."""
    if style == "jsonl":
        for row in rows:
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
        return
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(["path", *(f"{name}_{k + 1}" for k in range(top_k) for name in ("class", "probability"))])
    for row in rows:
        table.writerow([row["path"], *(value for entry in row["top"] for value in entry.values())])
