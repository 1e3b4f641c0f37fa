"""After the training: other class frequencies, calibrated probabilities, sets with a promise and what fits no class, by
arithmetic on the logits and on the features before them."""

from longtail.posthoc.conformal import ConformalSets, conformal_quantile, cross_fitted_sets, fit_sets
from longtail.posthoc.prior import estimate_prior, prior_interval, shift_prior
from longtail.posthoc.rejection import class_distance, energy, mean_directions, rejection_threshold
from longtail.posthoc.scaling import SCALINGS, Scaling, cross_fitted, fit_scaling

__all__ = [
    "SCALINGS",
    "ConformalSets",
    "Scaling",
    "class_distance",
    "conformal_quantile",
    "cross_fitted",
    "cross_fitted_sets",
    "energy",
    "estimate_prior",
    "fit_scaling",
    "fit_sets",
    "mean_directions",
    "prior_interval",
    "rejection_threshold",
    "shift_prior",
]
