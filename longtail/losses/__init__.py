"""Losses: plain torch modules over rows of logits or embeddings."""

from longtail.losses.bcl import BalancedContrastiveLoss
from longtail.losses.cdb import ClassDifficultyLoss
from longtail.losses.cibl import ClassInstanceBalancedLoss
from longtail.losses.class_balanced import ClassBalancedLoss
from longtail.losses.cross_entropy import CrossEntropyLoss
from longtail.losses.equalization import EqualizationLossV2
from longtail.losses.federated import FederatedLoss
from longtail.losses.focal import FocalLoss
from longtail.losses.gml import GaussianMixtureLoss
from longtail.losses.ldam import LDAMLoss
from longtail.losses.logit_adjusted import LogitAdjustedLoss
from longtail.losses.pixels import PixelLoss
from longtail.losses.seesaw import SeesawLoss
from longtail.losses.supcon import SupervisedContrastiveLoss

__all__ = [
    "BalancedContrastiveLoss",
    "ClassBalancedLoss",
    "ClassDifficultyLoss",
    "ClassInstanceBalancedLoss",
    "CrossEntropyLoss",
    "EqualizationLossV2",
    "FederatedLoss",
    "FocalLoss",
    "GaussianMixtureLoss",
    "LDAMLoss",
    "LogitAdjustedLoss",
    "PixelLoss",
    "SeesawLoss",
    "SupervisedContrastiveLoss",
]
