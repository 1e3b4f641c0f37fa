"""Defaults that are published: what a user gets who says nothing is what the paper, or its released code, took."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch

from longtail import augment, counts, losses, methods, metrics, models, samplers, tasks
from longtail.data import RepeatFactorSampling
from longtail.metrics.detection import group_ap

OPEN_WORLD = "Liu et al., Large-scale long-tailed recognition in an open world, CVPR 2019"
LVIS = "Gupta et al., LVIS, CVPR 2019"
BCL = "Zhu et al., Balanced contrastive learning, CVPR 2022, and its released code"
GML = "Suh and Seo, Mutual information maximization, ICML 2023, and its released code"
MOMENTUM = "He et al., Momentum contrast, CVPR 2020"
MASK_RCNN = "the released code of Detectron2 and torchvision for Mask R-CNN"

PUBLISHED: list[tuple[Callable[..., Any], dict[str, Any], str]] = [
    (counts.shot_groups, {"many": 100, "few": 20}, OPEN_WORLD),
    (metrics.shot_accuracy, {"many": 100, "few": 20}, OPEN_WORLD),
    (metrics.LongTailMetrics, {"many": 100, "few": 20}, OPEN_WORLD),
    (metrics.adjusted_accuracy, {"many": 100, "few": 20}, OPEN_WORLD),
    (tasks.Classification, {"many": 100, "few": 20}, OPEN_WORLD),
    (counts.pareto_counts, {"power": 6.0}, OPEN_WORLD),
    (group_ap, {"many": 100, "few": 11}, LVIS),
    (samplers.RepeatFactorSampler, {"threshold": 0.001}, LVIS),
    (RepeatFactorSampling, {"threshold": 0.001}, LVIS),
    (metrics.CalibrationError, {"bins": 15}, "Guo et al., On calibration of modern neural networks, ICML 2017"),
    (losses.ClassBalancedLoss, {"beta": 0.9999}, "Cui et al., Class-balanced loss, CVPR 2019"),
    (losses.EqualizationLossV2, {"gamma": 12.0, "mu": 0.8, "alpha": 4.0}, "Tan et al., Equalization loss v2, 2021"),
    (losses.FederatedLoss, {"num_sampled": 50, "power": 0.5}, "Zhou et al., Probabilistic two-stage detection, 2021"),
    (losses.FocalLoss, {"gamma": 2.0}, "Lin et al., Focal loss, ICCV 2017"),
    (losses.LDAMLoss, {"max_margin": 0.5, "scale": 30.0, "beta": 0.9999}, "Cao et al., LDAM, NeurIPS 2019"),
    (losses.LogitAdjustedLoss, {"strength": 1.0}, "Menon et al., Logit adjustment, ICLR 2021"),
    (losses.SeesawLoss, {"p": 0.8, "q": 2.0}, "Wang et al., Seesaw loss, CVPR 2021"),
    (losses.SupervisedContrastiveLoss, {"temperature": 0.1}, "Khosla et al., NeurIPS 2020"),
    (losses.BalancedContrastiveLoss, {"temperature": 0.1}, BCL),
    (methods.BCL, {"temperature": 0.1, "classifier_weight": 2.0, "contrastive_weight": 0.6, "scale": 30.0}, BCL),
    (models.CosineClassifier, {"scale": 30.0}, BCL),
    (losses.GaussianMixtureLoss, {"temperature": 0.1}, GML),
    (methods.GML, {"momentum": 0.999}, MOMENTUM),
    (models.MomentumEncoder, {"momentum": 0.999}, MOMENTUM),
    (methods.SigmoidBoxes, {"prior": 0.01}, "Lin et al., Focal loss, ICCV 2017"),
    (methods.RCNN, {"min_size": 800, "max_size": 1333}, MASK_RCNN),
    (methods.RCNN, {"score_threshold": 0.05, "detections": 100, "boxes_per_image": 512}, MASK_RCNN),
    (tasks.StepSchedule, {"milestones": (0.8, 0.9), "gamma": 0.1, "warmup": 5.0}, "Cao et al., LDAM, NeurIPS 2019"),
    (tasks.CosineSchedule, {"warmup": 5.0}, "a warm-up of 5 epochs as in the released code of LDAM"),
    (tasks.PolySchedule, {"power": 0.9}, "Chen et al., DeepLab, TPAMI 2018"),
    (augment.ResizedCrop, {"scale": (0.08, 1.0), "ratio": (3 / 4, 4 / 3)}, "Szegedy et al., CVPR 2015"),
    (augment.PadCrop, {"padding": 4}, "He et al., Deep residual learning, CVPR 2016, on CIFAR"),
    (augment.GaussianBlur, {"sigma": (0.1, 2.0), "p": 0.5}, "Chen et al., SimCLR, ICML 2020"),
    (augment.Greyscale, {"p": 0.2}, "Chen et al., SimCLR, ICML 2020"),
    (augment.LargeScaleJitter, {"size": 1024, "scale": (0.1, 2.0)}, "Ghiasi et al., Copy-paste, CVPR 2021"),
    (augment.MultiScale, {"min_sizes": (640, 672, 704, 736, 768, 800), "max_size": 1333}, MASK_RCNN),
]


@pytest.mark.parametrize(
    ("made", "published", "source"),
    PUBLISHED,
    ids=[f"{made.__name__}-{'-'.join(published)}" for made, published, _ in PUBLISHED],
)
def test_a_default_is_the_published_one(made: Callable[..., Any], published: dict[str, Any], source: str) -> None:
    parameters = inspect.signature(made).parameters
    assert {name: parameters[name].default for name in published} == published, source


def test_a_class_that_was_never_a_negative_is_taken_as_100_times_as_often_positive() -> None:
    """Tan et al., Equalization loss v2, CVPR 2021: the ratio that the released code begins with."""
    _, as_negative = losses.EqualizationLossV2(3, gamma=0.01, mu=0.8).weights()
    torch.testing.assert_close(as_negative, torch.full((3,), 0.01 * (100 - 0.8)).sigmoid())
