"""Defaults and constants that are published: who says nothing gets what the paper, or its released code, took."""

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
import torch

from longtail import augment, counts, data, losses, methods, metrics, models, posthoc, samplers, tasks
from longtail.augment.preprocessing import Resize
from longtail.data.boxes.base import DetectionData
from longtail.data.clips.folder import ClipData
from longtail.data.images.cifar import CifarLT
from longtail.data.images.files import FileData
from longtail.data.pixels.base import SegmentationData
from longtail.difficulty import ClassDifficulty
from longtail.losses.cibl import instance_share
from longtail.methods.gml import GaussianMixture
from longtail.methods.pixels import PixelMethod
from longtail.methods.teachers import distil
from longtail.metrics.calibration import reliability
from longtail.metrics.detection import group_ap
from longtail.posthoc.rejection import cross_refused
from longtail.tasks.base import sgd
from longtail.tasks.calibration import calibrate

OPEN_WORLD = "Liu et al., Large-scale long-tailed recognition in an open world, CVPR 2019"
LVIS = "Gupta et al., LVIS, CVPR 2019"
CDB = "Sinha et al., Class-wise difficulty-balanced loss, ACCV 2020, and its released code"
KANG = "Kang et al., Decoupling representation and classifier, ICLR 2020"
CUI = "Cui et al., Class-balanced loss, CVPR 2019"
LDAM = "Cao et al., LDAM, NeurIPS 2019, and its released code"
FOCAL = "Lin et al., Focal loss, ICCV 2017"
BCL = "Zhu et al., Balanced contrastive learning, CVPR 2022, and its released code"
CIBL = "Lavoie and Waslander, Class instance balanced learning, CRV 2023; the values are those of BCL"
GML = "Suh and Seo, Mutual information maximization, ICML 2023, and its released code"
LIFT = "Shi et al., LIFT, ICML 2024, and LIFT+, 2025, and their released code"
MOMENTUM = "He et al., Momentum contrast, CVPR 2020"
MASK_RCNN = "the released code of Detectron2 and torchvision for Mask R-CNN"
MMSEGMENTATION = "the released code of MMSegmentation"
SIMCLR = "Chen et al., SimCLR, ICML 2020"
MIXUP = "Zhang et al., mixup, ICLR 2018"
CALIBRATION = "Guo et al., On calibration of modern neural networks, ICML 2017"
RESNET = "He et al., Deep residual learning, CVPR 2016"
FLIP = {"flip": 0.5}
RANDAUGMENT = {"n": 2, "magnitude": 10}

PUBLISHED: list[tuple[Callable[..., Any], dict[str, Any], str]] = [
    # groups of classes, and counts
    (counts.shot_groups, {"many": 100, "few": 20}, OPEN_WORLD),
    (metrics.shot_accuracy, {"many": 100, "few": 20}, OPEN_WORLD),
    (metrics.LongTailMetrics, {"many": 100, "few": 20}, OPEN_WORLD),
    (metrics.adjusted_accuracy, {"many": 100, "few": 20}, OPEN_WORLD),
    (posthoc.fit_scaling, {"many": 100, "few": 20}, OPEN_WORLD),
    (posthoc.cross_fitted, {"many": 100, "few": 20}, OPEN_WORLD),
    (tasks.Classification, {"many": 100, "few": 20}, OPEN_WORLD),
    (tasks.MultiLabel, {"many": 100, "few": 20}, f"{OPEN_WORLD}, with the images that have a class"),
    (tasks.Detection, {"many": 100, "few": 11}, f"{LVIS}: more than 100, 11 to 100 and up to 10 images"),
    (group_ap, {"many": 100, "few": 11}, LVIS),
    (counts.pareto_counts, {"power": 6.0}, OPEN_WORLD),
    (counts.long_tail_subset, {"seed": 0}, LDAM),
    (CifarLT, {"subset_seed": 0}, LDAM),
    (CifarLT, {"factor": 0.01, "profile": "exponential", "padding": 4, "batch_size": 128}, LDAM),
    # losses
    (losses.AsymmetricLoss, {"gamma_neg": 4.0, "gamma_pos": 0.0, "clip": 0.05}, "Ridnik et al., ICCV 2021, on COCO"),
    (losses.BalancedContrastiveLoss, {"temperature": 0.1}, BCL),
    (losses.BinaryLDAMLoss, {"max_margin": 0.5, "beta": 0.9999}, LDAM),
    (
        losses.BinaryLDAMLoss,
        {"scale": 1.0, "reweight_from": None},
        "logits of a linear classifier, from the first epoch",
    ),
    (losses.ClassBalancedBinaryLoss, {"beta": 0.9999}, CUI),
    (losses.ClassBalancedLoss, {"beta": 0.9999, "gamma": 0.0}, CUI),
    (losses.ClassDifficultyLoss, {"weighted_mean": False}, f"{CDB} for CIFAR and EGTEA"),
    (losses.ClassInstanceBalancedLoss, {"trade_off": 1.0, "temperature": 0.1, "share": instance_share}, CIBL),
    (losses.DistributionBalancedLoss, {"alpha": 0.1, "beta": 10.0, "mu": 0.2}, "Wu et al., ECCV 2020, on COCO-MLT"),
    (losses.DistributionBalancedLoss, {"scale": 2.0, "bias": 0.05}, "Wu et al., ECCV 2020, on COCO-MLT"),
    (losses.EqualizationLossV2, {"gamma": 12.0, "mu": 0.8, "alpha": 4.0}, "Tan et al., Equalization loss v2, 2021"),
    (losses.FederatedLoss, {"num_sampled": 50, "power": 0.5}, "Zhou et al., Probabilistic two-stage detection, 2021"),
    (losses.FocalLoss, {"gamma": 2.0}, FOCAL),
    (losses.GaussianMixtureLoss, {"temperature": 0.1}, GML),
    (losses.LDAMLoss, {"max_margin": 0.5, "scale": 30.0, "beta": 0.9999}, LDAM),
    (losses.LogitAdjustedLoss, {"strength": 1.0}, "Menon et al., Logit adjustment, ICLR 2021"),
    (losses.PixelLoss, {"ignore_index": 255}, "the annotations of Cityscapes"),
    (losses.SeesawLoss, {"p": 0.8, "q": 2.0}, "Wang et al., Seesaw loss, CVPR 2021"),
    (losses.SupervisedContrastiveLoss, {"temperature": 0.1}, "Khosla et al., NeurIPS 2020"),
    (ClassDifficulty, {"tau": "dynamic"}, CDB),
    # methods and models
    (methods.BCL, {"temperature": 0.1, "classifier_weight": 2.0, "contrastive_weight": 0.6, "scale": 30.0}, BCL),
    (methods.BCL, {"hidden_features": 512, "embedding_features": 128}, BCL),
    (methods.BCL, {"logit_loss": losses.LogitAdjustedLoss}, BCL),
    (methods.CIBL, {"trade_off": 1.0, "temperature": 0.1, "scale": 30.0}, CIBL),
    (methods.CIBL, {"hidden_features": 512, "embedding_features": 128}, CIBL),
    (GaussianMixture, {"min_per_class": 2, "embedding_features": 32, "temperature": 0.1, "scale": 30.0}, GML),
    (GaussianMixture, {"classifier_weight": 1.0, "contrastive_weight": 1.0}, GML),
    (GaussianMixture, {"logit_loss": losses.LogitAdjustedLoss}, GML),
    (methods.GML, {"momentum": 0.999}, MOMENTUM),
    (methods.GMLTeacher, {"distillation_weight": 1.0}, GML),
    (distil, {"temperature": 4.0}, GML),
    (methods.PixelGML, {"temperature": 0.1, "momentum": 0.999}, GML),
    (PixelMethod, {"ignore_index": 255}, "the annotations of Cityscapes"),
    (methods.SigmoidBoxes, {"prior": 0.01}, FOCAL),
    (methods.RCNN, {"masks": True, "min_size": 800, "max_size": 1333}, MASK_RCNN),
    (methods.RCNN, {"score_threshold": 0.05, "detections": 100, "boxes_per_image": 512}, MASK_RCNN),
    (methods.NearestClassMean, {"scale": 25.0}, LIFT),
    (methods.ClassMeans, {"images": 100}, LIFT),
    (methods.TextFeatures, {"templates": ("a photo of a {class}.",)}, LIFT),
    (methods.TextFeatures, {"model": "ViT-B-16-quickgelu", "pretrained": "openai"}, LIFT),
    (models.CosineClassifier, {"scale": 30.0}, BCL),
    (models.MomentumEncoder, {"momentum": 0.999}, MOMENTUM),
    (models.TauClassifier, {"largest": 1.0}, f"{KANG}: tau in 0..1"),
    (models.ResNet50FPN, {"version": 1, "trainable_stages": 3}, MASK_RCNN),
    (models.TimmFPN, {"features": 256, "anchors": 32}, MASK_RCNN),
    # samplers
    (samplers.RepeatFactorSampler, {"threshold": 0.001}, LVIS),
    (data.RepeatFactorSampling, {"threshold": 0.001}, LVIS),
    (data.PowerSampling, {"power": 0.0, "progressive": False}, f"{KANG}: class-balanced sampling"),
    # schedules
    (tasks.StepSchedule, {"milestones": (0.8, 0.9), "gamma": 0.1, "warmup": 5.0}, LDAM),
    (tasks.CosineSchedule, {"warmup": 5.0}, "a warm-up of 5 epochs as in the released code of LDAM"),
    (tasks.PolySchedule, {"power": 0.9, "warmup": 0.0}, "Chen et al., DeepLab, TPAMI 2018"),
    # metrics, and what comes after the training
    (metrics.CalibrationError, {"bins": 15}, CALIBRATION),
    (metrics.probability_figures, {"bins": 15}, CALIBRATION),
    (reliability, {"bins": 15}, CALIBRATION),
    (posthoc.energy, {"temperature": 1.0}, "Liu et al., Energy-based out-of-distribution detection, NeurIPS 2020"),
    (posthoc.fit_sets, {"coverage": 0.9, "kind": "marginal"}, "Ding et al., NeurIPS 2023"),
    (posthoc.cross_fitted_sets, {"coverage": 0.9, "kind": "marginal"}, "Ding et al., NeurIPS 2023"),
    (calibrate, {"coverage": 0.9}, "Ding et al., NeurIPS 2023"),
    (posthoc.rejection_threshold, {"rate": 0.05}, "false positives at 95 % true positives, as in Liu et al., 2020"),
    (cross_refused, {"rate": 0.05}, "false positives at 95 % true positives, as in Liu et al., 2020"),
    (calibrate, {"rate": 0.05}, "false positives at 95 % true positives, as in Liu et al., 2020"),
    # augmentation
    (augment.MixUp, {"alpha": 1.0, "p": 1.0}, f"{MIXUP}, on CIFAR"),
    (augment.CutMix, {"alpha": 1.0, "p": 1.0}, "Yun et al., CutMix, ICCV 2019, on ImageNet"),
    (augment.Remix, {"alpha": 1.0, "p": 1.0, "kappa": 3.0, "tau": 0.5}, "Chou et al., Remix, ECCV 2020 workshops"),
    (augment.CMO, {"alpha": 1.0, "p": 0.5, "r": 1.0}, "Park et al., CMO, CVPR 2022, and its released code"),
    (augment.ResizedCrop, {"scale": (0.08, 1.0), "ratio": (3 / 4, 4 / 3)}, "Szegedy et al., CVPR 2015"),
    (augment.GrowingCrop, {"least": 0.08}, LIFT),
    (augment.PadCrop, {"padding": 4}, f"{RESNET}, on CIFAR"),
    (augment.HorizontalFlip, {"p": 0.5}, RESNET),
    (Resize, {"interpolation": "bilinear", "crop": 0.875, "crop_mode": "center"}, f"{RESNET}: 224 of 256 pixels"),
    (augment.Cutout, {"size": 0.5, "value": 0}, "DeVries and Taylor, 2017: 16 of 32 pixels on CIFAR-10"),
    (augment.GaussianBlur, {"sigma": (0.1, 2.0), "p": 0.5}, SIMCLR),
    (augment.Greyscale, {"p": 0.2}, SIMCLR),
    (augment.ColourJitter, {"p": 1.0}, "torchvision"),
    (augment.RandAugment, RANDAUGMENT, BCL),
    (augment.PlainView, {**FLIP, "rotation": 0.0}, RESNET),
    (augment.AutoAugmentView, {**FLIP, "policy": "cifar10", "cutout": 0.5}, BCL),
    (augment.ClassifierView, {**FLIP, **RANDAUGMENT}, BCL),
    (augment.SimView, {**FLIP, "strength": 0.4, "blur": 0.0}, BCL),
    (augment.RandView, {**FLIP, **RANDAUGMENT}, BCL),
    (augment.BlurredView, {**FLIP, **RANDAUGMENT}, GML),
    (augment.LargeScaleJitter, {"size": 1024, "scale": (0.1, 2.0), **FLIP}, "Ghiasi et al., Copy-paste, CVPR 2021"),
    (augment.MultiScale, {"min_sizes": (640, 672, 704, 736, 768, 800), "max_size": 1333, **FLIP}, MASK_RCNN),
    (augment.ScaleCropFlip, {"size": 512, "scale": (0.5, 2.0), **FLIP, "max_share": 0.75}, MMSEGMENTATION),
]

OURS: list[tuple[Callable[..., Any], dict[str, Any], str]] = [  # no paper has them, but figures in the docs do
    (tasks.Segmentation, {"many": 1.0, "few": 0.2}, "times the mean count of pixels of a class"),
    (ClassDifficulty, {"floor": 0.01}, "a class without mistakes is not left out"),
    (metrics.geometric_mean, {"floor": 1e-3}, "one class at 0 does not hide the others"),
    (metrics.harmonic_mean, {"floor": 1e-3}, "one class at 0 does not hide the others"),
    (methods.PixelGML, {"samples": 1024, "embedding_features": 128, "contrastive_weight": 0.1}, "docs/segmentation.md"),
    (posthoc.cross_fitted, {"kind": "temperature", "folds": 5}, "docs/after_training.md"),
    (posthoc.fit_scaling, {"kind": "temperature"}, "docs/after_training.md"),
    (posthoc.fit_sets, {"seed": 0}, "docs/after_training.md"),
    (posthoc.cross_fitted_sets, {"folds": 5}, "docs/after_training.md"),
    (posthoc.prior_interval, {"level": 0.95, "samples": 100, "seed": 0}, "docs/after_training.md"),
    (
        models.LoRA,
        {"rank": 4, "alpha": 4.0},
        "0.15 million weights of ViT-B/16; the adapters of LIFT for 100 classes are 0.1",
    ),
    (models.Prompts, {"length": 10}, "0.09 million weights of ViT-B/16"),
    (ClipData, {"frames": 8, "test_clips": 1}, "docs/clips.md"),
    (FileData, {"val_fraction": 0.2, "test_fraction": 0.0, "split_seed": 0}, "docs/your_data.md"),
    (DetectionData, {"masks": True, "val_fraction": 0.1, "split_seed": 0}, "docs/detection.md"),
    (SegmentationData, {"val_fraction": 0.1, "split_seed": 0}, "docs/segmentation.md"),
    (augment.ScaleCropFlip, {"jitter": 0.0}, "docs/segmentation.md"),
]

CONSTANTS: list[tuple[str, dict[str, Any], str]] = [  # of a module; the sizes are those that docs/losses.md measures
    ("losses.softmax", {"BLOCK": 2**19}, "2 MB in float32, which fit into the cache of a CPU"),
    ("losses.pixels", {"CPU_BLOCK": 2**19, "BLOCK": 2**24}, "2 MB in float32 on a CPU, 64 MB on an accelerator"),
    ("losses.contrast", {"DENSE": 2**26, "BLOCK": 2**22}, "256 MB in float32, and 16 MB"),
    ("losses.gml", {"KEPT": 2**26, "BLOCK": 2**22}, "256 MB in float32, and 16 MB"),
    ("metrics.calibration", {"UNIT": 2**-36}, "finer than float32, and 100 million rows are below 2^63 of it"),
    ("metrics.rejection", {"KEPT": 0.95}, "Liang et al., ICLR 2018"),
    ("posthoc.conformal", {"QUANTILES": (0.5, 0.6, 0.7, 0.8, 0.9)}, "Ding et al., NeurIPS 2023, section 2.3"),
    (
        "augment.normalise",
        {"IMAGENET_MEAN": (0.485, 0.456, 0.406), "IMAGENET_STD": (0.229, 0.224, 0.225)},
        "torchvision",
    ),
    ("augment.pixels", {"IGNORED": 255}, "the annotations of Cityscapes"),
    ("augment.pixels", {"_TRIES": 10, "_PADDING": (124, 116, 104)}, f"{MMSEGMENTATION}, rounded"),
    ("methods.pixels", {"OVERLAP": 1 / 3}, f"{MMSEGMENTATION}: a stride of two thirds of the window"),
    ("methods.rcnn", {"MATCHED": 0.5}, MASK_RCNN),
    ("tasks.rejection", {"IMAGES": 100}, LIFT),
]


@pytest.mark.parametrize(("module", "published", "source"), CONSTANTS, ids=[name for name, _, _ in CONSTANTS])
def test_a_constant_is_the_published_one(module: str, published: dict[str, Any], source: str) -> None:
    namespace = import_module(f"longtail.{module}")
    assert {name: getattr(namespace, name) for name in published} == published, source


@pytest.mark.parametrize(
    ("function", "published", "source"),
    [*PUBLISHED, *OURS],
    ids=[f"{function.__name__}-{'-'.join(published)}" for function, published, _ in [*PUBLISHED, *OURS]],
)
def test_a_default_is_the_published_one(function: Callable[..., Any], published: dict[str, Any], source: str) -> None:
    parameters = inspect.signature(function).parameters
    assert {name: parameters[name].default for name in published} == published, source


def test_a_class_that_was_never_a_negative_is_taken_as_100_times_as_often_positive() -> None:
    """Tan et al., Equalization loss v2, CVPR 2021: the ratio that the released code begins with."""
    _, as_negative = losses.EqualizationLossV2(3, gamma=0.01, mu=0.8).weights()
    torch.testing.assert_close(as_negative, torch.full((3,), 0.01 * (100 - 0.8)).sigmoid())


def test_the_optimizer_is_that_of_most_papers() -> None:
    """SGD as in the released code of LDAM, BCL and GML on CIFAR; the rate is that of a batch of 128."""
    optimizer = sgd([torch.nn.Parameter(torch.zeros(1))])
    assert isinstance(optimizer, torch.optim.SGD)
    options = {"lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4, "nesterov": False, "dampening": 0}
    assert {name: optimizer.defaults[name] for name in options} == options
