"""How large sets of classes are on validation images, and how often they hold the true class."""

from collections.abc import Mapping

from torch import Tensor

from longtail.posthoc.conformal import SETS, cross_fitted_sets
from longtail.reports.sets import SetFigures, Worth


def measure_sets(
    probabilities: Tensor, targets: Tensor, prior: Tensor, coverage: float, groups: Mapping[str, Tensor], folds: int
) -> SetFigures | None:
    """Size and coverage of the sets of every kind by group, each image by thresholds of other folds; None for fewer
    than two images.

    Args:
        probabilities: of the validation images (M, C), by scalings that were fitted on others.
        targets: their labels (M,).
        prior: class frequencies (C,) under which the probabilities hold.
        coverage: that is promised.
        groups: classes (C,) of each group.
        folds: of the images.
    """
    if len(targets) < 2:
        return None
    figures: SetFigures = {"coverage": coverage, "kinds": {}, "unsure": {}}
    for kind in SETS:
        inside, unsure = cross_fitted_sets(probabilities, targets, prior, coverage, kind, folds)
        size, covered = inside.sum(1).double(), inside.gather(1, targets[:, None])[:, 0].double()
        figures["kinds"][kind] = {name: _worth(size, covered, classes[targets]) for name, classes in groups.items()}
        figures["unsure"][kind] = int(unsure.sum())
    return figures


def _worth(size: Tensor, covered: Tensor, rows: Tensor) -> Worth:
    images = int(rows.sum())
    mean = [float(values[rows].mean()) if images else None for values in (size, covered)]
    return {"images": images, "size": mean[0], "covered": mean[1]}
