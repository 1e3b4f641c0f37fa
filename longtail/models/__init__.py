"""Backbones, classifiers and heads."""

from longtail.models.backbones import Backbone
from longtail.models.classifiers import CosineClassifier
from longtail.models.heads import ClassPrototypes, ProjectionHead

__all__ = ["Backbone", "ClassPrototypes", "CosineClassifier", "ProjectionHead"]
