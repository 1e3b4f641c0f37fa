"""The engine around a classification method, of images or of clips."""

import base64
import io
from collections.abc import Callable, Sequence
from pathlib import Path

import lightning.pytorch as pl
import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor
from torchmetrics.aggregation import CatMetric

from longtail.augment.mixing import Mixing
from longtail.augment.resizing import ProgressiveResizing
from longtail.data.base import LongTailData
from longtail.data.images.base import ImageBatch, ImageData
from longtail.data.images.features import FeatureData
from longtail.difficulty import ClassDifficulty
from longtail.errors import InputError
from longtail.figures import METRICS
from longtail.inference.classification import Classifier
from longtail.losses.base import Loss
from longtail.methods.base import Method
from longtail.methods.probe import Probe
from longtail.methods.start import HeadStart, first_rows
from longtail.metrics.class_metric import ClassMetric, by_name, measure
from longtail.metrics.long_tail import SCALARS, LongTailMetrics
from longtail.models.classifiers import CosineClassifier, TauClassifier
from longtail.reports.grains import IMAGES, Grain
from longtail.reports.results import Confusion, Mistake, weakest_classes
from longtail.tasks.base import CONFUSIONS, sgd
from longtail.tasks.features import Extraction
from longtail.tasks.images import ImageTask
from longtail.tasks.layer_rates import EQUAL, Rates
from longtail.tasks.schedules import Schedule

MISTAKES_EACH, THUMBNAIL = 6, 96


class Classification(ImageTask):
    """Trains and evaluates a ``Method`` with Lightning's Trainer.

    Args:
        method: network and losses.
        class_counts: training images of each class (C,), for the shot groups of the metrics.
        optimizer: called with the parameters.
        schedule: of the learning rate; by default ``StepSchedule()``.
        many: classes with more training images are many-shot.
        few: classes with fewer training images are few-shot.
        channels_last: memory format of images and weights; usually the faster one for convolutions.
        compile: compile the method with torch.compile.
        difficulty: called with the number of classes to make the difficulty of the classes. It is updated after each
            validation; the weights of every ``ClassDifficultyLoss`` and the sampling of the data are made from it.
        metrics: of your own, made of the figures of the classes.
        rates: multiples of the learning rate for the parts of the network.
        start: of the weights of a cosine classifier; random where left out.
        mixing: mixes each training image with another, after the views, which gives soft targets.
        resizing: makes the training images smaller in early epochs; whole where left out.
    """

    predictor = Classifier
    grain: Grain = IMAGES

    def __init__(
        self,
        method: Method,
        class_counts: list[int],
        optimizer: OptimizerCallable = sgd,
        schedule: Schedule | None = None,
        many: int = 100,
        few: int = 20,
        channels_last: bool = True,
        compile: bool = False,
        difficulty: Callable[[int], ClassDifficulty] = ClassDifficulty,
        metrics: Sequence[ClassMetric] | None = None,
        rates: Rates = EQUAL,
        start: HeadStart | None = None,
        mixing: Mixing | None = None,
        resizing: ProgressiveResizing | None = None,
    ) -> None:
        shared = (optimizer, schedule, many, few, channels_last, compile, difficulty, rates)
        super().__init__(method, len(class_counts), *shared)
        self.start, self.mixing, self.resizing = start, mixing, resizing
        self.metrics = LongTailMetrics(class_counts, many, few)
        self.own_metrics = by_name(metrics or (), SCALARS)
        names = sorted(SCALARS, key=lambda name: name != "balanced_accuracy")  # which comes first
        own_words = {name: metric.words for name, metric in self.own_metrics.items()}
        self.monitors = {**{name: METRICS[name] for name in names}, **own_words}
        self.answers = CatMetric(nan_strategy="disable")

    def check(self, data: LongTailData) -> None:
        """Check that a data set and the method fit.

        Raises:
            InputError: as in the base, or if the images may have several labels, the loss is one for those, images are
                mixed and the method takes no soft targets, or they are resized and the network wants one size.
        """
        if isinstance(data, ImageData) and data.several_labels:
            raise InputError(
                f"{data.source} has several labels an image, and this recipe wants one: give --recipe multilabel/bce"
            )
        if wrong := next((loss for loss in self.losses if loss.several_labels), None):
            raise InputError(f"{type(wrong).__name__} is for several labels an image: give --recipe multilabel/bce")
        if self.mixing is not None and not self.method.takes_soft_targets:
            loss = getattr(self.method, "loss", None)
            named = f" with {type(loss).__name__}" if isinstance(loss, Loss) else ""
            raise InputError(
                f"mixed images have soft targets, and {type(self.method).__name__}{named} takes none: leave out "
                "--model.mixing, or give longtail.methods.Plain with a loss of softmax"
            )
        if isinstance(data, ImageData) and data.names_file is not None and not (self.start and self.start.reads_names):
            raise InputError(
                "--data.class_names is read by a start from text alone: give --model.start "
                "longtail.methods.TextFeatures, or leave it out"
            )
        super().check(data)
        if self.resizing is not None:
            self._check_sizes(data, self.resizing)
        self.grain = data.grain

    def _check_sizes(self, data: LongTailData, resizing: ProgressiveResizing) -> None:
        """Check that the network takes the sides that images have in a run; raises InputError."""
        way_out = "leave out --model.resizing"
        if isinstance(self.method, Probe):
            raise InputError(f"the features of images have no size that grows: {way_out}")
        for side in resizing.sides(data.input["size"]):
            try:
                self.check_side(data.input, side)
            except InputError as error:
                raise InputError(f"--model.resizing has images of {side} pixels: {error}, or {way_out}") from error

    def by_validation(self, data: LongTailData) -> str | None:
        """As in the base; tau is chosen so too."""
        chosen = any(isinstance(module, TauClassifier) for module in self.method.modules())
        return "tau is chosen" if chosen else super().by_validation(data)

    def setup(self, stage: str) -> None:
        """Check that the data and the method fit, and say how training images are mixed and resized."""
        super().setup(stage)
        self.data.mixing, self.data.resizing = self.mixing, self.resizing

    def prepare(self, data: LongTailData, trainer: pl.Trainer, features: Path, resume: bool) -> LongTailData:
        """Compute the features of a frozen network, and start the weights of the classifier."""
        images = data
        data = super().prepare(data, trainer, features, resume)
        if self.start is not None and not resume:
            assert isinstance(images, ImageData)
            assert isinstance(data, ImageData)
            start_classifier(self.method, self.start, images, data, self.extraction(trainer, features))
        return data

    def training_step(self, batch: ImageBatch, batch_idx: int) -> Tensor | None:
        """One step of the method; logs the loss, its parts and the share of right answers.

        Under soft targets the answer to an image is right by the share that its label has in them."""
        out = self.step(batch)
        logits, targets = out.pop("logits"), batch["targets"]
        answers = logits.argmax(1)
        soft = targets.is_floating_point()
        right = targets.gather(1, answers[:, None]) if soft else (answers == targets).float()
        self.log_parts({**out, "top1": right.mean()}, len(logits))
        return out["loss"] if out["loss"].requires_grad else None  # where nothing is trained

    def evaluate(self, batch: ImageBatch) -> None:
        targets = batch["targets"]
        logits = self.logits(batch)
        self.metrics.update(logits, targets)
        if not self.fitting:
            confidence, predicted = logits.softmax(1).max(1)
            self.answers.update(torch.stack([batch["rows"], targets, predicted, confidence], 1).double())

    def finish(self, split: str) -> None:
        scalars, per_class = self.metrics.compute()
        image_counts = torch.as_tensor(self.data.image_counts, device=per_class["images"].device)
        scalars |= measure(self.own_metrics, {"image_counts": image_counts, **per_class})
        self.metrics.reset()
        self.log_figures(split, scalars)
        if self.fitting:
            self.measured(per_class["accuracy"])
            return
        answers = torch.as_tensor(self.answers.compute()).cpu()
        answers = answers[answers[:, 0].argsort()]  # of whichever process
        self.answers.reset()
        self.evaluation = {
            "split": split,
            "images": int(per_class["images"].sum()),
            "metrics": {name: float(value) for name, value in scalars.items()},
            "per_class": {name: values.tolist() for name, values in per_class.items()},
            "confusions": confusions(answers),
            "mistakes": self._mistakes(split, answers, per_class["accuracy"].cpu()) if self.global_rank == 0 else [],
        }

    def _mistakes(self, split: str, answers: Tensor, accuracy: Tensor) -> list[Mistake]:
        """Thumbnails of the most confident mistakes in the classes that need help most."""
        mistakes: list[Mistake] = []
        wrong = answers[answers[:, 1] != answers[:, 2]]
        for c in weakest_classes(accuracy.tolist(), self.data.image_counts):
            of_class = wrong[wrong[:, 1] == c]
            for row, true, predicted, confidence in of_class[of_class[:, 3].argsort(descending=True, stable=True)][
                :MISTAKES_EACH
            ].tolist():
                picture = self.data.picture(split, int(row))
                picture.thumbnail((THUMBNAIL, THUMBNAIL))
                stream = io.BytesIO()
                picture.save(stream, "PNG")
                mistakes.append(
                    {
                        "true": int(true),
                        "predicted": int(predicted),
                        "confidence": confidence,
                        "name": self.data.file_name(split, int(row)),
                        "image": "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode(),
                    }
                )
        return mistakes


def start_classifier(
    method: Method, start: HeadStart, images: ImageData, data: ImageData, extraction: Extraction
) -> None:
    """Start the weights of a cosine classifier.

    Args:
        method: that has it.
        start: of its weights.
        images: the set.
        data: the same, or its features.
        extraction: makes features of images.

    Raises:
        InputError: if the classifier is no cosine classifier.
    """
    classifier = getattr(method, "classifier", None)
    if not isinstance(classifier, CosineClassifier):
        raise InputError(
            "a start of the classifier wants longtail.models.CosineClassifier: give it as the classifier, or "
            "--model.start null"
        )
    split = images.split("train")
    assert split is not None
    targets = torch.from_numpy(split.targets)
    rows = first_rows(targets, start.images)
    if len(rows) == 0:  # a start that wants no images
        features = torch.zeros(0, classifier.weight.shape[1])
    else:
        features = (
            data.features["train"][rows, 0] if isinstance(data, FeatureData) else extraction.of_rows(images, rows)
        )
    with torch.no_grad():
        classifier.weight.copy_(start(features, targets[rows], images.class_texts))


def confusions(answers: Tensor) -> list[Confusion]:
    """The most frequent pairs of true and wrongly predicted class.

    Args:
        answers: (M, 4), columns row, true class, predicted class, confidence.
    """
    wrong = answers[answers[:, 1] != answers[:, 2]][:, 1:3].long()
    pairs, images = torch.unique(wrong, dim=0, return_counts=True)
    first = images.argsort(descending=True, stable=True)[:CONFUSIONS]
    return [
        {"true": true, "predicted": predicted, "images": n}
        for (true, predicted), n in zip(pairs[first].tolist(), images[first].tolist(), strict=True)
    ]
