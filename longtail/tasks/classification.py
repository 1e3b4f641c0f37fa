"""The engine around a classification method: images today, clips by the same code."""

import base64
import io
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torchmetrics.aggregation import CatMetric

from longtail.data.base import ImageData
from longtail.difficulty import ClassDifficulty
from longtail.errors import InputError
from longtail.losses.base import Loss
from longtail.losses.cdb import ClassDifficultyLoss
from longtail.methods.base import Method
from longtail.metrics.long_tail import LongTailMetrics
from longtail.reports.results import weakest_classes
from longtail.tasks.schedules import Schedule, StepSchedule

CONFUSIONS = 50
MISTAKES_EACH, THUMBNAIL = 6, 96


def _sgd(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9, weight_decay=5e-4)


class Classification(pl.LightningModule):
    """Trains and evaluates a ``Method`` with Lightning's Trainer.

    Args:
        method: network and losses.
        class_counts: training images of each class (C,), for the shot groups of the metrics.
        optimizer: called with the parameters.
        schedule: of the learning rate; none keeps it.
        many: classes with more training images are many-shot.
        few: classes with fewer training images are few-shot.
        channels_last: memory format of images and weights; usually the faster one for convolutions.
        compile: compile the method with torch.compile.
        difficulty: called with the number of classes to make the difficulty of the classes. It is updated after each
            validation; the weights of every ``ClassDifficultyLoss`` and the sampling of the data are made from it.
    """

    def __init__(
        self,
        method: Method,
        class_counts: list[int],
        optimizer: OptimizerCallable = _sgd,
        schedule: Schedule | None = None,
        many: int = 100,
        few: int = 20,
        channels_last: bool = True,
        compile: bool = False,
        difficulty: Callable[[int], ClassDifficulty] = ClassDifficulty,
    ) -> None:
        super().__init__()
        if few > many + 1:
            raise InputError(f"few must not be above many, got few {few} and many {many}")
        self.method = method
        self.optimizer = optimizer
        self.schedule = schedule or StepSchedule()
        self.difficulty = difficulty(len(class_counts))
        for module in method.modules():
            if isinstance(module, ClassDifficultyLoss):
                module.difficulty = self.difficulty  # one object for all
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.method.to(memory_format=self.memory_format)
        if compile:
            self.method.compile()
        self.thresholds = {"many": many, "few": few}
        self.metrics = LongTailMetrics(class_counts, many, few)
        self.answers = CatMetric(nan_strategy="ignore")
        self.class_accuracy: list[float] = []  # of the last validation
        self.evaluation: dict[str, Any] = {}  # the last full evaluation, as it stands in the results

    def setup(self, stage: str) -> None:
        """Check that the data and the method fit, and share the difficulty of the classes."""
        self.check(self.data)
        self.data.difficulty = self.difficulty

    def check(self, data: ImageData) -> None:
        """Check that a data set and the method fit.

        Raises:
            InputError: on another number of classes or of views.
        """
        if self.method.num_classes != len(data.classes):
            raise InputError(f"the method has {self.method.num_classes} classes, {data.source} has {len(data.classes)}")
        if len(data.views) != self.method.num_views:
            raise InputError(
                f"{type(self.method).__name__} trains on {self.method.num_views} views of an image, "
                f"--data.views names {len(data.views)}"
            )

    @property
    def data(self) -> ImageData:
        """The data module of the trainer."""
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(data, ImageData)
        return data

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """One optimizer, its rate set before every step; without decay for what a loss wants kept from it."""
        kept = {
            id(parameter)
            for module in self.method.modules()
            if isinstance(module, Loss)
            for name, parameter in module.named_parameters(recurse=False)
            if name in module.no_weight_decay
        }
        parameters = [parameter for parameter in self.method.parameters() if parameter.requires_grad]
        groups: list[dict[str, Any]] = [{"params": [each for each in parameters if id(each) not in kept]}]
        if kept:
            groups.append({"params": [each for each in parameters if id(each) in kept], "weight_decay": 0.0})
        optimizer = self.optimizer(groups)
        per_epoch, steps = self._steps()
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: self.schedule(step, steps, per_epoch))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def _steps(self) -> tuple[int, int]:
        """Optimizer steps of an epoch, and of the whole run.

        Not ``trainer.estimated_stepping_batches``: that sets up the training data before a checkpoint is read, and the
        place inside an epoch would be lost.
        """
        trainer = self.trainer
        batches, limit = len(self.data.batches("train")), trainer.limit_train_batches
        batches = min(batches, limit) if isinstance(limit, int) else int(batches * limit)
        per_epoch = -(-batches // trainer.accumulate_grad_batches)
        return per_epoch, trainer.max_steps if trainer.max_steps > 0 else per_epoch * (trainer.max_epochs or 1)

    def _views(self, batch: dict[str, Any]) -> list[Tensor]:
        return [view.contiguous(memory_format=self.memory_format) for view in batch["views"]]

    def on_train_epoch_start(self) -> None:
        """Tell the losses that change with the epochs which one begins."""
        for module in self.method.modules():
            if isinstance(module, Loss):
                module.set_epoch(self.current_epoch, self.trainer.max_epochs or 1)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """One step of the method; logs the loss and its parts."""
        rows = {"rows": batch["rows"]} if self.method.wants_rows else {}
        out: dict[str, Tensor] = self.method(self._views(batch), batch["targets"], **rows)
        logits = out.pop("logits")
        parts = {f"train/{name}": value.detach() for name, value in out.items()}
        parts["train/top1"] = (logits.argmax(1) == batch["targets"]).float().mean()
        self.log_dict(parts, on_step=False, on_epoch=True, sync_dist=True, batch_size=len(logits))
        return out["loss"]

    def logits(self, batch: dict[str, Any]) -> Tensor:
        """Logits (N, C) of a batch out of training, float32."""
        return self.method.classify(self._views(batch)[0]).float()

    def _evaluate(self, batch: dict[str, Any]) -> None:
        targets = batch["targets"]
        logits = self.logits(batch)
        self.metrics.update(logits, targets)
        if not self.trainer.training and self.trainer.state.fn != "fit":
            confidence, predicted = logits.softmax(1).max(1)
            self.answers.update(torch.stack([batch["rows"], targets, predicted, confidence], 1).double())

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Count the hits of a batch."""
        self._evaluate(batch)

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Count the hits of a batch."""
        self._evaluate(batch)

    def on_validation_epoch_end(self) -> None:
        """Log the figures of the validation split."""
        self._finish("val")

    def on_test_epoch_end(self) -> None:
        """Log the figures of the test split."""
        self._finish("test")

    def _finish(self, split: str) -> None:
        scalars, per_class = self.metrics.compute()
        self.metrics.reset()
        values = {f"{split}/{name}": value.float() for name, value in scalars.items()}
        self.log_dict(values, batch_size=1, rank_zero_only=False)
        if self.trainer.state.fn == "fit":
            self.difficulty.update(per_class["accuracy"])
            self.class_accuracy = [round(value, 4) for value in per_class["accuracy"].tolist()]
            return
        answers = torch.as_tensor(self.answers.compute()).cpu()
        self.answers.reset()
        self.evaluation = {
            "split": split,
            "images": int(per_class["images"].sum()),
            "metrics": {name: float(value) for name, value in scalars.items()},
            "per_class": {name: values.tolist() for name, values in per_class.items()},
            "confusions": confusions(answers),
            "mistakes": self._mistakes(split, answers, per_class["accuracy"].cpu()) if self.global_rank == 0 else [],
        }

    def _mistakes(self, split: str, answers: Tensor, accuracy: Tensor) -> list[dict[str, Any]]:
        """Thumbnails of the most confident mistakes in the classes that need help most."""
        mistakes = []
        wrong = answers[answers[:, 1] != answers[:, 2]]
        measured = [None if value != value else value for value in accuracy.tolist()]
        for c in weakest_classes(measured, self.data.class_counts):
            of_class = wrong[wrong[:, 1] == c]
            for row, true, predicted, confidence in of_class[of_class[:, 3].argsort(descending=True)][
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
                        "image": "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode(),
                    }
                )
        return mistakes


def confusions(answers: Tensor) -> list[dict[str, int]]:
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
