"""What it costs and gives to refuse images that fit no class, measured on validation images and on outsiders."""

import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext

import torch
from torch import Tensor

from longtail.data.images.base import ImageData
from longtail.data.split import classes_without
from longtail.errors import InputError
from longtail.files.progress import progress_bar
from longtail.inference.classification import Classifier
from longtail.inference.rejection import FeatureMeans, with_features
from longtail.inference.runs import readable
from longtail.messages import some
from longtail.methods.probe import Probe
from longtail.methods.start import first_rows
from longtail.metrics.rejection import separation
from longtail.posthoc.conformal import conformal_quantile
from longtail.posthoc.rejection import class_distance, cross_refused, energy, images_for, mean_directions
from longtail.posthoc.scaling import fold_of
from longtail.reports.rejection import OUTSIDERS, Refused
from longtail.tasks.classification import Classification
from longtail.tasks.features import BATCH, Extraction
from longtail.tasks.logits import PRECISION, OpenSplit

IMAGES = 100  # training images of each class, of which the means are taken


def measure_means(run: OpenSplit) -> FeatureMeans:
    """The class means of a checkpoint by the first training images of each class, and the distance of the validation
    images to them.

    Raises:
        InputError: if the method has no features before a classifier.
    """
    assert isinstance(run.task, Classification)
    method, data = with_features(run.task.method), run.data
    assert isinstance(data, ImageData)
    folder = run.features if isinstance(method, Probe) else None
    settings = (run.device, nullcontext, PRECISION, run.task.channels_last)
    extraction = Extraction(method.backbone, folder, *settings)
    split = data.split("train")
    assert split is not None
    targets = torch.from_numpy(split.targets)
    if gone := classes_without(split.targets, len(data.classes)):
        names = some([data.classes[c] for c in gone])
        raise InputError(
            f"{data.source} has no training image of {names}: give the whole set by --data.root, or leave out "
            "--class-means and --outsiders"
        )
    rows = first_rows(targets, IMAGES)
    means = mean_directions(extraction.of_rows(data, rows), targets[rows], len(data.classes))
    return FeatureMeans(run.checkpoint.stem, means, class_distance(extraction.of_split(data, "val", 1)[:, 0], means))


def score_outsiders(files: Sequence[str], classifier: Classifier, means: FeatureMeans) -> dict[str, Tensor]:
    """Energy and distance (N,) of some images, or videos; those that cannot be read are left out and told.

    Raises:
        InputError: if there is none that can be read.
    """
    energies, distances = [], []
    with progress_bar(len(files), "outsiders", classifier.kind.noun) as bar:
        for start in range(0, len(files), BATCH):
            part = files[start : start + BATCH]
            read = [image for _, image in readable(part, classifier.read, True, classifier.kind)]
            if read:
                logits, features = classifier.outputs(torch.stack(read), features=True)
                assert features is not None
                energies.append(energy(logits))
                distances.append(class_distance(features, means.means))
            bar.update(len(part))
    if not energies:
        raise InputError(f"no {classifier.kind.noun} of the outsiders can be read: give others by --outsiders")
    return {"energy": torch.cat(energies), "distance": torch.cat(distances)}


def refused(
    scores: Tensor, targets: Tensor, groups: Mapping[str, Tensor], rate: float, folds: int, outsiders: Tensor | None
) -> dict[str, Refused]:
    """What a score is worth by group: known images are refused by thresholds of other folds, outsiders by that of all.

    Args:
        scores: of the validation images (M,).
        targets: their labels (M,).
        groups: classes (C,) of each group.
        rate: share of known images that may be refused.
        folds: of the validation images.
        outsiders: scores of other images (N,), if there are any.
    """
    fold = fold_of(targets, folds)
    by_fold, least = cross_refused(scores, fold, rate), images_for(rate)
    enough = len(scores) - int(fold.bincount().max()) >= least
    others = scores[:0] if outsiders is None else outsiders
    figures = {}
    for name, classes in groups.items():
        rows = classes[targets]
        figures[name] = _figures(by_fold[rows], separation(scores[rows], others), enough)
    if outsiders is not None:
        figures[OUTSIDERS] = _figures(others > conformal_quantile(scores, 1 - rate), {}, len(scores) >= least)
    return figures


def _figures(is_refused: Tensor, separated: Mapping[str, float], enough: bool) -> Refused:
    share = float(is_refused.double().mean()) if enough else math.nan
    return {
        "images": len(is_refused),
        "refused": _number(share),
        "auroc": _number(separated.get("auroc", math.nan)),
        "fpr95": _number(separated.get("fpr95", math.nan)),
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
