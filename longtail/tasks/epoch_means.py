"""What an epoch has logged so far, kept in a checkpoint that is taken inside it: Lightning begins its means anew."""

from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

STATES = ("value", "cumulated_batch_size")  # of what Lightning keeps for each name: a sum, and of how many

Means = dict[str, dict[str, Tensor]]


def means_so_far(trainer: pl.Trainer) -> Means:
    """What was logged in the training steps of this process since its epoch began, by name."""
    kept: Means = {}
    for key, metric in _logged(trainer).items():
        if metric.is_tensor and metric.meta.on_epoch:  # a metric of torchmetrics is part of the task
            kept[key] = {name: getattr(metric, name).cpu() for name in STATES if hasattr(metric, name)}
    return kept


def go_on_with(trainer: pl.Trainer, before: Means) -> None:
    """After the first step of a run that goes on inside an epoch, add what was logged before."""
    for key, metric in _logged(trainer).items():
        extreme = metric.meta.is_max_reduction or metric.meta.is_min_reduction
        both = metric.meta.reduce_fx if extreme else torch.add
        for name, value in before.get(key, {}).items():
            now = getattr(metric, name)
            setattr(metric, name, both(value.to(now.device), now))


def _logged(trainer: pl.Trainer) -> dict[str, Any]:  # Lightning has no public name for it
    return trainer.fit_loop.epoch_loop._results
