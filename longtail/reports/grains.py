"""What a task measures class by class, and the words for it: all that tells one task's pages from another's."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from longtail.reports.results import GROUPS, Group, Results, Task, task_of


@dataclass(frozen=True)
class Grain:
    """How a task counts its classes and measures them.

    Args:
        key: the list per class that holds the figure of a class, by which classes are ranked and drawn.
        label: what that figure is called.
        scale: what the axis of the validation curves is called.
        scales: the plural of it, as it begins a sentence.
        noun: what the training counts, the thresholds and the confusions count.
        overall: the metric that counts every class the same.
        overall_name: what stands under its bar.
        groups: the metric that is the mean of each group.
        curves: the metrics drawn over the epochs, with their names in the legend.
        columns: the lists per class that are fractions, with the heads of their columns.
        headline: how the sentence about a run begins; takes ``images`` and metrics.
        card: what is said of a weak class; takes ``figure`` and ``images``.
        no_card: what is said where there is none.
        lvis: the names that LVIS has for the groups.
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

    @property
    def nouns(self) -> str:
        """The plural of the noun, which also names the list per class of what was evaluated."""
        return f"{self.noun}s"

    @property
    def bars(self) -> tuple[str, ...]:
        """The metrics of the groups, and the overall one."""
        return (*self.groups.values(), self.overall)


CLASSIFICATION = Grain(
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
    )


BOXES = _detection("box", {})
MASKS = _detection("mask", {"box_ap": "box AP"})

SEGMENTATION = Grain(
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
)

_GRAINS: dict[Task, Grain] = {"classification": CLASSIFICATION, "detection": BOXES, "segmentation": SEGMENTATION}


def grain_of(*runs: Results) -> Grain:
    """Return how the runs, which are of one task, are measured: by masks where all of them have masks."""
    grain = _GRAINS[task_of(runs[0])]
    return MASKS if grain is BOXES and all(map(_has_masks, runs)) else grain


def _has_masks(results: Results) -> bool:
    evaluations = results["evaluations"]
    if evaluations:
        return all("mask_ap" in evaluation["per_class"] for evaluation in evaluations)
    return any("mask_ap" in (epoch["val"] or {}) for epoch in results["history"])
