"""Training that diverges: noticed without waiting for the device, and ended with one line."""

import math
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from longtail.errors import InputError
from longtail.tasks.base import Task

EVERY = 50  # steps between two looks at an accelerator, or at other processes
SKIPS = 50  # steps in a row that a scaler of gradients may leave out before they are no accident


class Divergence(pl.Callback):
    """Stops a run whose loss is no longer finite, and says since which step, and which term of the loss.

    When it began is kept on the device. One process on a CPU looks after every step; else the host looks every 50
    steps, before each validation and at the end of an epoch, as a look waits for the device. Where gradients are
    scaled (16-mixed), a step that is not finite is left out and the scale lowered: that ends the run only after 50
    steps in a row.

    Args:
        last: the checkpoint that stays.

    Raises:
        InputError: if the loss is NaN or infinite.
    """

    def __init__(self, last: Path) -> None:
        self.last = last
        self._names = ["loss"]
        self._steps: Tensor | None = None  # how many in a row were not finite
        self._first = torch.empty(0)  # of those: the number of the first, and which terms were not finite in it

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: object, batch_idx: int
    ) -> None:  # Lightning's type of what a step gives: a dictionary, a tensor or None
        """Note on the device whether the loss is finite."""
        assert isinstance(pl_module, Task)
        if not outputs:  # a step without a loss to minimise
            return
        loss = outputs["loss"].detach()
        looks = interval(trainer, loss.device) == 1
        if looks and self._steps is None and math.isfinite(float(loss.mean())):  # nothing to note
            return
        terms = {**pl_module.parts, "loss": loss}
        self._names += [name for name in terms if name not in self._names]  # a term may be missing in some steps
        values = [terms.get(name, loss.new_zeros(())).to(loss.device, torch.float64) for name in self._names]
        finite = torch.stack([value.mean() for value in values]).isfinite()
        if self._steps is None:
            self._steps = torch.zeros((), dtype=torch.int64, device=loss.device)
            self._first = torch.zeros(1, dtype=torch.int64, device=loss.device)
        now = torch.cat([torch.full((1,), trainer.global_step, device=loss.device), (~finite).long()])
        self._first = nn.functional.pad(self._first, (0, len(now) - len(self._first)))
        self._first = torch.where(~finite[0] & (self._steps == 0), now, self._first)
        lasts = ~finite[0] if scaler(trainer) else ~finite[0] | (self._steps > 0)
        self._steps = torch.where(lasts, self._steps + 1, 0)
        if looks or (batch_idx + 1) % interval(trainer, loss.device) == 0:
            self.check(trainer, pl_module)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look before anything is measured."""
        self.check(trainer, pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look before anything is saved."""
        self.check(trainer, pl_module)

    def check(self, trainer: pl.Trainer, pl_module: pl.LightningModule, alone: bool = False) -> None:
        """Look whether the loss was finite in all processes, or where these cannot answer in this one alone."""
        if self._steps is None:
            return
        row = torch.cat([self._steps[None], self._first])
        rows: Any = row if alone else pl_module.all_gather(row)
        steps, first, *not_finite = max(rows.reshape(-1, len(row)).tolist())
        if steps < (SKIPS if scaler(trainer) else 1):
            return
        terms = [name for name, bad in zip(self._names, not_finite, strict=True) if bad]
        parts = " and ".join(f'"{name}"' for name in terms if name != "loss")
        what = f"the loss term{'s' * (len(terms) > 2)} {parts} of" if parts else "the loss of"
        raise diverged(trainer, f"{what} step {first} was NaN or infinite", self.last)


def interval(trainer: pl.Trainer, device: torch.device) -> int:
    """Steps between two looks: each, where a look costs nothing."""
    return 1 if device.type == "cpu" and trainer.world_size == 1 else EVERY


def scaler(trainer: pl.Trainer) -> Any | None:  # torch has one class for each kind of device
    """What scales the gradients, and leaves out steps that are not finite; None in most precisions."""
    return getattr(trainer.precision_plugin, "scaler", None)


def diverged(trainer: pl.Trainer, what: str, last: Path) -> InputError:
    """The one line about a run that diverged: what was seen, what is kept, and what helps."""
    groups = trainer.optimizers[0].param_groups
    helps = [f"a lower rate (--lr, now {groups[0].get('initial_lr', groups[0]['lr']):g})"]
    if str(trainer.precision) != "32-true":
        helps.append(f"full precision (--precision 32-true, now {trainer.precision})")
    if not trainer.gradient_clip_val:
        helps.append("clipped gradients (--clip 1)")
    fallback = f"{last} is from before it" if last.is_file() else "no checkpoint was written before it"
    epoch = trainer.current_epoch + 1
    return InputError(f"training diverged in epoch {epoch}: {what}; {fallback}. What helps: {', or '.join(helps)}")
