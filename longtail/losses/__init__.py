"""Losses: plain torch modules over rows of logits or embeddings."""

from longtail.losses.asymmetric import AsymmetricLoss
from longtail.losses.bcl import BalancedContrastiveLoss
from longtail.losses.binary_cross_entropy import BinaryCrossEntropyLoss, ClassBalancedBinaryLoss
from longtail.losses.binary_difficulty import BinaryDifficultyLoss
from longtail.losses.binary_ldam import BinaryLDAMLoss
from longtail.losses.cdb import ClassDifficultyLoss
from longtail.losses.cibl import ClassInstanceBalancedLoss
from longtail.losses.class_balanced import ClassBalancedLoss
from longtail.losses.cross_entropy import CrossEntropyLoss
from longtail.losses.distribution_balanced import DistributionBalancedLoss
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
    "AsymmetricLoss",
    "BalancedContrastiveLoss",
    "BinaryCrossEntropyLoss",
    "BinaryDifficultyLoss",
    "BinaryLDAMLoss",
    "ClassBalancedBinaryLoss",
    "ClassBalancedLoss",
    "ClassDifficultyLoss",
    "ClassInstanceBalancedLoss",
    "CrossEntropyLoss",
    "DistributionBalancedLoss",
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
