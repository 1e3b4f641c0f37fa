"""The probabilities of a run, calibrated on its validation images, and what it gives under other class frequencies."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from rich.table import Table
from torch import Tensor
from torch.nn.functional import cross_entropy

from longtail.checks import check_outputs
from longtail.counts import shot_groups
from longtail.errors import InputError
from longtail.inference.calibration import Calibration
from longtail.inference.classification import Classifier
from longtail.inference.posterior import Posterior
from longtail.inference.priors import ESTIMATE
from longtail.inference.rejection import FILE_NAME as MEANS
from longtail.inference.runs import check_use, foreign_option, predictor_of, tasks_that
from longtail.methods.base import Method
from longtail.metrics.calibration import probability_figures, reliability
from longtail.metrics.long_tail import LongTailMetrics
from longtail.posthoc.conformal import check_coverage
from longtail.posthoc.rejection import RATE, check_rate, energy
from longtail.posthoc.scaling import SCALINGS, cross_fitted, fit_scaling
from longtail.reports.calibration import Figures
from longtail.reports.results import load_results
from longtail.reports.terminal import metrics_table
from longtail.reports.wording import metric, number
from longtail.tasks.logits import open_split
from longtail.tasks.rejection import measure_means, refused, score_outsiders
from longtail.tasks.sets import measure_sets

AUTO = "auto"
FOLDS = 5


def calibrate(
    run: Path,
    kind: str = AUTO,
    checkpoint: str | None = None,
    args: Sequence[str] = (),
    coverage: float = 0.9,
    rate: float = RATE,
    class_means: bool = False,
    outsiders: Path | None = None,
) -> tuple[Calibration, Path]:
    """Fit a scaling of the logits on the validation images of a run, and write it into its folder.

    What the scaling is worth is measured by cross-fitting: the images of a fold by a scaling that was fitted on the
    others. With "auto" every kind is, and the one of the smallest negative log likelihood is taken, the simplest among
    equals. In the same way it is measured what sets of classes, and refusing what fits no class, cost these images.

    Args:
        run: its folder.
        kind: of the scaling, see ``longtail.posthoc.fit_scaling``, or "auto".
        checkpoint: "best" or "last"; by default the one best on validation if there is one.
        args: further options, such as ``--data.root``.
        coverage: of the sets that are measured.
        rate: share of known images that may be refused where that is measured.
        class_means: also take the class means of the features, and measure the distance to them.
        outsiders: folder of images, or videos, of none of the classes, from which each score is to tell the known
            ones; wants the class means too.

    Returns:
        The calibration and its file.

    Raises:
        InputError: if the run, its checkpoint, its validation split or an outsider is not there; or on a coverage or a
            rate outside 0..1.
    """
    for option, check, value in (("--", check_coverage, coverage), ("--reject-", check_rate, rate)):
        try:
            check(value)
        except ValueError as error:
            raise InputError(f"{option}{error}") from None
    results = load_results(run)
    check_use(results, "calibration")
    opened = open_split(run, "val", checkpoint, args)
    path, method = opened.checkpoint, opened.task.method
    assert isinstance(method, Method)  # as of every run that is of such a predictor
    counts, limits = results["train_counts"], results["thresholds"]
    groups = {"all": torch.ones(len(counts), dtype=torch.bool), **shot_groups(counts, **limits)}
    posterior = Posterior(results["classes"], counts)
    classifier = Classifier.around(method, run, results, path, posterior)
    others = [] if outsiders is None else [file.path for file in classifier.files([outsiders])]
    means = measure_means(opened) if class_means or others else None
    outliers = {} if means is None or not others else score_outsiders(others, classifier, means)
    logits, targets = opened.logits()
    check_outputs(logits)
    images = targets.bincount(minlength=len(counts))
    frequencies = (images.double() + 1).log() - (images + 1).sum().double().log()
    fitted = {
        name: cross_fitted(logits, targets, counts, name, FOLDS, **limits)
        for name in (SCALINGS if kind == AUTO else (kind,))
    }
    loss = {name: float(cross_entropy(scaled + frequencies, targets)) for name, scaled in fitted.items()}
    best = min(fitted, key=lambda name: round(loss[name], 4))
    after, before = (fitted[best] + frequencies).softmax(1), logits.double().softmax(1)
    scaling = fit_scaling(logits, targets, counts, best, **limits)
    prior = scaling.implied_prior(counts)
    implied = (fitted[best] + prior.log()).softmax(1)
    scores = {"energy": energy(logits), **({} if means is None else {"distance": means.distance})}
    calibration = Calibration(
        checkpoint=path.stem,
        scaling=scaling,
        prior=prior.tolist(),
        images=images.tolist(),
        labels=targets.tolist(),
        true=implied.gather(1, targets[:, None])[:, 0].clamp(0, 1).tolist(),
        figures={
            name: {
                when: _figures(probabilities, targets, classes)
                for when, probabilities in (("before", before), ("after", after))
            }
            for name, classes in groups.items()
        },
        energy=scores["energy"].tolist(),
        set_figures=measure_sets(implied, targets, prior, coverage, groups, FOLDS),
        rejection_figures={
            "rate": rate,
            "scores": {
                name: refused(values, targets, groups, rate, FOLDS, outliers.get(name))
                for name, values in scores.items()
            },
        },
    )
    (run / MEANS).unlink(missing_ok=True)  # those of another calibration
    if means is not None:
        means.write(run)
    return calibration, calibration.write(run)


def _figures(probabilities: Tensor, targets: Tensor, classes: Tensor) -> Figures:
    """What probabilities are worth on the images of some classes."""
    rows = classes[targets]
    metrics = probability_figures(probabilities[rows], targets[rows])
    confidence, accuracy, images = reliability(probabilities[rows], targets[rows])
    return {
        "images": int(rows.sum()),
        "metrics": {name: None if value.isnan() else float(value) for name, value in metrics.items()},
        "reliability": {
            "confidence": confidence.tolist(),
            "accuracy": accuracy.tolist(),
            "images": images.int().tolist(),
        },
    }


def measure_under(
    split: Literal["val", "test"], run: Path, prior: str | None, strength: float = 0.0, args: Sequence[str] = ()
) -> Table:
    """The figures of a run on one of its splits as it is, and with its logits corrected; nothing is written.

    Args:
        split: of its data.
        run: its folder.
        prior: other class frequencies, see ``longtail.inference.priors.prior_of``, or None.
        strength: of a logit adjustment, where there is no prior.
        args: further options, such as ``--data.root``.

    Raises:
        InputError: if the run, its checkpoint or the split is not there, or the frequencies cannot be used.
    """
    results = load_results(run)
    option = "--strength" if prior is None else "--prior"
    if not predictor_of(results).calibration:
        raise foreign_option(option, results, tasks_that(lambda predictor: predictor.calibration))
    opened = open_split(run, split, None, args)
    method = opened.task.method
    assert isinstance(method, Method)  # as of every run that is of such a predictor
    posterior = Posterior.of_run(run, results, method, opened.checkpoint.stem)
    other = posterior.adjusted(strength).under(prior)
    logits, targets = opened.logits()
    other = other.estimated([logits]) if prior == ESTIMATE else other
    columns = []
    for probabilities in (posterior(logits), other(logits)):
        metrics = LongTailMetrics(results["train_counts"], **results["thresholds"])
        metrics.update(probabilities.log(), targets)
        columns.append({name: float(value) for name, value in metrics.compute()[0].items()})
    rows = [(metric(key).label, [number(key, column[key]) for column in columns]) for key in columns[0]]
    title = f"{results['name']} on {len(targets)} {split} images, {opened.checkpoint.stem} checkpoint"
    change = f"--strength {strength:g}" if prior is None else f"--prior {prior}"
    return metrics_table(title, ["as it is", change], rows)
