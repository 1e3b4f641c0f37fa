"""The trade-off of a trained run between frequent and rare classes, measured on its validation split."""

from collections.abc import Sequence
from pathlib import Path

from longtail.metrics.tradeoff import adjusted_accuracy
from longtail.reports.groups import GROUPS, group_of
from longtail.reports.tradeoff import Curve, Point
from longtail.tasks.logits import logits_of

STRENGTHS = tuple(step / 4 for step in range(-4, 13))


def measure(run: Path, checkpoint: str | None = None, args: Sequence[str] = ()) -> Curve:
    """Measure a run under logit adjustment of every strength, without training.

    Args:
        run: folder of the run.
        checkpoint: "best" or "last"; by default the one best on validation if there is one.
        args: further options, such as ``--data.root``.

    Raises:
        InputError: if the run, its checkpoint or its validation split is not there.
    """
    path, results, logits, targets = logits_of(run, "val", checkpoint, args)
    counts, thresholds = results["train_counts"], results["thresholds"]
    columns = adjusted_accuracy(logits, targets, counts, STRENGTHS, **thresholds)
    rows = zip(*(values.tolist() for values in columns.values()), strict=True)
    points = [
        Point(strength, {key: None if value != value else value for key, value in zip(columns, row, strict=True)})
        for strength, row in zip(STRENGTHS, rows, strict=True)
    ]
    groups = [group_of(counts[target], thresholds) for target in targets.tolist()]
    epoch = results["best_epoch"] if path.stem == "best" else results["history"][-1]["epoch"]
    return Curve(run, results, path.stem, epoch, {group: groups.count(group) for group in GROUPS}, tuple(points))
