"""Learning-rate schedules of the papers: milestones as parts of a run, so that they scale with its length."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

from longtail.errors import InputError


class Schedule(ABC):
    """A factor on the learning rate, after a linear warm-up.

    Args:
        warmup: epochs over which the rate rises linearly from 0, at most half the run; 0 for none. Not a part of the
            run: what it prevents happens in the first few hundred steps, however long the run.
    """

    def __init__(self, warmup: float = 5.0) -> None:
        if warmup < 0:
            raise InputError(f"warmup is a number of epochs, at least 0, got {warmup}")
        self.warmup = warmup

    def __call__(self, step: int, steps: int, steps_per_epoch: int) -> float:
        """The factor for the optimizer step number ``step`` of ``steps``."""
        rising = min(self.warmup * steps_per_epoch, steps / 2)
        if step < rising:
            return (step + 1) / (rising + 1)
        return self.factor(step / max(steps, 1), rising / max(steps, 1))

    @abstractmethod
    def factor(self, progress: float, start: float) -> float:
        """The factor at ``progress`` in [0, 1] of the whole run, of which the warm-up took ``start``."""


class StepSchedule(Schedule):
    """Multiply by ``gamma`` at each milestone.

    Args:
        milestones: parts of the run; (0.8, 0.9) is 160 and 180 of 200 epochs.
        gamma: factor at each.
        warmup: epochs with a rising rate.
    """

    def __init__(self, milestones: Sequence[float] = (0.8, 0.9), gamma: float = 0.1, warmup: float = 5.0) -> None:
        super().__init__(warmup)
        self.milestones, self.gamma = tuple(milestones), gamma

    def factor(self, progress: float, start: float) -> float:
        """gamma to the number of milestones passed."""
        passed: int = sum(progress >= milestone for milestone in self.milestones)
        return float(self.gamma**passed)


class CosineSchedule(Schedule):
    """Half a cosine from 1 after the warm-up to 0 at the end."""

    def factor(self, progress: float, start: float) -> float:
        """(1 + cos(pi x)) / 2, x running from 0 after the warm-up to 1 at the end."""
        return (1 + math.cos(math.pi * (progress - start) / (1 - start))) / 2


class PolySchedule(Schedule):
    """A power of what is left of the run: (1 - x)^power, x running from 0 after the warm-up to 1 at the end.

    Args:
        power: the exponent, positive; papers on segmentation take 0.9.
        warmup: epochs with a rising rate.

    Source: Chen et al., DeepLab, TPAMI 2018, section 4.1.2.
    """

    def __init__(self, power: float = 0.9, warmup: float = 0.0) -> None:
        super().__init__(warmup)
        if not power > 0:
            raise InputError(f"power must be positive, got {power}")
        self.power = power

    def factor(self, progress: float, start: float) -> float:
        """(1 - x)^power."""
        left = max(0.0, 1 - (progress - start) / (1 - start))
        return float(left**self.power)
