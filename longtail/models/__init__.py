"""Backbones, classifiers, heads, and what contrastive methods keep between steps."""

from longtail.models.backbones import Backbone
from longtail.models.class_queue import ClassQueue
from longtail.models.classifiers import CosineClassifier, ScaledClassifier, TauClassifier
from longtail.models.detectors import ResNet50FPN, TimmFPN
from longtail.models.heads import ClassPrototypes, ProjectionHead
from longtail.models.momentum import MomentumEncoder
from longtail.models.segmenters import SMP
from longtail.models.tuning import AdaptFormer, Biases, Frozen, LoRA, Norms, Prompts
from longtail.models.video import FrameMean, VideoBackbone

__all__ = [
    "SMP",
    "AdaptFormer",
    "Backbone",
    "Biases",
    "ClassPrototypes",
    "ClassQueue",
    "CosineClassifier",
    "FrameMean",
    "Frozen",
    "LoRA",
    "MomentumEncoder",
    "Norms",
    "ProjectionHead",
    "Prompts",
    "ResNet50FPN",
    "ScaledClassifier",
    "TauClassifier",
    "TimmFPN",
    "VideoBackbone",
]
