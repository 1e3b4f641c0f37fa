"""Sets of classes that hold the true one as often as was promised."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from longtail.checks import Numbers, check_logits, check_shape, check_targets
from longtail.posthoc.prior import check_prior
from longtail.posthoc.scaling import fold_of

SETS = ("marginal", "class", "cluster", "prevalence")
QUANTILES = (0.5, 0.6, 0.7, 0.8, 0.9)  # by which the scores of two classes are compared, beside the coverage


def conformal_quantile(scores: Numbers, coverage: float, weights: Numbers | None = None) -> float:
    r"""The threshold that a new score is under with a probability of at least the coverage.

    Without weights the ``ceil((n + 1) coverage)``-th smallest of n exchangeable scores, infinite where n is too small
    for the coverage. With weights w the smallest score at which the weights so far reach
    :math:`\mathrm{coverage} \cdot (\sum w + w_{max})`, which errs on the safe side for a new score of any weight.

    Args:
        scores: (n,), larger for what fits worse.
        coverage: in 0..1, both excluded.
        weights: (n,), how often each score stands for one where the sets are used.

    Raises:
        ValueError: on another shape, or a coverage outside 0..1.

    Source: Vovk et al., Algorithmic learning in a random world, 2005; Podkopaev and Ramdas, Distribution-free
    uncertainty quantification for classification under label shift, UAI 2021.
    """
    check_coverage(coverage)
    values = check_shape("scores", scores, "n").double()
    if not len(values):
        return math.inf
    share = torch.ones_like(values) if weights is None else check_shape("weights", weights, len(values)).double()
    order = values.argsort()
    reached = share[order].cumsum(0) >= coverage * (share.sum() + share.max()) - 1e-9
    return float(values[order][int(reached.int().argmax())]) if bool(reached.any()) else math.inf


def check_coverage(coverage: float) -> None:
    """Raise ValueError unless a coverage is between 0 and 1."""
    if not 0 < coverage < 1:
        raise ValueError(f"coverage must be between 0 and 1, both excluded, got {coverage:g}")


@dataclass(frozen=True)
class ConformalSets:
    """Thresholds of the classes; a set holds those whose score is not above theirs, and the most probable one always.

    Attributes:
        kind: one of ``SETS``.
        coverage: what was promised.
        thresholds: (C,); infinite for a class that is in every set.
        prior: class frequencies (C,) by which the probabilities are divided for the scores of "prevalence".
    """

    kind: str
    coverage: float
    thresholds: Tensor
    prior: Tensor

    def __call__(self, probabilities: Numbers) -> Tensor:
        """Which classes are in the set of each row, bool (M, C)."""
        values = check_shape("probabilities", probabilities, "M", len(self.thresholds)).double()
        inside = scores_of(self.kind, values, self.prior) <= self.thresholds
        return inside.scatter(1, values.argmax(1, keepdim=True), True)


def scores_of(kind: str, probabilities: Tensor, prior: Tensor) -> Tensor:
    r"""How badly a class fits, :math:`1 - p_c`, or :math:`-p_c / \pi_c` for "prevalence", which gives rare classes the
    weight of frequent ones (Ding et al., Conformal prediction for long-tailed classification, 2025)."""
    return -probabilities / prior.clamp_min(1e-12) if kind == "prevalence" else 1 - probabilities


def fit_sets(
    true: Numbers,
    targets: Numbers,
    prior: Numbers,
    coverage: float = 0.9,
    kind: str = "marginal",
    target_prior: Numbers | None = None,
    seed: int = 0,
) -> ConformalSets:
    """Fit the thresholds on held-out images.

    By kind: "marginal" promises the coverage over all images, "class" for every class, infinite where a class has
    fewer than ``coverage / (1 - coverage)`` images, "cluster" for every cluster of classes with scores alike, and
    "prevalence" over all images with sets that are fair to rare classes.

    Args:
        true: probability of the true class of each held-out image (M,), by a scaling that was fitted on others.
        targets: labels (M,).
        prior: class frequencies (C,) under which the probabilities hold.
        coverage: to be promised, between 0 and 1.
        kind: see above.
        target_prior: class frequencies (C,) where the sets are used, by default those of the held-out images.
        seed: of the split of the images into those that make the clusters and those that make the thresholds.

    Raises:
        ValueError: on another shape or kind, no image, or a coverage outside 0..1.

    Source: Vovk et al. 2005 (marginal, per class); Ding et al., Class-conditional conformal prediction with many
    classes, NeurIPS 2023 (clusters); Ding et al. 2025 (prevalence).
    """
    check_coverage(coverage)
    if kind not in SETS:
        raise ValueError(f"kind must be one of {', '.join(SETS)}, got {kind!r}")
    values = check_shape("true", true, "M").double()
    labels = check_targets(targets, "M")
    if not len(labels) or len(labels) != len(values):
        raise ValueError(f"true and targets must be of the same images, got {len(values)} and {len(labels)}")
    classes = len(check_shape("prior", prior, "C"))
    frequencies = check_prior(prior, classes)
    own = scores_of(kind, values, frequencies[labels])
    weights = None
    if target_prior is not None:
        held_out = labels.bincount(minlength=classes).double() / len(labels)
        weights = check_prior(target_prior, classes)[labels] / held_out[labels]
    group = torch.zeros(classes, dtype=torch.int64)
    counted = torch.ones(len(labels), dtype=torch.bool)
    if kind == "class":
        group, weights = torch.arange(classes), None
    elif kind == "cluster":
        group, counted = _clusters(own, labels, classes, coverage, seed)
    thresholds = torch.empty(classes, dtype=torch.float64)
    for number in sorted(set(group.tolist())):
        inside = counted & ((group[labels] == number) if number >= 0 else torch.ones_like(counted))
        share = None if weights is None else weights[inside]
        thresholds[group == number] = conformal_quantile(own[inside], coverage, share)
    return ConformalSets(kind, coverage, thresholds, frequencies)


def cross_fitted_sets(
    probabilities: Numbers,
    targets: Numbers,
    prior: Numbers,
    coverage: float = 0.9,
    kind: str = "marginal",
    folds: int = 5,
) -> tuple[Tensor, Tensor]:
    """Sets of held-out images, bool (M, C), each by thresholds that were fitted on the other folds, and which classes
    (C,) had too few images in some of these, and were in every set; see `fit_sets`.

    Args:
        probabilities: class probabilities (M, C), by scalings that were fitted on others.
        targets: labels (M,), at least two.
        prior: as of ``fit_sets``.
        coverage: as there.
        kind: as there.
        folds: among which the rows of each class are dealt in turn.

    Raises:
        ValueError: as ``fit_sets``.
    """
    values, labels = check_logits(probabilities, targets)
    true, fold = values.gather(1, labels[:, None])[:, 0], fold_of(labels, folds)
    inside, unsure = torch.zeros_like(values, dtype=torch.bool), torch.zeros(values.shape[1], dtype=torch.bool)
    for number in sorted(set(fold.tolist())):
        own = fold == number
        sets = fit_sets(true[~own], labels[~own], prior, coverage, kind)
        inside[own] = sets(values[own])
        unsure |= sets.thresholds.isinf()
    return inside, unsure


def _clusters(scores: Tensor, labels: Tensor, classes: int, coverage: float, seed: int) -> tuple[Tensor, Tensor]:
    """The cluster of each class (C,), -1 for those with too few images for one, and which images (M,) are left for the
    thresholds.

    Share of the images that make the clusters, and number of these, as in Ding et al. 2023, section 2.3.
    """
    from sklearn.cluster import KMeans

    counts = labels.bincount(minlength=classes)
    needed = math.ceil(coverage / (1 - coverage))
    group = torch.full((classes,), -1)
    enough = counts >= max(needed, 2)
    if int(enough.sum()) < 2:
        return group, torch.ones(len(labels), dtype=torch.bool)
    smallest, large = int(counts[enough].min()), int(enough.sum())
    share = large / (75 + large)
    number = max(2, min(int(share * smallest / 2), large))
    generator = torch.Generator().manual_seed(seed)
    makes = torch.rand(len(labels), generator=generator) < share
    levels = torch.tensor([*QUANTILES, coverage], dtype=torch.float64)
    rows, weights = [], []
    for c in enough.nonzero()[:, 0].tolist():
        own = scores[makes & (labels == c)]
        own = own if len(own) else scores[labels == c]
        rows.append(own.quantile(levels))
        weights.append(math.sqrt(len(own)))
    clusters = KMeans(number, n_init=10, random_state=seed).fit(torch.stack(rows).numpy(), sample_weight=weights)
    group[enough] = torch.as_tensor(clusters.labels_, dtype=torch.int64)
    return group, ~makes
