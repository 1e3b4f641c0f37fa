"""Tasks: the Lightning engines around the methods."""

from longtail.tasks.classification import Classification
from longtail.tasks.detection import Detection
from longtail.tasks.multi_label import MultiLabel
from longtail.tasks.schedules import CosineSchedule, PolySchedule, StepSchedule
from longtail.tasks.segmentation import Segmentation

__all__ = [
    "Classification",
    "CosineSchedule",
    "Detection",
    "MultiLabel",
    "PolySchedule",
    "Segmentation",
    "StepSchedule",
]
