"""What the tasks share: optimizer and schedule, the difficulty of the classes, and how an epoch's figures get out."""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar, runtime_checkable

import lightning.pytorch as pl
import torch
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from longtail.data.base import LongTailData
from longtail.data.summary import Line
from longtail.difficulty import ClassDifficulty
from longtail.errors import InputError
from longtail.figures import METRICS, Metric
from longtail.inference.base import Predictor
from longtail.losses.base import Loss
from longtail.losses.cdb import ClassDifficultyLoss
from longtail.messages import plural
from longtail.plain import JSON, Input
from longtail.reports.grains import Grain
from longtail.reports.results import Measured
from longtail.reports.wording import group_summary
from longtail.tasks.layer_rates import EQUAL, Rates, set_rates
from longtail.tasks.limits import checked_limits
from longtail.tasks.means import Means
from longtail.tasks.schedules import Schedule, StepSchedule

CONFUSIONS = 50  # pairs of classes in the results


def sgd(parameters: Any) -> torch.optim.Optimizer:  # tensors, or groups of them
    """The optimizer of most papers of the field."""
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9, weight_decay=5e-4)


Batch = TypeVar("Batch")


@runtime_checkable
class FollowsEpochs(Protocol):
    """A part of a method that changes with the epochs, such as a loss or a classifier."""

    def set_epoch(self, epoch: int, epochs: int) -> None:
        """Say that an epoch begins, counted from 0, of how many."""


class Task(pl.LightningModule, ABC, Generic[Batch]):
    """Base of the tasks, generic in what a batch of its data is. A task narrows ``method`` to what it takes.

    Args:
        method: network and losses.
        num_classes: C.
        optimizer: called with the parameters.
        schedule: of the learning rate; by default ``StepSchedule()``.
        many: classes with more training images are many-shot.
        few: classes with fewer training images are few-shot.
        difficulty: called with the number of classes to make the difficulty of the classes. It is updated after each
            validation; the weights of every ``ClassDifficultyLoss`` and the sampling of the data are made from it.
        rates: multiples of the learning rate for the parts of the network.

    Attributes:
        predictor: what a trained run is when it is used; it also names the task in the results.
        grain: how the classes are counted and measured, for the reports.
        monitors: metrics of the validation split and what they are called, first the one that chooses the best epoch
            by default.
        parts: the loss of the last step and its parts, scalars by name.
        class_accuracy: what the difficulty was last updated with.
        evaluation: the last evaluation, as it stands in the results.
    """

    predictor: ClassVar[type[Predictor]]
    grain: Grain
    monitors: Mapping[str, Metric]
    method: nn.Module
    evaluation: Measured

    def __init__(
        self,
        method: nn.Module,
        num_classes: int,
        optimizer: OptimizerCallable,
        schedule: Schedule | None,
        many: int = 100,
        few: int = 20,
        difficulty: Callable[[int], ClassDifficulty] = ClassDifficulty,
        rates: Rates = EQUAL,
    ) -> None:
        super().__init__()
        self.rates = rates
        self.method = method
        self.optimizer = optimizer
        self.schedule = schedule or StepSchedule()
        self.thresholds = checked_limits(many, few)
        self.difficulty = difficulty(num_classes)
        for module in method.modules():
            if isinstance(module, ClassDifficultyLoss):
                module.difficulty = self.difficulty  # one object for all
        self.parts: dict[str, Tensor] = {}
        self.means = Means()
        self.class_accuracy: list[float] = []

    @classmethod
    def group_unit(cls, group_counts: Sequence[int]) -> float:
        """What ``many`` and ``few`` are given in, by the counts of the classes (C,): here one of what is counted."""
        return 1

    def check(self, data: LongTailData) -> None:
        """Check that a data set and the method fit.

        Raises:
            InputError: if they do not, a step has too few images for the network, or something goes by the difficulty
                of the classes and nothing measures it.
        """
        if data.batch_size < self.least_batch:
            raise InputError(
                f"this network normalises over the images of a step: give --batch-size {self.least_batch} or more"
            )
        if data.trained is None and (what := self.by_validation(data)) and data.split("val") is None:
            raise InputError(
                f"{what} on validation images, and there are none: hold some out by --data.val_fraction, for a second "
                "stage in the run that it goes on from"
            )

    @property
    def least_batch(self) -> int:
        """Images that a step of training needs at least."""
        return 1

    def by_validation(self, data: LongTailData) -> str | None:
        """What of the training is done on validation images, such as "the difficulty of the classes is measured", where
        the weights of a loss or the draws go by it; None where nothing is."""
        weighs = any(isinstance(module, ClassDifficultyLoss) for module in self.method.modules())
        by_difficulty = weighs or (data.sampling is not None and data.sampling.by_difficulty)
        return "the difficulty of the classes is measured" if by_difficulty else None

    def setup(self, stage: str) -> None:
        """Check that the data and the method fit, and share the difficulty of the classes."""
        self.check(self.data)
        self.data.difficulty = self.difficulty

    def prepare(self, data: LongTailData, trainer: pl.Trainer, features: Path, resume: bool) -> LongTailData:
        """What is done once, before the training of a run; return the data to train on.

        Args:
            data: as it was read.
            trainer: of the run.
            features: folder for what a frozen network makes of the images.
            resume: whether the run goes on from a checkpoint.
        """
        return data

    @property
    def data(self) -> LongTailData:
        """The data module of the trainer; a task narrows it to what ``check`` lets through."""
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(data, LongTailData)
        return data

    def record(self) -> dict[str, JSON]:
        """What this task adds to the results of a run."""
        data = self.data
        return {
            "task": self.predictor.task,
            "predictor": f"{self.predictor.__module__}.{self.predictor.__qualname__}",
            "grain": asdict(self.grain),
            "words": {name: asdict(metric) for name, metric in self.monitors.items() if METRICS.get(name) != metric},
            "thresholds": self.thresholds,
            **({} if data.label_counts == data.group_counts else {"label_counts": data.label_counts}),
        }

    @property
    def input(self) -> Input:
        """What the network takes, beside what the data says of it."""
        return {}

    def summary(self) -> list[Line]:
        """What is said of the training before it starts, once the trainer is set up."""
        trainer, data = self.trainer, self.data
        per_epoch, steps = self._steps()
        images = data.batch_size * trainer.world_size * trainer.accumulate_grad_batches
        epochs = trainer.max_epochs
        length = "" if epochs in (None, -1) else f"{plural(epochs, 'epoch')} of {plural(per_epoch, 'step')}"
        length = f"{plural(steps, 'step')}, {per_epoch:,} an epoch" if trainer.max_steps > 0 else length
        device = {"cpu": "the CPU", "cuda": "the GPU"}.get(self.device.type, self.device.type)
        return [
            ("groups", group_summary(data.group_counts, self.thresholds, self.grain, data.group_noun)),
            ("training", f"{length}, {plural(images, data.noun)} a step; precision {trainer.precision} on {device}"),
        ]

    @property
    def time_options(self) -> list[str]:
        """Options that make a run shorter, for people."""
        return [f"fewer --epochs (now {self.trainer.max_epochs})", *self.data.time_options, "a smaller --backbone"]

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """One optimizer, its rate set before every step; without decay for what a loss wants kept from it. None where
        nothing is trained."""
        without_decay = {
            id(parameter)
            for module in self.method.modules()
            if isinstance(module, Loss)
            for name, parameter in module.named_parameters(recurse=False)
            if name in module.no_weight_decay
        }
        parameters = [parameter for parameter in self.method.parameters() if parameter.requires_grad]
        if not parameters:
            return None
        factors = self.rates.factors(self.method)
        groups: dict[tuple[float, bool], list[Tensor]] = defaultdict(list)
        for parameter in parameters:
            groups[factors[id(parameter)], id(parameter) in without_decay].append(parameter)
        decay = {True: {"weight_decay": 0.0}, False: {}}
        optimizer = self.optimizer([{"params": groups[key], **decay[key[1]]} for key in sorted(groups)])
        set_rates(optimizer, factors)
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

    def on_train_epoch_start(self) -> None:
        """Tell the losses, and classifiers, that change with the epochs which one begins."""
        for module in self.method.modules():
            if isinstance(module, FollowsEpochs):
                module.set_epoch(self.current_epoch, self.trainer.max_epochs or 1)

    def log_parts(self, out: dict[str, Tensor], size: int) -> None:
        """Note the loss and its parts, scalars by name, of a training step of ``size`` images, for their means."""
        self.parts = {name: value.detach() for name, value in out.items()}
        self.means.add(self.parts, size)

    def log_means(self) -> None:
        """Log the means over the epoch of what the training steps gave, once: of ``loss`` as ``train/loss``."""
        means = self.means.take(lambda values: self.trainer.strategy.reduce(values, reduce_op="sum"))
        self.log_dict({f"train/{name}": value for name, value in means.items()})

    def on_train_epoch_end(self) -> None:
        """Log the means of the epoch."""
        self.log_means()

    @abstractmethod
    def evaluate(self, batch: Batch) -> None:
        """Count what the figures are made of, in a batch of validation or test."""

    def logits(self, batch: Batch) -> Tensor:
        """Logits (N, C) of a batch out of training, float32: wanted where the predictor has ``tradeoff``."""
        raise NotImplementedError(f"{type(self).__name__} gives no logits of a batch")

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Evaluate a batch."""
        self.evaluate(batch)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Evaluate a batch."""
        self.evaluate(batch)

    def on_validation_epoch_end(self) -> None:
        """Log the figures of the validation split."""
        self.finish("val")

    def on_test_epoch_end(self) -> None:
        """Log the figures of the test split."""
        self.finish("test")

    @abstractmethod
    def finish(self, split: str) -> None:
        """Turn what was counted on a split into figures: `log_figures`, then `measured` in training, else
        ``evaluation``."""

    def log_figures(self, split: str, scalars: Mapping[str, Tensor | float]) -> None:
        """Log the figures of a split; they are the same on every process."""
        values = {f"{split}/{name}": torch.as_tensor(value).float() for name, value in scalars.items()}
        self.log_dict(values, batch_size=1, rank_zero_only=False)

    @property
    def fitting(self) -> bool:
        """Whether a run is being trained, in which only the figures of a validation are wanted."""
        return self.trainer.state.fn == "fit"

    def measured(self, class_accuracy: Tensor) -> None:
        """Take over the accuracy of each class (C,) on validation."""
        self.difficulty.update(class_accuracy)
        self.class_accuracy = [round(value, 4) for value in class_accuracy.tolist()]
