"""A training spread over processes: images of a step, batch statistics, and how the weights may be kept."""

import logging

import lightning.pytorch as pl
from lightning.pytorch.plugins import LayerSync
from lightning.pytorch.strategies import DeepSpeedStrategy, FSDPStrategy, ModelParallelStrategy, StrategyRegistry
from timm.layers.norm_act import convert_sync_batchnorm
from torch import nn

from longtail.errors import InputError
from longtail.messages import plural

logger = logging.getLogger(__name__)

SHARDING = (FSDPStrategy, DeepSpeedStrategy, ModelParallelStrategy)


def batch_of_process(total: int, images: int, trainer: pl.Trainer) -> int:
    """Images of a batch in one process, of ``total`` in a step of all: a step is of every process, and of the batches
    that are accumulated.

    Args:
        total: images of a step.
        images: of the training set.
        trainer: of the run.

    Raises:
        InputError: if they cannot be shared out equally, or are more than there are.
    """
    processes, batches = trainer.world_size, trainer.accumulate_grad_batches
    parts = processes * batches
    if total < 1 or total % parts:
        accumulated = f" of {plural(batches, 'accumulated batch', 'accumulated batches')}" if batches > 1 else ""
        least = max(1, total // parts) * parts
        raise InputError(
            f"--total-batch-size {total} cannot be shared by {plural(processes, 'process', 'processes')}{accumulated}: "
            f"give {least}, or another multiple of {parts}"
        )
    if total > images:
        raise InputError(
            f"--total-batch-size {total} is larger than the training set of {plural(images, 'image')}: "
            f"give {max(1, images // 2 // parts) * parts} or less"
        )
    return total // parts


def check_strategy(strategy: object) -> None:
    """Check that a strategy of the trainer, a name or an object, keeps the weights whole in every process.

    Raises:
        InputError: if it does not.
    """
    kind = type(strategy)
    if isinstance(strategy, str) and strategy in StrategyRegistry:
        kind = StrategyRegistry[strategy]["strategy"]
    if issubclass(kind, SHARDING):
        name = strategy if isinstance(strategy, str) else kind.__name__
        raise InputError(
            f"--trainer.strategy {name} splits the weights over the processes, and methods and checkpoints read them "
            "whole, such as momentum encoders and prototypes: give --trainer.strategy ddp"
        )


class SyncedNorms(LayerSync):
    """Batch statistics over the images of all processes, ``--trainer.sync_batchnorm true``.

    Lightning's own, which is torch's, drops the activation that timm's layers of normalisation hold; timm's keeps it.
    torch synchronises on accelerators alone. On a CPU each process has its own statistics, and that is said.
    """

    def apply(self, model: nn.Module) -> nn.Module:
        """Put synchronised layers into the model, with the same parameters and buffers."""
        assert isinstance(model, pl.LightningModule)
        if model.trainer.strategy.root_device.type == "cpu":
            logger.info("batch statistics are those of each process, as torch shares them on accelerators alone")
            return model
        synced: nn.Module = convert_sync_batchnorm(model)  # type: ignore[no-untyped-call] # it has no types
        return synced

    def revert(self, model: nn.Module) -> nn.Module:
        """As it is: in an evaluation such layers share nothing."""
        return model
