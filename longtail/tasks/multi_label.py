"""The engine around a method for images of several labels or none: every class is answered for itself."""

from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor

from longtail.data.base import LongTailData
from longtail.data.images.base import ImageBatch, ImageData
from longtail.difficulty import ClassDifficulty
from longtail.errors import InputError
from longtail.figures import METRICS
from longtail.inference.multi_label import Labeller
from longtail.losses.sigmoid import SigmoidLoss
from longtail.methods.base import Method
from longtail.metrics.multi_label import SCALARS, LabelScores, best_thresholds, label_figures, label_scalars
from longtail.plain import JSON
from longtail.reports.grains import LABELS
from longtail.tasks.base import sgd
from longtail.tasks.images import ImageTask
from longtail.tasks.layer_rates import EQUAL, Rates
from longtail.tasks.schedules import Schedule


class MultiLabel(ImageTask):
    """Trains and evaluates a ``Method`` whose loss is of several labels, such as ``longtail.losses.AsymmetricLoss``.

    From which probability on an image is said to have a class is chosen on validation in training, class by class, for
    the largest F1. These thresholds are part of the checkpoint, and used on the test split and by ``longtail predict``.

    Args:
        method: network and losses.
        class_counts: training images of each class (C,), for the groups of the metrics.
        optimizer: called with the parameters.
        schedule: of the learning rate; by default ``StepSchedule()``.
        many: classes with more training images are many-shot.
        few: classes with fewer training images are few-shot.
        channels_last: memory format of images and weights; usually the faster one for convolutions.
        compile: compile the method with torch.compile.
        difficulty: called with the number of classes to make the difficulty of the classes, 1 less their average
            precision. It is updated after each validation; the weights of every ``BinaryDifficultyLoss`` and the
            sampling of the data are made from it.
        rates: multiples of the learning rate for the parts of the network.

    Attributes:
        limits: thresholds of the logits (C,); 0, a probability of one half, until there was a validation, and for a
            class without a validation image.
    """

    predictor = Labeller
    grain = LABELS
    limits: Tensor

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
        rates: Rates = EQUAL,
    ) -> None:
        shared = (optimizer, schedule, many, few, channels_last, compile, difficulty, rates)
        super().__init__(method, len(class_counts), *shared)
        self.class_counts = class_counts
        self.monitors = {name: METRICS[name] for name in SCALARS}
        self.scores = LabelScores(len(class_counts))
        self.register_buffer("limits", torch.zeros(len(class_counts)))

    def check(self, data: LongTailData) -> None:
        """Check that a data set and the method fit, and tell the losses how many training images there are.

        Raises:
            InputError: as in the base, or if the images have one label each, or a loss is one for those.
        """
        if isinstance(data, ImageData) and not data.several_labels:
            raise InputError(
                f"{data.source} has one label an image: give a recipe for those, such as --recipe ce, or labels by "
                "--data TABLE with a column of labels separated by |"
            )
        if wrong := next((loss for loss in self.losses if not loss.several_labels), None):
            raise InputError(
                f"{type(wrong).__name__} is for one label an image: give one of several, such as "
                "--model.method.loss longtail.losses.AsymmetricLoss"
            )
        super().check(data)
        for loss in self.losses:
            if isinstance(loss, SigmoidLoss) and data.trained is None:
                loss.set_images(data.size("train"))

    def record(self) -> dict[str, JSON]:
        """What this task adds to the results of a run."""
        return {**super().record(), "accuracy_of": "average precision"}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:  # Lightning's signature
        """The thresholds are saved as they are, also where weights are averaged over the steps, and buffers too."""
        checkpoint["state_dict"]["limits"] = self.limits.clone()

    def training_step(self, batch: ImageBatch, batch_idx: int) -> Tensor:
        """One step of the method; logs the loss and its parts."""
        out = self.step(batch)
        self.log_parts(out, len(out.pop("logits")))
        return out["loss"]

    def evaluate(self, batch: ImageBatch) -> None:
        self.scores.update(self.logits(batch), batch["targets"])

    def finish(self, split: str) -> None:
        logits, labels = self.scores.compute()
        logits, labels = logits.cpu(), labels.cpu()
        self.scores.reset()
        if self.fitting:
            self.limits.copy_(best_thresholds(logits, labels).nan_to_num(nan=0.0))
        per_class = label_figures(logits, labels, self.limits.cpu())
        scalars = label_scalars(per_class, self.class_counts, **self.thresholds)
        self.log_figures(split, scalars)
        if self.fitting:
            self.measured(per_class["ap"])
            return
        per_class["threshold"] = self.limits.sigmoid()
        self.evaluation = {
            "split": split,
            "images": len(labels),
            "metrics": {name: float(value) for name, value in scalars.items()},
            "per_class": {name: values.tolist() for name, values in per_class.items()},
        }
