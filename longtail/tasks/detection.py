"""The engine around a detector: boxes and instance masks."""

from collections.abc import Callable
from typing import Literal

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor

from longtail.data.base import LongTailData
from longtail.data.boxes.base import DetectionData
from longtail.data.boxes.dataset import BoxBatch
from longtail.difficulty import ClassDifficulty
from longtail.errors import InputError
from longtail.figures import METRICS
from longtail.files.coco.results import codec
from longtail.inference.detection import Detector
from longtail.methods.rcnn import RCNN
from longtail.plain import JSON, Input
from longtail.reports.grains import BOXES, MASKS
from longtail.tasks.base import Task, sgd
from longtail.tasks.detection_evaluator import DetectionEvaluator
from longtail.tasks.schedules import Schedule


class Detection(Task[BoxBatch]):
    """Trains and evaluates a detector with Lightning's Trainer.

    Average precision is COCO's, or LVIS' where the validation annotations are in its format.

    Args:
        method: network and losses.
        class_counts: training instances of each class (C,).
        optimizer: called with the parameters.
        schedule: of the learning rate; by default ``StepSchedule()``.
        many: classes in more training images are many-shot, in LVIS' words frequent.
        few: classes in fewer training images are few-shot, in LVIS' words rare.
        difficulty: called with the number of classes to make the difficulty of the classes. It is updated after each
            validation; the weights of every ``ClassDifficultyLoss`` and the sampling of the data are made from it.
        difficulty_from: what the accuracy of a class is: "accuracy", how many proposals on its objects get it as the
            class of highest score; or "ap50", its AP of boxes at IoU 0.5.
    """

    predictor = Detector
    method: RCNN

    def __init__(
        self,
        method: RCNN,
        class_counts: list[int],
        optimizer: OptimizerCallable = sgd,
        schedule: Schedule | None = None,
        many: int = 100,
        few: int = 11,
        difficulty: Callable[[int], ClassDifficulty] = ClassDifficulty,
        difficulty_from: Literal["accuracy", "ap50"] = "accuracy",
    ) -> None:
        super().__init__(method, len(class_counts), optimizer, schedule, many, few, difficulty)
        self.difficulty_from = difficulty_from
        self.grain = MASKS if method.masks else BOXES
        self.evaluator = DetectionEvaluator(len(class_counts), method.masks, self.thresholds)
        self.monitors = {name: METRICS[name] for name in self.evaluator.metrics}

    def check(self, data: LongTailData) -> None:
        """Check that a data set and the method fit.

        Raises:
            InputError: on data of another kind, another number of classes, or masks that are missing.
        """
        if not isinstance(data, DetectionData):
            raise InputError(f"{type(data).__name__} has no boxes: give data for detection, such as --data coco")
        if self.method.num_classes != len(data.classes):
            raise InputError(f"the method has {self.method.num_classes} classes, {data.source} has {len(data.classes)}")
        if self.method.masks and not data.masks:
            raise InputError("the network segments instances: give --data.masks true, or a network without masks")
        codec()  # needed after the first epoch
        super().check(data)

    @property
    def time_options(self) -> list[str]:
        """The size of evaluated images too."""
        return [*super().time_options, "for the evaluations a smaller --model.method.min_size"]

    def record(self) -> dict[str, JSON]:
        """What this task adds to the results of a run."""
        accuracies = {
            "accuracy": "accuracy of the box classifier on matched proposals",
            "ap50": "AP50 of the boxes",
        }
        return {
            **super().record(),
            "accuracy_of": accuracies[self.difficulty_from],
        }

    @property
    def input(self) -> Input:
        """Mean and deviation of the channels, as the network itself normalises."""
        resize = self.method.network.transform
        return {"mean": list(resize.image_mean), "std": list(resize.image_std)}

    @property
    def data(self) -> DetectionData:
        """The data module of the trainer."""
        data = super().data
        assert isinstance(data, DetectionData)
        return data

    def _images(self, batch: BoxBatch) -> list[Tensor]:
        return [image.float() / 255 for image in batch["images"]]

    def training_step(self, batch: BoxBatch, batch_idx: int) -> Tensor:
        """One step of the method; logs the loss and its parts."""
        out: dict[str, Tensor] = self.method(self._images(batch), batch["targets"])
        self.log_parts(out, len(batch["images"]))
        return out["loss"]

    def evaluate(self, batch: BoxBatch) -> None:
        ids = self.data.image_ids("test" if self.trainer.testing else "val")[batch["rows"].cpu().numpy()]
        detections, pairs = self.method.detect(self._images(batch), batch["targets"])
        assert pairs is not None  # as there are targets
        self.evaluator.update(ids.tolist(), self.data.category_ids, detections, pairs)

    def finish(self, split: str) -> None:
        self.evaluation = self.evaluator.compute(self.data, split, self.device, with_examples=not self.fitting)
        metrics, per_class = self.evaluation["metrics"], self.evaluation["per_class"]
        self.log_figures(split, metrics)
        if self.fitting:
            figures = {"accuracy": per_class["accuracy"], "ap50": per_class["box_ap50"]}[self.difficulty_from]
            self.measured(torch.tensor(figures))
