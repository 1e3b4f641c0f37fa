"""The figures and pictures of a detector on a split."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from longtail.data.boxes.base import DetectionData
from longtail.distributed import from_first, gather_to_first, sum_over_processes
from longtail.files.coco.results import MASK_FROM, decode, encode, sides
from longtail.metrics.detection import FIGURES, average_precision, group_ap
from longtail.metrics.detections import Detections, RunLengths
from longtail.reports.groups import GROUPS
from longtail.reports.overlays import EXAMPLE_SIDE, EXAMPLES_EACH, data_uri, draw_instances
from longtail.reports.results import Example, Measured, Thresholds, weakest_classes

KINDS: dict[str, Literal["bbox", "segm"]] = {"box": "bbox", "mask": "segm"}
SHOWN_FROM = 0.3  # score of a detection that is drawn there


class DetectionEvaluator:
    """Collects what a detector finds in a split, and measures it.

    Args:
        num_classes: C.
        masks: whether masks are measured beside boxes.
        thresholds: "many" and "few", of the groups by training images.

    Attributes:
        metrics: names of the figures that can choose an epoch, the most telling first.
    """

    def __init__(self, num_classes: int, masks: bool, thresholds: Thresholds) -> None:
        self.kinds = ["box", "mask"] if masks else ["box"]
        self.thresholds = thresholds
        names = [*FIGURES, *(f"ap_{group}" for group in GROUPS)]
        self.metrics = [f"{kind}_{name}" for kind in reversed(self.kinds) for name in names]
        # Proposals on objects of a class that got it, and all of them. No buffer: averaged weights swap those.
        self._hits = torch.zeros(2, num_classes, dtype=torch.int64)
        self._parts: list[Detections] = []

    def update(
        self,
        image_ids: Sequence[int],
        category_ids: Sequence[int],
        detections: Sequence[dict[str, Tensor]],
        pairs: Tensor,
    ) -> None:
        """Add a batch.

        Args:
            image_ids: of the images.
            category_ids: of the classes (C,).
            detections: of each image: "boxes" (n, 4), "labels" (n,), "scores" (n,), and perhaps "masks".
            pairs: true and predicted class (M, 2) of the proposals on objects.
        """
        for instances, image_id in zip(detections, image_ids, strict=True):
            self._parts.append(as_arrays(instances, image_id, category_ids))
        true, predicted = pairs.cpu().unbind(1)
        self._hits[0] += torch.bincount(true[true == predicted], minlength=self._hits.shape[1])
        self._hits[1] += torch.bincount(true, minlength=self._hits.shape[1])

    def compute(self, data: DetectionData, split: str, device: torch.device, with_examples: bool) -> Measured:
        """Measure what all processes found, and forget it; the same on each, as it stands in the results.

        Args:
            data: the set.
            split: "val" or "test".
            device: that the processes share tensors on.
            with_examples: whether to draw pictures of the classes that need help most.
        """
        own = [Detections.cat(self._parts)] if self._parts else []
        self._parts = []  # before they are sent, which takes as much again
        parts = gather_to_first(own)
        hits, matched = sum_over_processes(self._hits.to(device)).cpu().double()
        accuracy = hits / matched  # nan where nothing was matched
        self._hits.zero_()
        figures = from_first(
            None if parts is None else self._measure(data, split, together(parts), accuracy, with_examples)
        )
        assert figures is not None  # the first process has all that was found
        return figures

    def _measure(
        self, data: DetectionData, split: str, results: Detections, accuracy: Tensor, with_examples: bool
    ) -> Measured:
        part = data.split(split)
        assert part is not None
        classes = len(data.classes)
        per_class: dict[str, Sequence[float]] = {
            "images": part.class_sizes(classes),
            "instances": np.bincount(part.targets, minlength=classes).tolist(),
            "accuracy": accuracy.tolist(),
        }
        metrics = {"box_accuracy": float(accuracy.nanmean())}
        truth = data.truth(split, "mask" in self.kinds)
        for kind in self.kinds:
            precision = average_precision(truth, results, KINDS[kind], data.federated(split))
            metrics |= {f"{kind}_{name}": getattr(precision, attribute) for name, attribute in FIGURES.items()}
            groups = group_ap(precision.class_ap, data.image_counts, **self.thresholds)
            metrics |= {f"{kind}_ap_{group}": value for group, value in groups.items()}
            per_class |= {f"{kind}_ap": precision.class_ap.tolist(), f"{kind}_ap50": precision.class_ap50.tolist()}
        evaluation: Measured = {"split": split, "images": data.size(split), "metrics": metrics, "per_class": per_class}
        if with_examples:
            weakest = weakest_classes(per_class[f"{self.kinds[-1]}_ap"], data.image_counts)
            evaluation["examples"] = examples(data, split, results, weakest, "mask" in self.kinds)
        return evaluation


def as_arrays(instances: dict[str, Tensor], image_id: int, category_ids: Sequence[int]) -> Detections:
    """Detections of an image.

    Args:
        instances: "boxes" (n, 4) as x1, y1, x2, y2, "labels" (n,), "scores" (n,), and perhaps "masks" (n, 1, H, W) in
            0..1.
        image_id: of the image.
        category_ids: of the classes (C,).
    """
    labels = instances["labels"].cpu().numpy()
    return Detections(
        np.full(len(labels), image_id, dtype=np.int64),
        np.asarray(category_ids, dtype=np.int64)[labels],
        instances["scores"].float().cpu().numpy(),
        sides(instances["boxes"]).numpy(),
        RunLengths.of(encode(instances["masks"][:, 0] >= MASK_FROM) if len(labels) else [])
        if "masks" in instances
        else None,
    )


def together(parts: Sequence[Detections]) -> Detections:
    """The detections of all processes, in the order of the images."""
    results = Detections.cat(parts)
    return results.take(results.images.argsort(kind="stable"))


def examples(
    data: DetectionData, split: str, results: Detections, classes: Sequence[int], masks: bool
) -> list[Example]:
    """Images of some classes, with what is there and what was found."""
    labels, owners = data.labels(split)
    rows_of_class = {c: list(dict.fromkeys(owners[labels == c].tolist()))[:EXAMPLES_EACH] for c in classes}
    ids, sure = data.image_ids(split), results.scores.astype(np.float64) >= SHOWN_FROM
    entries: list[Example] = []
    for c, of_class in rows_of_class.items():
        for row in of_class:
            of_image = results.take(np.flatnonzero(sure & (results.images == ids[row])))
            truth, predicted = pictures(data, split, row, of_image, masks)
            entries.append({"class": c, "name": data.file_name(split, row), "truth": truth, "predicted": predicted})
    return entries


def pictures(data: DetectionData, split: str, row: int, results: Detections, masks: bool) -> tuple[str, str]:
    """One image with its annotations and with its detections drawn in, as data URIs."""
    names, picture, instances = data.classes, data.picture(split, row), data.instances(split, row)
    labels = instances.labels.tolist()
    truth = draw_instances(
        picture,
        instances.boxes.tolist(),
        [names[label] for label in labels],
        labels,
        None,
        [data.mask(split, number).astype(bool) for number in instances.numbers.tolist()] if masks else None,
    )
    index = {category: c for c, category in enumerate(data.category_ids)}
    classes = [index[category] for category in results.categories.tolist()]
    predicted = draw_instances(
        picture,
        [(x, y, x + width, y + height) for x, y, width, height in results.shapes("bbox")],
        [names[c] for c in classes],
        classes,
        results.scores.tolist(),
        [decode(mask) for mask in results.shapes("segm")] if masks else None,
    )
    return data_uri(truth, EXAMPLE_SIDE), data_uri(predicted, EXAMPLE_SIDE)
