"""Learning-rate schedules of the papers, written as fractions of a run so that they scale with its length."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence


class Schedule(ABC):
    """A factor on the learning rate, after a linear warm-up.

    Args:
        warmup: part of the run over which the rate rises linearly from 0; 0 for none.
    """

    def __init__(self, warmup: float = 0.025) -> None:
        if not 0 <= warmup < 1:
            raise ValueError(f"warmup is a part of the run, in [0, 1), got {warmup}")
        self.warmup = warmup

    def __call__(self, step: int, steps: int) -> float:
        """The factor for the optimizer step number ``step`` of ``steps``."""
        rising = self.warmup * steps
        if step < rising:
            return (step + 1) / (rising + 1)
        return self.factor(step / max(steps, 1))

    @abstractmethod
    def factor(self, progress: float) -> float:
        """The factor after the warm-up, at ``progress`` in [0, 1] of the whole run."""


class StepSchedule(Schedule):
    """Multiply by ``gamma`` at each milestone.

    Args:
        milestones: parts of the run; (0.8, 0.9) is 160 and 180 of 200 epochs.
        gamma: factor at each.
        warmup: part of the run with a rising rate; 0.025 is 5 of 200 epochs.
    """

    def __init__(self, milestones: Sequence[float] = (0.8, 0.9), gamma: float = 0.1, warmup: float = 0.025) -> None:
        super().__init__(warmup)
        self.milestones, self.gamma = tuple(milestones), gamma

    def factor(self, progress: float) -> float:
        """gamma to the number of milestones passed."""
        passed: int = sum(progress >= milestone for milestone in self.milestones)
        return float(self.gamma**passed)


class CosineSchedule(Schedule):
    """Half a cosine from 1 after the warm-up to 0 at the end."""

    def factor(self, progress: float) -> float:
        """(1 + cos(pi x)) / 2, x running from 0 after the warm-up to 1 at the end."""
        return (1 + math.cos(math.pi * (progress - self.warmup) / (1 - self.warmup))) / 2
