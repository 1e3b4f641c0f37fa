"""The figures and pictures of a segmenter on a split."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from longtail.data.pixels.base import SegmentationData
from longtail.distributed import is_first_process
from longtail.metrics.segmentation import PixelConfusion
from longtail.reports.overlays import EXAMPLE_SIDE, EXAMPLES_EACH, data_uri, draw_labels
from longtail.reports.results import Confusion, Example, Measured, Thresholds, weakest_classes
from longtail.tasks.base import CONFUSIONS

Segment = Callable[[Tensor, tuple[int, int]], Tensor]


class SegmentationEvaluator(nn.Module):
    """Counts what a segmenter finds in a split, and measures it.

    A module, so that what it counts lies on the device of the task that has it. Nothing of it is in a checkpoint.

    Args:
        class_counts: training pixels of each class (C,).
        thresholds: "many" and "few", of the groups by training pixels.
    """

    def __init__(self, class_counts: list[int], thresholds: Thresholds) -> None:
        super().__init__()
        self.pixels = PixelConfusion(class_counts, **thresholds)

    def update(self, predicted: Tensor, target: Tensor) -> None:
        """Add an image: the class of each pixel that was found, and the true one (H, W), 255 where there is none."""
        self.pixels.update(predicted, target)

    def compute(self, data: SegmentationData, split: str, segment: Segment, with_examples: bool) -> Measured:
        """Measure what all processes counted, and forget it; the same on each, as it stands in the results.

        Args:
            data: the set.
            split: "val" or "test".
            segment: the classes (H, W) of the pixels of a normalised image (3, h, w), at a size (H, W).
            with_examples: whether to draw pictures of the classes that need help most, in the first process alone.
        """
        scalars, per_class = self.pixels.compute()
        with self.pixels.sync_context():  # of all processes; the metric itself gives its own part alone
            confusion = self.pixels.confusion.cpu()
        self.pixels.reset()
        evaluation: Measured = {
            "split": split,
            "images": data.size(split),
            "metrics": {name: float(value) for name, value in scalars.items()},
            "per_class": {name: values.tolist() for name, values in per_class.items()},
            "confusions": confusions(confusion),
        }
        if with_examples:
            first = is_first_process()
            weakest = weakest_classes(evaluation["per_class"]["iou"], data.pixel_counts) if first else []
            evaluation["examples"] = examples(data, split, weakest, segment, self.pixels.device)
        return evaluation


def confusions(confusion: Tensor) -> list[Confusion]:
    """The most frequent pairs of true and wrongly predicted class, with their pixels, of a table (C, C) of both."""
    wrong = confusion.clone().fill_diagonal_(0).flatten()
    most = wrong.argsort(descending=True, stable=True)[:CONFUSIONS]
    return [
        {"true": pair // len(confusion), "predicted": pair % len(confusion), "images": pixels}
        for pair, pixels in zip(most.tolist(), wrong[most].tolist(), strict=True)
        if pixels
    ]


@torch.no_grad()
def examples(
    data: SegmentationData, split: str, classes: Sequence[int], segment: Segment, device: torch.device
) -> list[Example]:
    """Images with most pixels of some classes, with what is there and what was found.

    Args:
        data: the set.
        split: "val" or "test".
        classes: their indices.
        segment: see `SegmentationEvaluator.compute`.
        device: that it computes on.
    """
    content = data.split(split)
    assert content is not None
    entries: list[Example] = []
    for c in classes:
        for row in data.rows_with_most(split, c, EXAMPLES_EACH):
            truth = data.annotation(split, row)
            image = data.normalise(content.images[row, 0]["image"][None])[0].to(device)
            predicted = segment(image, (truth.shape[0], truth.shape[1])).cpu().numpy()
            picture = data.picture(split, row)
            pair = [
                data_uri(draw_labels(picture, np.asarray(labels), data.classes), EXAMPLE_SIDE)
                for labels in (truth, predicted)
            ]
            entries.append({"class": c, "name": data.file_name(split, row), "truth": pair[0], "predicted": pair[1]})
    return entries
