"""How little an input looks like any of the classes: scores by which it is refused."""

import math

import torch
from torch import Tensor
from torch.nn.functional import normalize

from longtail.checks import Numbers, check_shape, check_targets, check_temperature
from longtail.posthoc.conformal import conformal_quantile

SCORES = ("energy", "distance")
RATE = 0.05  # share of known images that may be refused, unless another is asked for


def energy(logits: Numbers, temperature: float = 1.0) -> Tensor:
    r"""The energy of each row, :math:`-T \log \sum_c \exp(z_c / T)` (M,), float64; larger for what fits no class.

    Args:
        logits: z (M, C).
        temperature: T.

    Raises:
        ValueError: on another shape, or a temperature that is not positive.

    Source: Liu et al., Energy-based out-of-distribution detection, NeurIPS 2020, equation 4.
    """
    check_temperature(temperature)
    values = check_shape("logits", logits, "M", "C").double()
    return -temperature * (values / temperature).logsumexp(1)


def mean_directions(features: Numbers, targets: Numbers, num_classes: int) -> Tensor:
    r"""Mean of the normalised features of each class, :math:`\mu_c = \frac{1}{n_c} \sum_{y_i = c} f_i / |f_i|` (C, D),
    float64, for `class_distance`.

    Args:
        features: f (M, D).
        targets: labels (M,), each class among them.
        num_classes: C.

    Raises:
        ValueError: on another shape, or a class without a row.
    """
    values = normalize(check_shape("features", features, "M", "D").double())
    labels = check_targets(targets, len(values), num_classes)
    images = labels.bincount(minlength=num_classes)
    if not bool(images.all()):
        raise ValueError(f"every class must have a row, class {int(images.argmin())} has none")
    return values.new_zeros(num_classes, values.shape[1]).index_add(0, labels, values) / images[:, None]


def class_distance(features: Numbers, means: Numbers) -> Tensor:
    r"""The angle to the nearest class, :math:`1 - \max_c \cos(f / |f| - \bar\mu, \mu_c - \bar\mu)` (M,), float64, in
    0..2.

    The centre :math:`\bar\mu` is the mean of the class means, so that a frequent class weighs as much as a rare one,
    and what all images share counts for nothing.

    Args:
        features: f (M, D).
        means: :math:`\mu` (C, D), by `mean_directions`.

    Raises:
        ValueError: on another shape.

    Source: the nearest class mean (Mensink et al., ECCV 2012) in the place of the Mahalanobis distance of Lee et al.,
    A simple unified framework for detecting out-of-distribution samples and adversarial attacks, NeurIPS 2018.
    """
    centres = check_shape("means", means, "C", "D").double()
    values = normalize(check_shape("features", features, "M", centres.shape[1]).double())
    centre = centres.mean(0)
    return 1 - (normalize(values - centre) @ normalize(centres - centre).T).max(1).values


def rejection_threshold(scores: Numbers, rate: float = RATE) -> float:
    """The score above which an input is refused, so that of known ones at most this share is, on the mean.

    The ``ceil((n + 1) (1 - rate))``-th smallest of the scores of n held-out images.

    Args:
        scores: (n,), of held-out images of the classes.
        rate: share of known images that may be refused, in 0..1, both excluded.

    Raises:
        ValueError: on a rate outside 0..1, or fewer images than ``1 / rate - 1``: none could be refused.
    """
    check_rate(rate)
    threshold = conformal_quantile(scores, 1 - rate)
    if threshold == math.inf:
        raise ValueError(f"rate {rate:g} wants at least {images_for(rate)} held-out images, got {len(scores)}")
    return threshold


def images_for(rate: float) -> int:
    """How many held-out images a threshold for a rate wants at least, ``1 / rate - 1``."""
    return math.ceil(1 / rate - 1 - 1e-9)


def check_rate(rate: float) -> None:
    """Raise ValueError unless a rate is between 0 and 1."""
    if not 0 < rate < 1:
        raise ValueError(f"rate must be between 0 and 1, both excluded, got {rate:g}")


def cross_refused(scores: Numbers, fold: Tensor, rate: float = RATE) -> Tensor:
    """Which rows are refused, bool (M,), each by the threshold of the other folds; none where these are too few.

    Args:
        scores: (M,).
        fold: of each row (M,), see ``longtail.posthoc.scaling.fold_of``.
        rate: as of `rejection_threshold`.

    Raises:
        ValueError: on a rate outside 0..1.
    """
    check_rate(rate)
    values = check_shape("scores", scores, len(fold)).double()
    refused = torch.zeros(len(fold), dtype=torch.bool)
    for number in sorted(set(fold.tolist())):
        inside = fold == number
        refused[inside] = values[inside] > conformal_quantile(values[~inside], 1 - rate)
    return refused
