"""Sampling by class difficulty, also in two processes."""

import math
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from hypothesis import given
from hypothesis import strategies as st
from processes import two_processes

from longtail.difficulty import ClassDifficulty
from longtail.metrics.per_class import PerClassAccuracy
from longtail.samplers.difficulty import ClassDifficultySampler

from . import assert_frequencies

TARGETS = torch.tensor([0] * 30 + [1] * 10 + [3] * 4)  # no image of classes 2 and 4
CLASSES = 5


def difficulty_of(accuracy: list[float], tau: float = 1) -> ClassDifficulty:
    difficulty = ClassDifficulty(len(accuracy), tau)
    difficulty.update(accuracy)
    return difficulty


def test_frequencies_of_classes_and_of_rows() -> None:
    sampler = ClassDifficultySampler(TARGETS, difficulty_of([0.9, 0.5, 0.0, 0.2, 0.6], 1.5), num_samples=50_000)
    powers = [0.1**1.5, 0.5**1.5, 0, 0.8**1.5]
    rows = sampler.order(0)
    assert_frequencies(TARGETS[rows], torch.tensor(powers) / sum(powers))
    assert_frequencies(
        rows, torch.tensor([powers[0] / 30] * 30 + [powers[1] / 10] * 10 + [powers[3] / 4] * 4) / sum(powers)
    )


def test_the_next_order_uses_the_last_update() -> None:
    difficulty = ClassDifficulty(CLASSES, 2.0)
    sampler = ClassDifficultySampler(TARGETS, difficulty, num_samples=20_000)
    uniform = torch.tensor([1, 1, 0, 1]) / 3
    assert_frequencies(TARGETS[sampler.order(0)], uniform)
    difficulty.update([0.5, 0.5, 0.5, 0.0, math.nan])
    assert_frequencies(TARGETS[sampler.order(0)], torch.tensor([1, 1, 0, 4]) / 6)


def test_the_default_length_is_the_number_of_images() -> None:
    assert len(ClassDifficultySampler(TARGETS, ClassDifficulty(CLASSES))) == len(TARGETS)
    images = torch.arange(len(TARGETS)) // 4
    assert len(ClassDifficultySampler(TARGETS, ClassDifficulty(CLASSES), images=images)) == 11


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4)), min_size=1, max_size=20),
    st.lists(st.sampled_from([0.0, 0.3, 0.6, 1.0, math.nan]), min_size=5, max_size=5),
)
def test_an_image_belongs_to_its_hardest_class(pairs: list[tuple[int, int]], accuracy: list[float]) -> None:
    difficulty = difficulty_of(accuracy)
    d = difficulty.difficulty().tolist()
    expected = []
    for image in sorted({image for image, _ in pairs}):
        classes = sorted(label for member, label in pairs if member == image)
        expected.append(max(classes, key=lambda c: d[c]))  # the first, so the lowest, of equally hard ones

    images, targets = torch.tensor(pairs).T
    sampler = ClassDifficultySampler(targets, difficulty, images=images)
    assert sampler.hardest_classes().tolist() == expected
    assert set(sampler) <= {image for image, _ in pairs}


def test_frequencies_with_several_targets_an_image() -> None:
    targets = torch.tensor([0, 1, 1, 0, 1, 2])
    images = torch.tensor([4, 4, 6, 1, 1, 0])  # image 5 and others have no target
    difficulty = difficulty_of([0.4, 0.8, 0.2])
    sampler = ClassDifficultySampler(targets, difficulty, images=images, num_samples=20_000)
    total = 0.6 + 0.2 + 0.8  # class 0: images 1 and 4; class 1: image 6; class 2: image 0
    expected = torch.tensor([0.8, 0.3, 0, 0, 0.3, 0, 0.2]) / total
    assert_frequencies(sampler.order(0), expected)
    difficulty.update([0.9, 0.5, math.nan])  # class 1: images 1, 4 and 6; class 0: none
    assert_frequencies(sampler.order(1), torch.tensor([0.8, 0.5 / 3, 0, 0, 0.5 / 3, 0, 0.5 / 3]) / 1.3)


def test_labels_that_the_difficulty_does_not_have_are_refused() -> None:
    with pytest.raises(ValueError, match=r"targets must lie in 0\.\.2, got 3"):
        ClassDifficultySampler(TARGETS, ClassDifficulty(3))


# Two processes


def validated(rows: slice) -> ClassDifficulty:
    """Difficulty after a validation of which this process sees the given rows."""
    generator = torch.Generator().manual_seed(0)
    targets = torch.randint(CLASSES - 1, (101,), generator=generator)  # the last class is absent
    logits = torch.randn(101, CLASSES, generator=generator)
    metric = PerClassAccuracy(CLASSES)
    metric.update(logits[rows], targets[rows])
    difficulty = ClassDifficulty(CLASSES)
    difficulty.update(metric.compute()["accuracy"])
    return difficulty


def epochs(rows: slice) -> tuple[torch.Tensor, list[list[int]]]:
    """Accuracies, and the rows that this process takes in two epochs."""
    sampler = ClassDifficultySampler(TARGETS, validated(rows), num_samples=100)
    orders = []
    for epoch in range(2):
        sampler.set_epoch(epoch)
        assert len(sampler) == 100 // (dist.get_world_size() if dist.is_initialized() else 1)
        orders.append(list(sampler))
    return sampler.difficulty.accuracy, orders


def process(rank: int) -> tuple[torch.Tensor, list[list[int]]]:
    return epochs((slice(0, 70), slice(70, 101))[rank])


def test_two_processes_equal_one(tmp_path: Path) -> None:
    accuracy, orders = epochs(slice(None))
    (accuracy0, taken0), (accuracy1, taken1) = two_processes(process, tmp_path)
    for values in (accuracy0, accuracy1):
        torch.testing.assert_close(values, accuracy, rtol=0, atol=0, equal_nan=True)
    for order, even, odd in zip(orders, taken0, taken1, strict=True):
        assert (even, odd) == (order[::2], order[1::2])
