"""From the logits of a classifier to class probabilities: calibrated, and under the class frequencies wanted."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from longtail.configuration import parse_yaml
from longtail.counts import log_prior
from longtail.errors import InputError
from longtail.inference.calibration import Calibration
from longtail.inference.priors import prior_of
from longtail.messages import plural
from longtail.methods.base import Method
from longtail.plain import AnyPath
from longtail.posthoc.conformal import SETS, ConformalSets, check_coverage
from longtail.posthoc.prior import estimate_prior, prior_interval
from longtail.reports.results import Results

logger = logging.getLogger(__name__)

MAX_STRENGTH = 100  # of the logit adjustment; beyond it nothing but the class counts would decide
LEAST = 1e-300  # class frequency in the logits, so that a class of 0 has a finite one
NAMED = 3  # classes in the line about estimated frequencies, from either end
UNCERTAIN = 0.1  # half the width of the intervals, summed over the classes and halved: that much may be elsewhere


@dataclass(frozen=True)
class Posterior:
    """Logits to class probabilities.

    Attributes:
        classes: names in the order of the logits.
        class_counts: training images of each class (C,).
        trained_prior: class frequencies (C,) that the logits imply by the loss; None where it does not tell.
        calibration: of the checkpoint, or None.
        strength: S; the logits are adjusted by -S log p, larger predicts rare classes more.
        prior: class frequencies (C,) where it is used; None for those that the logits imply.
    """

    classes: list[str]
    class_counts: list[int]
    trained_prior: Tensor | None = None
    calibration: Calibration | None = None
    strength: float = 0.0
    prior: Tensor | None = None

    @classmethod
    def of_run(cls, run: AnyPath, results: Results, method: Method, checkpoint: str) -> "Posterior":
        """That of a checkpoint of a run, "best" or "last", as its calibration and its loss have it."""
        calibration = Calibration.read(run, len(results["train_counts"]), checkpoint)
        return cls(results["classes"], results["train_counts"], _trained_prior(method, results), calibration)

    def __call__(self, logits: Tensor) -> Tensor:
        """Class probabilities (N, C) by logits (N, C) as the network gives them."""
        logits = logits if self.scale is None else logits * self.scale
        return (logits if self.adjustment is None else logits + self.adjustment).softmax(1)

    def adjusted(self, strength: float) -> "Posterior":
        """The same with its logits adjusted.

        Raises:
            InputError: for a strength that is not a number from -100 to 100.
        """
        if not abs(strength) <= MAX_STRENGTH:
            raise InputError(f"--strength must be a number from -{MAX_STRENGTH} to {MAX_STRENGTH}, got {strength:g}")
        return replace(self, strength=strength)

    def under(self, prior: str | None) -> "Posterior":
        """The same where the classes have other frequencies; those to be estimated are left for ``estimated``.

        Args:
            prior: see ``prior_of``; None changes nothing.

        Raises:
            InputError: if they cannot be used, are to be estimated without a calibration, or nobody knows which
                frequencies the logits imply.
        """
        if prior is None:
            return self
        if self.strength:
            raise InputError("--strength and --prior both say which classes count more: leave out one")
        values = prior_of(prior, self.classes, self.class_counts)
        if self.calibration is None and values is None:
            raise InputError("--prior estimate wants calibrated probabilities: give longtail calibrate RUN first")
        if self.calibration is None and self.trained_prior is None:
            raise InputError(
                "which class frequencies the logits of this run imply does not follow from its loss: measure it on "
                "validation images by longtail calibrate RUN, then give --prior"
            )
        return replace(self, prior=values)

    def estimated(self, batches: Sequence[Tensor]) -> "Posterior":
        """The same under the class frequencies of some images, by all their logits (N, C); they are told.

        Raises:
            InputError: if there are fewer images than classes.
        """
        assert self.calibration is not None
        images = sum(map(len, batches))
        if images < len(self.classes):
            raise InputError(
                f"--prior estimate wants at least as many images as classes, got {images} for {len(self.classes)}: "
                "give more, or the frequencies in a file"
            )
        scaled, uniform = self.calibration.scaling(torch.cat(list(batches)).double()), torch.ones(len(self.classes))
        prior, (low, high) = estimate_prior(scaled, uniform), prior_interval(scaled, uniform)
        order = prior.argsort(descending=True).tolist()
        listed = order if len(order) <= 2 * NAMED else [*order[:NAMED], None, *order[-NAMED:]]
        words = [
            "..." if c is None else f"{self.classes[c]} {prior[c]:.1%} ({low[c]:.1%} to {high[c]:.1%})" for c in listed
        ]
        logger.info(f"class frequencies of {plural(images, 'image')}, estimated (95 % interval): {', '.join(words)}")
        if float((high - low).sum()) / 4 > UNCERTAIN:
            logger.warning(
                "these frequencies are uncertain: the images are few, or the network takes classes for each other; "
                "give more images, or a file of frequencies"
            )
        return replace(self, prior=prior)

    @property
    def scale(self) -> Tensor | None:
        """By what the logits are multiplied (C,), or None."""
        return None if self.calibration is None else self.calibration.scaling.scale.float()

    @property
    def adjustment(self) -> Tensor | None:
        """What is added to the logits (C,) then, or None.

        That is -S log p for strength S, p_c = n_c / sum n; the bias of the calibration; and the logarithm of the class
        frequencies over those that the logits imply.

        Source: Menon et al., Long-tail learning via logit adjustment, ICLR 2021, equation 9; Saerens et al., Neural
        Computation 2002, equation 2.4.
        """
        if not self.strength and self.calibration is None and self.prior is None:
            return None
        shift = -self.strength * log_prior(self.class_counts).double()
        if self.calibration is not None:
            implied = torch.tensor(self.calibration.prior, dtype=torch.float64)
            shift += self.calibration.scaling.bias + _log(implied if self.prior is None else self.prior)
        elif self.prior is not None:
            assert self.trained_prior is not None
            shift += _log(self.prior) - _log(self.trained_prior)
        return shift.float()

    def sets(self, coverage: float, kind: str) -> ConformalSets:
        """Thresholds for sets of classes, under the class frequencies where it is used.

        Args:
            coverage: that is promised.
            kind: see ``longtail.posthoc.fit_sets``.

        Raises:
            InputError: if the run is not calibrated, or on a coverage outside 0..1.
        """
        try:
            check_coverage(coverage)
        except ValueError as error:
            raise InputError(f"--{error}") from None
        if self.calibration is None:
            raise InputError("--coverage is promised by validation images: give longtail calibrate RUN first")
        sets = self.calibration.sets(coverage, kind, self.prior)
        if unsure := int(sets.thresholds.isinf().sum()):
            logger.info(
                f"{plural(unsure, 'class', 'classes')} of {len(sets.thresholds)} with too few validation images for "
                f"--coverage {coverage:g}: in every set"
            )
        return sets


def add_sets(group: Any) -> None:  # argparse does not name the type of a group
    """Add the options of ``longtail predict`` about sets of classes."""
    group.add_argument(
        "--coverage", type=float, help="add sets of classes that hold the true one as often, such as 0.9"
    )
    group.add_argument(
        "--sets",
        choices=SETS,
        default="marginal",
        help="promised over all (marginal, default; prevalence is fair to rare classes), by class or by cluster",
    )


def _log(prior: Tensor) -> Tensor:
    """Its logarithm, finite for a class that is not there."""
    return prior.double().clamp_min(LEAST).log()


def _trained_prior(method: Method, results: Results) -> Tensor | None:
    """The class frequencies that the logits imply by the loss, where images were drawn as often as they are there, and
    not mixed."""
    try:
        config = parse_yaml(results["config"])
        changed = config["data"]["init_args"].get("sampling") or config["model"]["init_args"].get("mixing")
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    if method.prior_strength is None or changed:
        return None
    return (method.prior_strength * log_prior(results["train_counts"]).double()).softmax(0)
