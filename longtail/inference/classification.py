"""A run of classification, used: load it, and classify image files."""

import argparse
import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from longtail.augment.normalise import Normalise
from longtail.augment.preprocessing import Resize, input_parts
from longtail.checks import check_outputs
from longtail.distributed import processes, share
from longtail.errors import InputError
from longtail.export.classification import write_classifier
from longtail.export.timm_folder import write_timm_folder
from longtail.files.images.crops import prepare
from longtail.files.images.folder import IMAGES, VIDEOS, Kind
from longtail.files.images.reading import decode
from longtail.files.tables.labelled import Listed
from longtail.files.tables.table import is_table
from longtail.files.video.clips import read_clips
from longtail.inference.answers import Batch, answers, columns, write_answers
from longtail.inference.base import Predictor
from longtail.inference.inputs import NORMALISATION, network_input
from longtail.inference.posterior import Posterior, add_sets
from longtail.inference.priors import ESTIMATE, HELP, add_adjustments
from longtail.inference.rejection import Rejection, add_rejection, with_features
from longtail.inference.runs import load_method, readable, samples, tell_escaped
from longtail.messages import retrievable
from longtail.methods.base import Method
from longtail.plain import AnyPath
from longtail.reports.results import Results

logger = logging.getLogger(__name__)


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
        posterior: from logits to probabilities.
        bit_depth: how many bits of images of 16 count, where they do not say it.
        frame_pattern: what the names of frames in a folder are like, where that was given.
    """

    task = "classification"
    tradeoff = calibration = second_stages = True

    method: Method
    classes: list[str]
    class_counts: list[int]
    size: int
    normalise: Normalise
    resize: Resize
    source: Path
    posterior: Posterior
    frames: int | None = None
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
        add_adjustments(group, f"{HELP}, or {ESTIMATE}, from the images themselves (by default what training implies)")
        add_sets(group)
        add_rejection(group)
        group.add_argument("--batch-size", type=int, default=64)

    @classmethod
    def export_options(cls, parser: argparse.ArgumentParser) -> None:
        """The strength, and the layout of what is written."""
        group = parser.add_argument_group("for runs of classification")
        add_adjustments(group, f"{HELP} (by default what training implies)")
        group.add_argument(
            "--format",
            dest="layout",
            choices=("onnx", "timm"),
            default="onnx",
            help="onnx writes ONNX and safetensors to export/ (default), timm writes timm/ for timm.create_model",
        )

    @classmethod
    def load(cls, run: AnyPath, results: Results, checkpoint: str | None = None) -> "Classifier":
        """Load a run of classification, of images or of clips; see ``Predictor.load``."""
        method, path = load_method(run, results, Method, checkpoint)  # type: ignore[type-abstract] # asked by isinstance
        return cls.around(method, run, results, path, Posterior.of_run(run, results, method, path.stem))

    @classmethod
    def around(
        cls, method: Method, run: AnyPath, results: Results, checkpoint: Path, posterior: Posterior
    ) -> "Classifier":
        """That of a run whose method is there, with the weights of a checkpoint."""
        inputs = network_input(run, results, "size", *NORMALISATION, "interpolation", "crop")
        parts, frames, counts = input_parts(inputs), inputs.get("frames"), results["train_counts"]
        files = (inputs.get("bit_depth"), inputs.get("frame_pattern"))
        return cls(method, results["classes"], counts, inputs["size"], *parts, checkpoint, posterior, frames, *files)

    @property
    def shape(self) -> tuple[int, ...]:
        """That of an image, (3, size, size), or of a clip, (3, T, size, size)."""
        return (3, *(() if self.frames is None else (self.frames,)), self.size, self.size)

    @property
    def kind(self) -> Kind:
        """What it classifies: images or videos."""
        return IMAGES if self.frames is None else VIDEOS

    def files(self, paths: Sequence[AnyPath]) -> list[Listed]:
        """The image files, or the videos, in some files, folders and lists; those of a list are called as there."""
        return [
            sample if is_table(place) and place.is_file() else Listed(sample.path, sample.path)
            for place in map(Path, paths)
            for sample in samples([place], self.kind)
        ]

    def read(self, file: str) -> Tensor:
        """An image or a video as the method was trained on, uint8 of `shape`."""
        if self.frames is None:
            return prepare(decode(file, bit_depth=self.bit_depth), self.size, self.resize)
        return read_clips(file, self.frames, self.size, 1, None, self.resize, self.bit_depth, 1, self.frame_pattern)[0]

    def logits(self, images: Tensor) -> Tensor:
        """Logits (N, C) of images or clips (N, ...), uint8 of `shape`, as the network gives them.

        Raises:
            InputError: if it gives NaN or infinity.
        """
        return self.outputs(images)[0]

    def outputs(self, images: Tensor, features: bool = False) -> tuple[Tensor, Tensor | None]:
        """The same, and where they are wanted the features (N, D) that they are made of.

        Raises:
            InputError: if the network gives NaN or infinity, or has no features before a classifier.
        """
        device = next(self.method.parameters()).device
        with torch.inference_mode():
            normalised = self.normalise(images.to(device))
            rows = with_features(self.method).features(normalised) if features else None
            logits = self.method.classify(normalised) if rows is None else with_features(self.method).classifier(rows)
            logits = logits.float().cpu()
            check_outputs(logits)
            return logits, None if rows is None else rows.float().cpu()

    def probabilities(self, images: Tensor) -> Tensor:
        """Class probabilities (N, C) of images or clips (N, ...), uint8 of `shape`.

        Raises:
            InputError: if the network gives NaN or infinity.
        """
        return self.posterior(self.logits(images))

    def predict(
        self,
        paths: Sequence[AnyPath],
        output: AnyPath | None = None,
        skip_bad_images: bool = False,
        style: str = "csv",
        top_k: int | None = None,
        strength: float = 0.0,
        prior: str | None = None,
        coverage: float | None = None,
        sets: str = "marginal",
        reject: str | None = None,
        reject_rate: float | None = None,
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
            prior: class frequencies of the images, see ``prior_of``; None for those that training implies.
            coverage: with a set of classes for each image that holds the true one as often.
            sets: kind of these sets, see ``longtail.posthoc.fit_sets``.
            reject: score by which images are rejected that fit no class, "energy" or "distance"; None rejects none,
                unless there is a rate: then it is by energy.
            reject_rate: share of the images of the classes that may be rejected, 0.05 where left out.
            batch_size: images that are classified at a time.

        Raises:
            InputError: on an image that cannot be read, an output that cannot be written, or another number than is
                allowed.
        """
        number = 5 if top_k is None else top_k
        if number < 1 or batch_size < 1:
            raise InputError(f"--top-k and --batch-size must be at least 1, got {number} and {batch_size}")
        ranks = min(number, len(self.classes))
        if top_k is not None and ranks < top_k:
            logger.info(f"--top-k {top_k} names all classes: there are {ranks}")
        posterior = self.posterior.adjusted(strength).under(prior)
        promise = None if coverage is None else posterior.sets(coverage, sets)
        rejection = Rejection.of_run(reject, reject_rate, posterior.calibration, self.method, self.source)
        batches: Iterable[Batch] = self.of_files(paths, batch_size, skip_bad_images, rejection)
        if processes()[0] > 0:
            list(batches)  # the first one has them, and answers
            return
        if prior == ESTIMATE:
            batches = list(batches)
            posterior = posterior.estimated([logits for _, logits, _ in batches])
            promise = None if coverage is None else posterior.sets(coverage, sets)
        rows = answers(posterior, batches, ranks, promise, rejection)
        write_answers(rows, partial(columns, top_k=ranks), style, output)

    def of_files(
        self, paths: Sequence[AnyPath], batch_size: int, skip_bad_images: bool, rejection: Rejection | None = None
    ) -> Iterator[Batch]:
        """Yield the names, logits and scores of what can be read of some files, folders and lists; the processes of a
        group share the batches, and the first one has them all."""
        files = self.files(paths)
        tell_escaped([file.name for file in files])

        def outputs(start: int) -> Batch | None:
            part = files[start : start + batch_size]
            read = list(readable([sample.path for sample in part], self.read, skip_bad_images, self.kind))
            if not read:
                return None
            names = [retrievable(part[index].name) for index, _ in read]
            images = torch.stack([image for _, image in read])
            logits, features = self.outputs(images, rejection is not None and rejection.means is not None)
            return names, logits, None if rejection is None else rejection(logits, features)

        shared = share(range(0, len(files), batch_size), outputs, [sample.path for sample in files])
        return (batch for batch in shared if batch is not None)

    @classmethod
    def export_folder(cls, run: Path, layout: str = "onnx", **options: Any) -> Path:  # the others of ``export``
        """That of its layout: export/, or timm/, in the folder of the run."""
        return run / "timm" if layout == "timm" else super().export_folder(run, **options)

    def export(
        self, output: AnyPath, strength: float = 0.0, prior: str | None = None, layout: str = "onnx"
    ) -> list[Path]:
        """Write ``model.onnx`` and ``model.safetensors``, and check the ONNX model against torch by onnxruntime.

        The network takes "images", float32 (N, 3, size, size), normalised, N free, and gives "logits" (N, C). Size,
        mean, deviation, class names and the strength S of the logit adjustment are metadata of both files. The logits
        of the ONNX model are scaled and adjusted. The tensors are those of the method, and by what its logits are to be
        multiplied (C,) and what is to be added to them then (C,) are their metadata "scale" and "adjustment".

        Args:
            output: folder for the files.
            strength: S; 0 leaves the logits as they are.
            prior: class frequencies where the model is used, see ``prior_of``; None for those that training implies.
            layout: "onnx", or "timm" for a folder that timm loads instead; see ``write_timm_folder``.

        Raises:
            InputError: if something that is needed is not installed, or the outputs differ.
        """
        if prior == ESTIMATE:
            raise InputError("--prior estimate is for predict, which has the images: give export a file of frequencies")
        posterior = self.posterior.adjusted(strength).under(prior)
        changes = (posterior.scale, posterior.adjustment)
        if layout == "timm":
            about = (self.classes, self.size, self.normalise, self.resize)
            return write_timm_folder(self.method, *about, *changes, output)
        return write_classifier(self.method, self.shape, *changes, {**self.metadata, "strength": str(strength)}, output)

    @property
    def metadata(self) -> dict[str, str]:
        """What the files of an export say of the network."""
        bits = {} if self.bit_depth is None else {"bit_depth": str(self.bit_depth)}
        return {
            "classes": json.dumps(self.classes),
            "size": str(self.size),
            "mean": json.dumps(list(self.normalise.mean)),
            "std": json.dumps(list(self.normalise.std)),
            "interpolation": self.resize.interpolation,
            "crop": str(self.resize.crop),
            "crop_mode": self.resize.crop_mode,
            "checkpoint": self.source.name,
            **bits,
        }
