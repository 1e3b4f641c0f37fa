"""What the tasks share that classify whole images or clips: one label each, or several."""

from collections.abc import Callable
from pathlib import Path

import lightning.pytorch as pl
import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor

from longtail.data.base import LongTailData
from longtail.data.images.base import ImageBatch, ImageData
from longtail.data.images.features import FeatureData
from longtail.difficulty import ClassDifficulty
from longtail.errors import InputError
from longtail.losses.base import Loss
from longtail.methods.base import Method
from longtail.methods.probe import Probe
from longtail.models.base import FeatureNetwork
from longtail.models.tuning import BATCH_NORM
from longtail.plain import Input
from longtail.tasks.base import Task
from longtail.tasks.features import Extraction
from longtail.tasks.layer_rates import EQUAL, Rates
from longtail.tasks.meeting import start_processes
from longtail.tasks.memory_format import order_weights, ordered
from longtail.tasks.schedules import Schedule


class ImageTask(Task[ImageBatch]):
    """Base of the tasks that train a ``Method``.

    Args:
        method: network and losses.
        num_classes: C.
        optimizer: see ``Task``.
        schedule: see ``Task``.
        many: see ``Task``.
        few: see ``Task``.
        channels_last: memory format of images and weights; usually the faster one for convolutions.
        compile: compile the method with torch.compile.
        difficulty: see ``Task``.
        rates: see ``Task``.
    """

    method: Method

    def __init__(
        self,
        method: Method,
        num_classes: int,
        optimizer: OptimizerCallable,
        schedule: Schedule | None,
        many: int,
        few: int,
        channels_last: bool,
        compile: bool,
        difficulty: Callable[[int], ClassDifficulty],
        rates: Rates = EQUAL,
    ) -> None:
        super().__init__(method, num_classes, optimizer, schedule, many, few, difficulty, rates)
        self.channels_last = channels_last
        order_weights(method, channels_last)
        if compile:
            self.method.compile()

    @property
    def losses(self) -> list[Loss]:
        """The losses of the method, with those inside them."""
        return [module for module in self.method.modules() if isinstance(module, Loss)]

    def check(self, data: LongTailData) -> None:
        """Check that a data set and the method fit.

        Raises:
            InputError: on data of another kind, another number of classes or of views, images or clips of a size that
                the network does not take, or clips for a network of images and the other way round.
        """
        if isinstance(data, FeatureData):  # its images were checked
            return
        if not isinstance(data, ImageData):
            raise InputError(f"{type(data).__name__} is not for classification: give data with labels of images")
        if self.method.num_classes != len(data.classes):
            raise InputError(f"the method has {self.method.num_classes} classes, {data.source} has {len(data.classes)}")
        network, frames = self.network, data.input.get("frames")
        if network is not None and network.takes_clips == (frames is None):
            takes, has = ("images", "clips") if frames is not None else ("clips", "images")
            raise InputError(
                f"{type(network).__name__} takes {takes}, and {data.source} has {has}: give a recipe for {has}"
            )
        self.check_side(data.input, data.input["size"])
        if len(data.views) != self.method.num_views:
            raise InputError(
                f"{type(self.method).__name__} trains on {self.method.num_views} views of each {data.noun}, "
                f"--data.views names {len(data.views)}"
            )
        super().check(data)

    @property
    def network(self) -> FeatureNetwork | None:
        """The outermost network of features that the package can ask, as ``FrameMean`` holds a ``Backbone``."""
        return next((module for module in self.method.modules() if isinstance(module, FeatureNetwork)), None)

    def check_side(self, input: Input, side: int) -> None:
        """Check that the network takes images of a side, or clips of it with the frames of the input; raises
        InputError."""
        if self.network is not None:
            self.network.check_size((*([input["frames"]] if "frames" in input else []), side, side))

    def prepare(self, data: LongTailData, trainer: pl.Trainer, features: Path, resume: bool) -> LongTailData:
        """Compute the features of a frozen network."""
        if not isinstance(self.method, Probe):
            return data
        assert isinstance(data, ImageData)
        return self.extraction(trainer, features)(data, self.method.copies)

    def extraction(self, trainer: pl.Trainer, features: Path) -> Extraction:
        """What makes features with the network of the method; those of a frozen one are kept in a folder."""
        start_processes(trainer)
        folder = features if isinstance(self.method, Probe) else None
        device, precision = trainer.strategy.root_device, trainer.precision_plugin.forward_context
        settings = (device, precision, str(trainer.precision), self.channels_last)
        return Extraction(self.method.get_submodule("backbone"), folder, *settings)

    @property
    def least_batch(self) -> int:
        """Two with batch normalisation: that of one image is no statistic, and fails on a map of one pixel."""
        return 2 if any(isinstance(module, BATCH_NORM) for module in self.method.modules()) else 1

    @property
    def data(self) -> ImageData:
        """The data module of the trainer."""
        data = super().data
        assert isinstance(data, ImageData)
        return data

    def _views(self, batch: ImageBatch) -> list[Tensor]:
        return [ordered(view, self.channels_last) for view in batch["views"]]

    def step(self, batch: ImageBatch) -> dict[str, Tensor]:
        """What the method gives for a training batch."""
        rows = {"rows": batch["rows"]} if self.method.wants_rows else {}
        out: dict[str, Tensor] = self.method(self._views(batch), batch["targets"], **rows)
        return out

    def logits(self, batch: ImageBatch) -> Tensor:
        """Logits (N, C) of a batch out of training, float32: their mean where there are several views."""
        logits = [self.method.classify(view).float() for view in self._views(batch)]
        return torch.stack(logits).mean(0) if len(logits) > 1 else logits[0]
