"""How training images are drawn, as an option of a data module; the samplers are in ``longtail.samplers``."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from torch import Tensor

from longtail.difficulty import ClassDifficulty
from longtail.errors import InputError
from longtail.messages import plural
from longtail.samplers.base import EpochSampler
from longtail.samplers.difficulty import ClassDifficultySampler
from longtail.samplers.power import PowerSampler
from longtail.samplers.repeat_factor import RepeatFactorSampler


class Labels(NamedTuple):
    """Labels (M,) of ``size`` images; ``images`` (M,) is the image row of each, None where label i is of image i."""

    targets: Tensor
    images: Tensor | None
    size: int


class Sampling(ABC):
    """Makes the sampler of a training split, once its labels, the difficulty of its classes and the run are known.

    Attributes:
        by_difficulty: whether it goes by the difficulty, which is measured on validation images.
    """

    by_difficulty: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, labels: Labels, difficulty: ClassDifficulty, epochs: int, seed: int) -> EpochSampler:
        """Make the sampler.

        Args:
            labels: of the training images.
            difficulty: of the classes; it changes with every validation.
            epochs: of the run.
            seed: of the draws.
        """

    def about(self, labels: Labels, noun: str) -> str | None:
        """What a user should know of these draws, in one line; by default nothing.

        Args:
            labels: of the training images.
            noun: for what carries them.
        """
        return None


@dataclass
class PowerSampling(Sampling):
    """Class c with probability n_c^power, then one of its images: `longtail.samplers.PowerSampler`.

    Args:
        power: 0 is class-balanced, 0.5 square-root, 1 instance-balanced sampling.
        progressive: begin with instance-balanced sampling and reach the power with the last epoch.
    """

    power: float = 0.0
    progressive: bool = False

    def __call__(self, labels: Labels, difficulty: ClassDifficulty, epochs: int, seed: int) -> EpochSampler:
        progressive = max(2, epochs) if self.progressive else None
        return PowerSampler(labels.targets, self.power, images=labels.images, progressive_epochs=progressive, seed=seed)


class DifficultySampling(Sampling):
    """CDB-S, classes by their difficulty on validation: `longtail.samplers.ClassDifficultySampler`."""

    by_difficulty = True

    def __call__(self, labels: Labels, difficulty: ClassDifficulty, epochs: int, seed: int) -> EpochSampler:
        return ClassDifficultySampler(labels.targets, difficulty, images=labels.images, seed=seed)


@dataclass
class RepeatFactorSampling(Sampling):
    """Images of rare classes repeated: `longtail.samplers.RepeatFactorSampler`.

    Args:
        threshold: classes with a smaller share of the images are repeated.
    """

    threshold: float = 0.001

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise InputError(f"threshold is a share of the images, from 0 to 1, got {self.threshold}")

    def __call__(self, labels: Labels, difficulty: ClassDifficulty, epochs: int, seed: int) -> EpochSampler:
        return self._sampler(labels, self.threshold, seed)

    def about(self, labels: Labels, noun: str) -> str:
        """How many images are repeated; where none is, a threshold at which some are."""
        sampler = self._sampler(labels, self.threshold)
        repeated = f"{sampler.repeated:,} of {plural(labels.size, noun)}"
        text = f"repeat-factor sampling at threshold {self.threshold:g} repeats {repeated}"
        if sampler.repeated:
            return f"{text}: an epoch has about {sampler.expected:,.0f}"
        other = float(f"{sampler.mean_share:.2g}")
        offered = self._sampler(labels, other)
        if not offered.repeated:
            return f"{text}, as the classes are of equal size"
        return (
            f"{text}, as every class has a larger share of them: --data.sampling.threshold {other:g}, the mean share, "
            f"would repeat {offered.repeated:,}, and an epoch have about {offered.expected:,.0f}"
        )

    @staticmethod
    def _sampler(labels: Labels, threshold: float, seed: int = 0) -> RepeatFactorSampler:
        return RepeatFactorSampler(
            labels.targets, images=labels.images, num_images=labels.size, threshold=threshold, seed=seed
        )
