"""What is measured class by class, and the words for it: all that tells the pages of one task from those of another.

A task writes its grain into the results of its runs, and the pages read it there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from longtail.errors import InputError
from longtail.reports.groups import GROUPS, Group
from longtail.reports.results import Results
from longtail.reports.schema import misfit


@dataclass(frozen=True)
class Grain:
    """How classes are counted and measured. The figure of a class is a fraction, of which more is better.

    In ``headline`` and ``card`` names in braces stand for values.

    Args:
        key: the list per class that holds the figure of a class, by which classes are ranked and drawn.
        label: what that figure is called.
        scale: what the axis of the validation curves is called.
        scales: the plural of it, as it begins a sentence.
        noun: what the training counts, the thresholds and the confusions count.
        label_noun: what carries a label, where that is something else and counted too.
        overall: the metric that counts every class the same.
        overall_name: what stands under its bar.
        groups: the metric that is the mean of each group.
        curves: the metrics drawn over the epochs, with their names in the legend.
        columns: the lists per class that are fractions, with the heads of their columns.
        headline: how the sentence about a run begins; takes ``images`` and metrics.
        card: what is said of a weak class; takes ``figure`` and ``images``.
        no_card: what is said where there is none.
        lvis: the names that LVIS has for the groups.
        sample: the noun for what is shown to the network and evaluated.
        evaluated: the list per class that counts what was evaluated.
        limits: the options that set the limits of the groups, and their unit where it is another than the noun.

    Raises:
        ValueError: if ``groups`` does not name a metric for each group.
    """

    key: str
    label: str
    scale: str
    scales: str
    noun: str
    overall: str
    overall_name: str
    groups: Mapping[Group, str]
    curves: Mapping[str, str]
    columns: Mapping[str, str]
    headline: str
    card: str
    no_card: str = "No class that was measured is below 100%."
    lvis: Mapping[Group, str] = field(default_factory=dict)
    sample: str = "image"
    evaluated: str = "images"
    limits: str = "--model.many N and --model.few N"
    label_noun: str = "label"

    def __post_init__(self) -> None:
        if list(self.groups) != list(GROUPS):
            raise ValueError(f"groups must name a metric for each of {', '.join(GROUPS)}")

    @property
    def nouns(self) -> str:
        """The plural of the noun."""
        return f"{self.noun}s"

    @property
    def samples(self) -> str:
        """The plural of what is evaluated."""
        return f"{self.sample}s"

    @property
    def bars(self) -> tuple[str, ...]:
        """The metrics of the groups, and the overall one."""
        return (*self.groups.values(), self.overall)


IMAGES = Grain(
    key="accuracy",
    label="Accuracy",
    scale="accuracy",
    scales="Accuracies",
    noun="image",
    overall="balanced_accuracy",
    overall_name="balanced",
    groups={group: group for group in GROUPS},
    curves={"balanced_accuracy": "balanced", "top1": "all images", **{group: group for group in GROUPS}},
    columns={"accuracy": "Accuracy", "precision": "Precision"},
    headline="Of {images}, {top1} are recognised; with every class counting the same it is {balanced_accuracy}",
    card="{figure} of {images} recognised",
    no_card="Every image that was measured was recognised.",
)


CLIPS = replace(
    IMAGES,
    noun="video",
    sample="video",
    curves={**IMAGES.curves, "top1": "all videos"},
    no_card="Every video that was measured was recognised.",
)


LABELS = Grain(
    key="ap",
    label="AP",
    scale="AP",
    scales="AP",
    noun="image",
    overall="mean_ap",
    overall_name="mean",
    groups={group: f"mean_ap_{group}" for group in GROUPS},
    curves={"mean_ap": "mean", **{f"mean_ap_{group}": group for group in GROUPS}},
    columns={"ap": "AP", "f1": "F1", "precision": "Precision", "recall": "Recall", "threshold": "Threshold"},
    headline="On {images} the mean AP is {mean_ap}, with every class counting the same",
    card="AP {figure} on {images}",
)


def _detection(shape: str, others: Mapping[str, str]) -> Grain:
    """Return how boxes or masks are measured; ``others`` are metrics drawn beside it."""
    key = f"{shape}_ap"
    groups: dict[Group, str] = {group: f"{key}_{group}" for group in GROUPS}
    return Grain(
        key=key,
        label=f"{shape.capitalize()} AP",
        scale="AP",
        scales="AP",
        noun="image",
        overall=key,
        overall_name="mean",
        groups=groups,
        curves={key: f"{shape} AP", **others, **{metric: f"{shape} AP, {group}" for group, metric in groups.items()}},
        columns={
            "mask_ap": "Mask AP",
            "mask_ap50": "Mask AP50",
            "box_ap": "Box AP",
            "box_ap50": "Box AP50",
            "accuracy": "Box classifier accuracy",
        },
        headline=f"On {{images}} the {shape} AP is {{{key}}}, with every class counting the same",
        card=f"{shape.capitalize()} AP {{figure}} on {{images}}",
        lvis={"many": "frequent", "medium": "common", "few": "rare"},
        label_noun="instance",
    )


BOXES = _detection("box", {})
MASKS = _detection("mask", {"box_ap": "box AP"})

PIXELS = Grain(
    key="iou",
    label="IoU",
    scale="IoU",
    scales="IoU",
    noun="pixel",
    overall="miou",
    overall_name="mean",
    groups={group: f"iou_{group}" for group in GROUPS},
    curves={"miou": "mean", **{f"iou_{group}": group for group in GROUPS}},
    columns={"iou": "IoU", "accuracy": "Accuracy"},
    headline="On {images} {pixel_accuracy} of the pixels are recognised; with every class counting the same the IoU is "
    "{miou}",
    card="IoU {figure} on {images}",
    evaluated="pixels",
    limits="--model.many X and --model.few X, in parts of the mean number of pixels of a class",
)


def grain_of(*runs: Results) -> Grain:
    """Return how the runs, which are of one task, are measured: as the first of them whose figure all of them have.

    Raises:
        InputError: if a run says it in a way that cannot be read.
    """
    grains = [_read(run) for run in runs]
    return next((grain for grain in grains if all(_has(run, grain.key) for run in runs)), grains[0])


def _has(results: Results, key: str) -> bool:
    return all(key in evaluation["per_class"] for evaluation in results["evaluations"])


def _read(results: Results) -> Grain:
    if fault := misfit(results["grain"], Grain, "grain"):
        raise InputError(f"the results of {results['name']} do not say how classes are measured: {fault}")
    try:
        return Grain(**results["grain"])
    except (TypeError, ValueError) as error:
        raise InputError(f"the results of {results['name']} do not say how classes are measured: {error}") from error
