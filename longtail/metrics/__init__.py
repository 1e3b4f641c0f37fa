"""Metrics of long-tailed recognition; sums over batches and over processes."""

from longtail.metrics.calibration import CalibrationError, probability_figures, reliability
from longtail.metrics.class_metric import ClassMetric
from longtail.metrics.long_tail import LongTailMetrics
from longtail.metrics.multi_label import LabelScores, average_precision, best_thresholds, label_figures
from longtail.metrics.per_class import PerClassAccuracy, cohen_kappa, geometric_mean, harmonic_mean, mean_precision
from longtail.metrics.rejection import separation
from longtail.metrics.shots import shot_accuracy
from longtail.metrics.tradeoff import adjusted_accuracy

__all__ = [
    "CalibrationError",
    "ClassMetric",
    "LabelScores",
    "LongTailMetrics",
    "PerClassAccuracy",
    "adjusted_accuracy",
    "average_precision",
    "best_thresholds",
    "cohen_kappa",
    "geometric_mean",
    "harmonic_mean",
    "label_figures",
    "mean_precision",
    "probability_figures",
    "reliability",
    "separation",
    "shot_accuracy",
]
