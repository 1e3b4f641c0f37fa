"""The bounds of options: what lies on one is taken, what lies beyond is refused by name."""

import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch

from longtail import augment, losses, methods, models, samplers, tasks
from longtail.augment.preprocessing import Preprocessing
from longtail.data import RepeatFactorSampling
from longtail.difficulty import ClassDifficulty
from longtail.losses.class_balanced import effective_number_weights
from longtail.methods.boxes import SigmoidBoxes
from longtail.models.class_queue import class_slots

COUNTS, INF = [50, 10, 2], float("inf")


def of_counts(make: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    return functools.partial(make, COUNTS, **options)


def of_targets(**options: Any) -> Callable[..., Any]:
    return functools.partial(samplers.PowerSampler, [0, 0, 1], 0.5, **options)


BOUNDS: list[tuple[Callable[..., Any], str, list[Any], list[Any]]] = [
    (losses.AsymmetricLoss, "gamma_neg", [0], [-0.1, INF]),
    (losses.AsymmetricLoss, "gamma_pos", [0], [-0.1, INF]),
    (losses.AsymmetricLoss, "clip", [0, 1], [-0.1, 1.1]),
    (of_counts(losses.BinaryLDAMLoss), "max_margin", [0], [-0.1, INF]),
    (of_counts(losses.LDAMLoss), "max_margin", [0], [-0.1, INF]),
    (of_counts(losses.LDAMLoss), "scale", [0], [-0.1, INF]),
    (of_counts(losses.LDAMLoss), "reweight_from", [0, 1], [-0.1, 1.1]),
    (of_counts(losses.ClassBalancedLoss), "beta", [0, 0.999], [-0.1, 1]),
    (of_counts(losses.ClassBalancedLoss), "gamma", [0], [-0.1, INF]),
    (of_counts(effective_number_weights), "beta", [0, 0.999], [-0.1, 1]),
    (of_counts(losses.DistributionBalancedLoss), "alpha", [0], [-0.1, INF]),
    (of_counts(losses.DistributionBalancedLoss), "beta", [0], [-0.1, INF]),
    (of_counts(losses.DistributionBalancedLoss), "bias", [0], [-0.1, INF]),
    (of_counts(losses.DistributionBalancedLoss), "scale", [1e-6], [0, INF]),
    (of_counts(losses.DistributionBalancedLoss), "images", [50], [49]),
    (of_counts(losses.EqualizationLossV2), "gamma", [0], [-0.1, INF]),
    (of_counts(losses.EqualizationLossV2), "mu", [0], [-0.1, INF]),
    (of_counts(losses.EqualizationLossV2), "alpha", [0], [-0.1, INF]),
    (of_counts(losses.EqualizationLossV2), "background", [0, 2], [-1, 3]),
    (of_counts(losses.FederatedLoss), "num_sampled", [1], [0]),
    (of_counts(losses.FederatedLoss), "power", [0], [-0.1, INF]),
    (of_counts(losses.FederatedLoss), "background", [0, 2], [-1, 3]),
    (losses.FocalLoss, "gamma", [0], [-0.1, INF]),
    (losses.CrossEntropyLoss, "label_smoothing", [0, 1], [-0.1, 1.1]),
    (losses.ClassInstanceBalancedLoss, "trade_off", [0], [-0.1, INF]),
    (losses.SupervisedContrastiveLoss, "temperature", [1e-9], [0, INF]),
    (functools.partial(losses.SeesawLoss, 3), "p", [0], [-0.1, INF]),
    (functools.partial(losses.SeesawLoss, 3), "q", [0], [-0.1, INF]),
    (functools.partial(ClassDifficulty, 3), "floor", [1e-9, 1], [0, 1.1]),
    (functools.partial(ClassDifficulty, 3), "tau", [0], [-0.1, INF]),
    (ClassDifficulty, "num_classes", [1], [0]),
    (functools.partial(samplers.RepeatFactorSampler, [0, 1]), "threshold", [0, 1], [-0.1, 1.1]),
    (RepeatFactorSampling, "threshold", [0, 1], [-0.1, 1.1]),
    (of_targets(), "progressive_epochs", [2], [1]),
    (of_targets(), "num_samples", [1], [0]),
    (of_targets(world=3), "rank", [0, 2], [-1, 3]),
    (augment.MixUp, "p", [0, 1], [-0.1, 1.1]),
    (augment.MixUp, "alpha", [1e-9], [0, INF]),
    (augment.CMO, "r", [0, -1, 2], [INF, -INF]),
    (augment.Remix, "kappa", [1], [0.9]),
    (augment.Remix, "tau", [0, 1], [-0.1, 1.1]),
    (augment.Cutout, "size", [1, 1e-9, 1.0], [0, 0.0, 1.1]),
    (augment.Cutout, "value", [0, 255], [-1, 256]),
    (functools.partial(augment.ColourJitter, 0, 0, 0, 0), "p", [0, 1], [-0.1, 1.1]),
    (functools.partial(augment.ColourJitter, 0, 0, 0), "hue", [0, 0.5], [-0.1, 0.6]),
    (functools.partial(augment.ColourJitter, contrast=0, saturation=0, hue=0), "brightness", [0], [-0.1]),
    (functools.partial(augment.ColourJitter, brightness=0, saturation=0, hue=0), "contrast", [0], [-0.1]),
    (functools.partial(augment.ColourJitter, brightness=0, contrast=0, hue=0), "saturation", [0], [-0.1]),
    (augment.Greyscale, "p", [0, 1], [-0.1, 1.1]),
    (augment.HorizontalFlip, "p", [0, 1], [-0.1, 1.1]),
    (augment.GaussianBlur, "p", [0, 1], [-0.1, 1.1]),
    (augment.GaussianBlur, "sigma", [(0.1, 0.1)], [(0, 1), (0.2, 0.1)]),
    (augment.PadCrop, "padding", [0], [-1]),
    (augment.ResizedCrop, "scale", [(0.1, 0.1), (1, 1)], [(0, 1), (0.2, 0.1), (0.1, 1.1)]),
    (augment.ResizedCrop, "ratio", [(1, 1)], [(0, 1), (2, 1)]),
    (augment.GrowingCrop, "least", [1e-9, 1], [0, 1.1]),
    (augment.Rotation, "degrees", [0, 180], [-1, 181]),
    (augment.RandAugment, "n", [1], [0]),
    (augment.RandAugment, "magnitude", [0, 30], [-1, 31]),
    (augment.MultiScale, "flip", [0, 1], [-0.1, 1.1]),
    (augment.MultiScale, "min_sizes", [[1]], [[0], []]),
    (augment.MultiScale, "max_size", [1], [0]),
    (augment.LargeScaleJitter, "size", [1], [0]),
    (augment.LargeScaleJitter, "scale", [(1, 1)], [(0, 1), (2, 1)]),
    (augment.LargeScaleJitter, "flip", [0, 1], [-0.1, 1.1]),
    (augment.ScaleCropFlip, "size", [1], [0]),
    (augment.ScaleCropFlip, "scale", [(1, 1)], [(0, 1), (2, 1)]),
    (augment.ScaleCropFlip, "flip", [0, 1], [-0.1, 1.1]),
    (augment.ScaleCropFlip, "max_share", [1e-9, 1], [0, 1.1]),
    (augment.ScaleCropFlip, "jitter", [0], [-0.1]),
    (functools.partial(augment.Normalise, (0, 0, 0)), "std", [(1e-9, 1, 1)], [(0, 1, 1)]),
    (Preprocessing, "crop", [1e-9, 1], [0, 1.1]),
    (Preprocessing, "std", [(1e-9, 1, 1)], [(0, 1, 1)]),
    (functools.partial(SigmoidBoxes, COUNTS, loss=losses.EqualizationLossV2), "prior", [1e-9, 0.999], [0, 1]),
    (methods.ClassMeans, "images", [1, None], [0]),
    (functools.partial(models.MomentumEncoder, torch.nn.Identity()), "momentum", [0, 1], [-0.1, 1.1]),
    (functools.partial(class_slots, COUNTS, size=9), "min_per_class", [1, 3], [0]),
    (models.AdaptFormer, "bottleneck", [1, None], [0]),
    (models.LoRA, "rank", [1], [0]),
    (models.Prompts, "length", [1], [0]),
    (tasks.CosineSchedule, "warmup", [0], [-0.1]),
    (tasks.PolySchedule, "power", [1e-9], [0]),
]


def name_of(make: Callable[..., Any]) -> str:
    return str(getattr(make, "func", make).__name__)


@pytest.mark.parametrize(
    ("make", "name", "values", "outsiders"), BOUNDS, ids=[f"{name_of(make)}-{name}" for make, name, *_ in BOUNDS]
)
def test_what_lies_on_a_bound_is_taken_and_what_lies_beyond_is_refused(
    make: Callable[..., Any], name: str, values: list[Any], outsiders: list[Any]
) -> None:
    for value in values:
        make(**{name: value})
    for value in outsiders:
        with pytest.raises(ValueError, match=name):
            make(**{name: value})
