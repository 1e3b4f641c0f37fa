"""Trained runs, used: what one of each task does, and functions that take a run of any."""

from longtail.inference.base import Predictor
from longtail.inference.classification import Classifier
from longtail.inference.detection import Detector
from longtail.inference.multi_label import Labeller
from longtail.inference.runs import export_run, load_run
from longtail.inference.segmentation import Segmenter

__all__ = ["Classifier", "Detector", "Labeller", "Predictor", "Segmenter", "export_run", "load_run"]
