"""Losses: plain torch modules over rows of logits or embeddings."""

from longtail.losses.bcl import BalancedContrastiveLoss
from longtail.losses.cross_entropy import CrossEntropyLoss
from longtail.losses.logit_adjusted import LogitAdjustedLoss

__all__ = ["BalancedContrastiveLoss", "CrossEntropyLoss", "LogitAdjustedLoss"]
