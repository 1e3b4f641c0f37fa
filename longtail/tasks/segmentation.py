"""The engine around a method of segmentation: every pixel gets a class."""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor

from longtail.data.base import LongTailData
from longtail.data.pixels.base import SegmentationData
from longtail.data.pixels.dataset import PixelBatch
from longtail.difficulty import ClassDifficulty
from longtail.errors import InputError
from longtail.figures import METRICS
from longtail.inference.segmentation import Segmenter
from longtail.methods.pixels import PixelMethod, labels_at
from longtail.metrics.segmentation import SCALARS
from longtail.plain import JSON
from longtail.reports.grains import PIXELS
from longtail.tasks.base import Task, sgd
from longtail.tasks.limits import group_limits
from longtail.tasks.memory_format import order_weights, ordered
from longtail.tasks.schedules import Schedule
from longtail.tasks.segmentation_evaluator import SegmentationEvaluator


class Segmentation(Task[PixelBatch]):
    """Trains and evaluates a ``PixelMethod`` with Lightning's Trainer.

    Figures are of all pixels with a label, at the size of the annotation: the logits are enlarged to it.

    Args:
        method: network and losses.
        class_counts: training pixels of each class (C,).
        optimizer: called with the parameters.
        schedule: of the learning rate; by default ``StepSchedule()``.
        many: classes with a greater share of the training pixels are many-shot, in units of 1 / C.
        few: classes with a smaller share are few-shot, in the same units.
        difficulty: called with the number of classes to make the difficulty of the classes. It is updated after each
            validation; the weights of every ``ClassDifficultyLoss`` and the sampling of the data are made from it.
        difficulty_from: what the accuracy of a class is: "accuracy", the part of its pixels that were found; or "iou".
        channels_last: memory format of images and weights; usually the faster one for convolutions.
        compile: compile the method with torch.compile.
    """

    predictor = Segmenter
    grain = PIXELS
    method: PixelMethod

    def __init__(
        self,
        method: PixelMethod,
        class_counts: list[int],
        optimizer: OptimizerCallable = sgd,
        schedule: Schedule | None = None,
        many: float = 1.0,
        few: float = 0.2,
        difficulty: Callable[[int], ClassDifficulty] = ClassDifficulty,
        difficulty_from: Literal["accuracy", "iou"] = "accuracy",
        channels_last: bool = True,
        compile: bool = False,
    ) -> None:
        limits = group_limits(type(self), class_counts, many, few)
        thresholds = limits["many"], limits["few"]
        super().__init__(method, len(class_counts), optimizer, schedule, *thresholds, difficulty)
        self.difficulty_from = difficulty_from
        self.channels_last = channels_last
        order_weights(method, channels_last)
        if compile:
            self.method.compile()
        self.evaluator = SegmentationEvaluator(class_counts, self.thresholds)
        self.monitors = {name: METRICS[name] for name in SCALARS}

    @classmethod
    def group_unit(cls, group_counts: Sequence[int]) -> float:
        """The mean number of pixels of a class: limits are shares, in units of 1 / C."""
        return sum(group_counts) / len(group_counts)

    def check(self, data: LongTailData) -> None:
        """Check that a data set and the method fit.

        Raises:
            InputError: on data of another kind, another number of classes, or too few images in a step.
        """
        if not isinstance(data, SegmentationData):
            raise InputError(
                f"{type(data).__name__} has no annotated pixels: give data for segmentation, such as --data FOLDER "
                "with images/ and annotations/"
            )
        if self.method.num_classes != len(data.classes):
            raise InputError(f"the method has {self.method.num_classes} classes, {data.source} has {len(data.classes)}")
        super().check(data)

    @property
    def least_batch(self) -> int:
        """That of the network."""
        return self.method.backbone.least_batch

    def record(self) -> dict[str, JSON]:
        """What this task adds to the results of a run."""
        accuracies = {"accuracy": "accuracy of its pixels", "iou": "IoU"}
        return {**super().record(), "accuracy_of": accuracies[self.difficulty_from]}

    @property
    def data(self) -> SegmentationData:
        """The data module of the trainer."""
        data = super().data
        assert isinstance(data, SegmentationData)
        return data

    def training_step(self, batch: PixelBatch, batch_idx: int) -> Tensor:
        """One step of the method; logs the loss and its parts."""
        images = batch["images"]
        assert isinstance(images, Tensor)  # in training they are of one size
        images = ordered(images, self.channels_last)
        out: dict[str, Tensor] = self.method(images, batch["targets"])
        self.log_parts(out, len(images))
        return out["loss"]

    def segment(self, image: Tensor, size: tuple[int, int]) -> Tensor:
        """Classes (H, W) of the pixels of an image (3, h, w), enlarged to a size."""
        return labels_at(self.method.segment(ordered(image[None], self.channels_last)), size)[0]

    def evaluate(self, batch: PixelBatch) -> None:
        for image, target in zip(batch["images"], batch["targets"], strict=True):
            self.evaluator.update(self.segment(image, target.shape), target)

    def finish(self, split: str) -> None:
        self.evaluation = self.evaluator.compute(self.data, split, self.segment, with_examples=not self.fitting)
        metrics, per_class = self.evaluation["metrics"], self.evaluation["per_class"]
        self.log_figures(split, metrics)
        if self.fitting:
            self.measured(torch.tensor(per_class[self.difficulty_from]))
