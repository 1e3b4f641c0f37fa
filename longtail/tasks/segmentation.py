"""The engine around a method of segmentation: every pixel gets a class."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor

from longtail.data.base import LongTailData
from longtail.data.pixels.base import SegmentationData
from longtail.difficulty import ClassDifficulty
from longtail.errors import InputError
from longtail.methods.pixels import PixelMethod, labels_at
from longtail.metrics.segmentation import PixelConfusion
from longtail.reports.overlays import data_uri, draw_labels
from longtail.reports.results import weakest_classes
from longtail.tasks.base import CONFUSIONS, Task, order_weights, ordered, sgd
from longtail.tasks.schedules import Schedule

EXAMPLES_EACH, EXAMPLE_SIDE = 2, 512  # images of a weak class in the report, and their longer side in pixels


class Segmentation(Task):
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

    name = "segmentation"
    monitors = (
        "miou",
        "mean_accuracy",
        "frequency_weighted_iou",
        "pixel_accuracy",
        "iou_many",
        "iou_medium",
        "iou_few",
        "worst_class",
    )

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
        mean = sum(class_counts) / len(class_counts)
        thresholds = int(many * mean), int(few * mean)
        super().__init__(method, len(class_counts), optimizer, schedule, *thresholds, difficulty)
        self.difficulty_from = difficulty_from
        self.channels_last = channels_last
        order_weights(method, channels_last)
        if compile:
            self.method.compile()
        self.metrics = PixelConfusion(class_counts, *thresholds)

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
        least = self.method.backbone.least_batch
        if data.batch_size < least:
            raise InputError(f"this network normalises over the images of a step: give --batch-size {least} or more")
        super().check(data)

    def record(self) -> dict[str, Any]:
        """What this task adds to the results of a run."""
        accuracies = {"accuracy": "accuracy of its pixels", "iou": "IoU"}
        return {**super().record(), "accuracy_of": accuracies[self.difficulty_from]}

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """One step of the method; logs the loss and its parts."""
        images = ordered(batch["images"], self.channels_last)
        out: dict[str, Tensor] = self.method(images, batch["targets"])
        self.log_parts(out, len(images))
        return out["loss"]

    def segment(self, image: Tensor, size: tuple[int, int]) -> Tensor:
        """Classes (H, W) of the pixels of an image (3, h, w), enlarged to a size."""
        logits: Tensor = self.method.segment(ordered(image[None], self.channels_last))
        return labels_at(logits, size)[0]

    def _evaluate(self, batch: dict[str, Any]) -> None:
        for image, target in zip(batch["images"], batch["targets"], strict=True):
            self.metrics.update(self.segment(image, target.shape), target)

    def _finish(self, split: str) -> None:
        scalars, per_class = self.metrics.compute()
        with self.metrics.sync_context():  # of all processes; the metric itself gives its own part alone
            confusion = self.metrics.confusion.cpu()
        self.metrics.reset()
        self.log_figures(split, scalars)
        if self.fitting:
            self.measured(per_class[self.difficulty_from].float())
            return
        self.evaluation = {
            "split": split,
            "images": len(self.data.parts[split]),
            "metrics": {name: float(value) for name, value in scalars.items()},
            "per_class": {name: values.tolist() for name, values in per_class.items()},
            "confusions": confusions(confusion),
            "examples": self._examples(split, per_class["iou"].tolist()) if self.global_rank == 0 else [],
        }

    @torch.no_grad()
    def _examples(self, split: str, iou: list[float]) -> list[dict[str, Any]]:
        """Images with most pixels of the classes that need help most, with what is there and what was found."""
        part, images = self.data.parts[split], self.data.split(split).images
        examples = []
        for c in weakest_classes(iou, self.data.pixel_counts):
            for row in part.counts.most(c, EXAMPLES_EACH):
                sample = images[row, 0]
                truth = self.data.annotation(split, row)
                image = self.data.normalise(sample["image"][None])[0].to(self.device)
                predicted = self.segment(image, truth.shape).cpu().numpy()
                picture = self.data.picture(split, row)
                drawn = [
                    data_uri(draw_labels(picture, np.asarray(each), self.data.classes), EXAMPLE_SIDE)
                    for each in (truth, predicted)
                ]
                examples.append(
                    {"class": c, "name": Path(part.images[row]).name, "truth": drawn[0], "predicted": drawn[1]}
                )
        return examples


def confusions(confusion: Tensor) -> list[dict[str, int]]:
    """The most frequent pairs of true and wrongly predicted class, with their pixels, of a table (C, C) of both."""
    wrong = confusion.clone().fill_diagonal_(0).flatten()
    most = wrong.argsort(descending=True, stable=True)[:CONFUSIONS]
    return [
        {"true": pair // len(confusion), "predicted": pair % len(confusion), "images": pixels}
        for pair, pixels in zip(most.tolist(), wrong[most].tolist(), strict=True)
        if pixels
    ]
