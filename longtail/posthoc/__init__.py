"""After the training: other class frequencies, calibrated probabilities and sets with a promise, by arithmetic on the
logits alone."""

from longtail.posthoc.conformal import ConformalSets, conformal_quantile, fit_sets
from longtail.posthoc.prior import estimate_prior, prior_interval, shift_prior
from longtail.posthoc.scaling import SCALINGS, Scaling, cross_fitted, fit_scaling

__all__ = [
    "SCALINGS",
    "ConformalSets",
    "Scaling",
    "conformal_quantile",
    "cross_fitted",
    "estimate_prior",
    "fit_scaling",
    "fit_sets",
    "prior_interval",
    "shift_prior",
]
