"""The start of a classifier from the mean features of its classes."""

import pytest
import torch

from longtail.methods import ClassMeans
from longtail.methods.start import class_means, first_rows

TARGETS = torch.tensor([2, 0, 2, 1, 0, 2, 2])
FEATURES = torch.randn(7, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_means_are_of_each_class_and_of_length_1() -> None:
    means = class_means(FEATURES, TARGETS, 3)
    for c in range(3):
        total = sum(FEATURES[row] for row in range(7) if TARGETS[row] == c)
        torch.testing.assert_close(means[c], total / total.square().sum().sqrt())
    assert torch.equal(ClassMeans()(FEATURES, TARGETS, ["a", "b", "c"]), means)


@pytest.mark.parametrize(
    ("images", "rows"),
    [(1, [0, 1, 3]), (2, [0, 1, 2, 3, 4]), (3, [0, 1, 2, 3, 4, 5]), (4, list(range(7))), (None, list(range(7)))],
)
def test_the_first_images_of_each_class(images: int | None, rows: list[int]) -> None:
    assert first_rows(TARGETS, images).tolist() == rows
    assert ClassMeans(images).images == images


def test_no_images_are_refused() -> None:
    with pytest.raises(ValueError, match="images must be at least 1, got 0"):
        ClassMeans(0)
