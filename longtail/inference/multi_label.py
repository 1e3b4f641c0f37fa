"""A run of several labels an image, used: say which classes image files have."""

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from longtail.checkpoint import read_checkpoint
from longtail.distributed import processes
from longtail.errors import InputError
from longtail.export.classification import write_classifier
from longtail.inference.answers import Batch, write_answers
from longtail.inference.base import Predictor
from longtail.inference.classification import Classifier
from longtail.plain import JSON, AnyPath
from longtail.reports.results import Results


@dataclass(frozen=True)
class Labeller(Predictor):
    """A classifier of several labels out of training.

    Attributes:
        network: with what it needs to be used; its logits are those of sigmoids.
        limits: thresholds of the logits (C,), from which on an image is said to have a class.
    """

    task = "several labels"

    network: Classifier
    limits: Tensor

    @classmethod
    def predict_options(cls, parser: argparse.ArgumentParser) -> None:
        """The threshold, the form of the answer, and images of a batch."""
        group = parser.add_argument_group("for runs of several labels an image")
        group.add_argument(
            "--threshold", type=float, help="probability from which on a class is named (default its own of the run)"
        )
        group.add_argument(
            "--format", dest="style", choices=("csv", "jsonl"), default="csv", help="of the answer (default csv)"
        )
        group.add_argument("--batch-size", type=int, default=64)

    @classmethod
    def load(cls, run: AnyPath, results: Results, checkpoint: str | None = None) -> "Labeller":
        """Load a run of several labels; see ``Predictor.load``."""
        network = Classifier.load(run, results, checkpoint)
        limits = read_checkpoint(network.source)["state_dict"].get("limits")
        if not isinstance(limits, Tensor) or limits.shape != (len(network.classes),):
            raise InputError(f"the checkpoint {network.source} has no thresholds of its classes: train the run again")
        return cls(network, limits)

    def predict(
        self,
        paths: Sequence[AnyPath],
        output: AnyPath | None = None,
        skip_bad_images: bool = False,
        threshold: float | None = None,
        style: str = "csv",
        batch_size: int = 64,
    ) -> None:
        """Write the classes of files and folders as CSV or JSON lines; a file is written whole or not at all.

        Args:
            paths: files, folders, and tables that list files.
            output: file for the answer; None prints it.
            skip_bad_images: leave out files that cannot be read.
            threshold: probability from which on a class is named; None for that of each class in the run.
            style: "csv", with | between the classes and between their probabilities, or "jsonl".
            batch_size: images that are classified at a time.

        Raises:
            InputError: on an image that cannot be read, an output that cannot be written, or another number than is
                allowed.
        """
        if threshold is not None and not 0 <= threshold <= 1:
            raise InputError(f"--threshold is a probability, from 0 to 1, got {threshold:g}")
        if batch_size < 1:
            raise InputError(f"--batch-size must be at least 1, got {batch_size}")
        limits = self.limits if threshold is None else torch.full_like(self.limits, threshold).logit()
        batches = self.network.of_files(paths, batch_size, skip_bad_images)
        if processes()[0] > 0:
            list(batches)  # the first one has them, and answers
            return
        write_answers(self._answers(batches, limits), _columns, style, output)

    def _answers(self, batches: Iterator[Batch], limits: Tensor) -> Iterator[dict[str, JSON]]:
        """Yield {"path", "labels": [{"class", "probability"}, ...]} for every file, most probable class first."""
        for names, logits, _ in batches:
            probabilities = logits.sigmoid()
            for name, row, said in zip(names, probabilities, logits >= limits, strict=True):
                order = [c for c in row.argsort(descending=True, stable=True).tolist() if said[c]]
                labels = [{"class": self.network.classes[c], "probability": round(float(row[c]), 6)} for c in order]
                yield {"path": name, "labels": labels}

    def export(self, output: AnyPath) -> list[Path]:
        """Write ``model.onnx`` and ``model.safetensors``, and check the ONNX model against torch by onnxruntime.

        The network takes and gives what that of a ``Classifier`` does; the probability of a class is the sigmoid of its
        logit. The metadata say so under "probabilities", and hold the probabilities from which on a class is named as
        "thresholds".

        Args:
            output: folder for the files.

        Raises:
            InputError: if something that is needed is not installed, or the outputs differ.
        """
        network = self.network
        own = {"probabilities": "sigmoid", "thresholds": json.dumps(self.limits.sigmoid().tolist())}
        return write_classifier(network.method, network.shape, None, None, {**network.metadata, **own}, output)


def _columns(rows: Iterable[dict[str, JSON]]) -> Iterator[list[str]]:
    """Answers as the rows of a table, its header first, with | between classes and between their probabilities."""
    yield ["path", "labels", "probabilities"]
    for row in rows:
        values = [[str(label[key]) for label in row["labels"]] for key in ("class", "probability")]
        yield [row["path"], *("|".join(value) for value in values)]
