"""Samplers of training images that counter a long tail."""

from longtail.samplers.base import EpochSampler
from longtail.samplers.difficulty import ClassDifficultySampler
from longtail.samplers.power import PowerSampler
from longtail.samplers.repeat_factor import RepeatFactorSampler

__all__ = ["ClassDifficultySampler", "EpochSampler", "PowerSampler", "RepeatFactorSampler"]
