"""The figures and pictures of a segmenter on a split."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from longtail.data.pixels.base import SegmentationData
from longtail.metrics.segmentation import PixelConfusion
from longtail.reports.overlays import data_uri, draw_labels
from longtail.tasks.base import CONFUSIONS

EXAMPLES_EACH, EXAMPLE_SIDE = 2, 512  # images of a weak class in the report, and their longer side in pixels

Figures = dict[str, Tensor]


def totals(metric: PixelConfusion) -> tuple[Figures, Figures, Tensor]:
    """Scalars, figures per class (C,) and the table (C, C) of all processes; the metric is reset."""
    scalars, per_class = metric.compute()
    with metric.sync_context():  # of all processes; the metric itself gives its own part alone
        confusion = metric.confusion.cpu()
    metric.reset()
    return scalars, per_class, confusion


def confusions(confusion: Tensor) -> list[dict[str, int]]:
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
    data: SegmentationData,
    split: str,
    classes: Sequence[int],
    segment: Callable[[Tensor, tuple[int, int]], Tensor],
    device: torch.device,
) -> list[dict[str, Any]]:  # JSON
    """Images with most pixels of some classes, with what is there and what was found.

    Args:
        data: the set.
        split: "val" or "test".
        classes: their indices.
        segment: the classes (H, W) of the pixels of a normalised image (3, h, w), at a size (H, W).
        device: that it computes on.
    """
    content = data.split(split)
    assert content is not None
    entries = []
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
