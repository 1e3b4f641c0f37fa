"""Supervised contrastive loss against its formula."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import normalize

from longtail.losses.supcon import SupervisedContrastiveLoss

from . import naive


@given(st.integers(0, 6), st.integers(1, 3), st.integers(1, 6), st.sampled_from([0.05, 0.1, 1.0]), st.integers(0, 99))
def test_value_and_gradient_are_the_formulas(
    rows: int, views: int, classes: int, temperature: float, seed: int
) -> None:
    embeddings, targets = naive.embeddings_and_targets(rows, views, classes, seed)
    values = SupervisedContrastiveLoss(temperature, reduction="none")(embeddings, targets)
    naive.assert_same_rows(values, naive.supervised_contrastive(embeddings, targets, temperature), [embeddings])


def value_and_gradient(targets: list[int], row: int) -> tuple[Tensor, Tensor]:
    """Values of all rows for one view of each image, and the gradient of one row."""
    embeddings, _ = naive.embeddings_and_targets(len(targets), 1, 1, seed=0)
    values = SupervisedContrastiveLoss(reduction="none")(embeddings, torch.tensor(targets))
    return values, torch.autograd.grad(values[row], embeddings)[0]


def test_an_anchor_without_a_positive_gives_zero_and_no_gradient() -> None:
    values, gradient = value_and_gradient([0, 1, 0, 0], row=1)
    assert values[1] == 0
    assert values.count_nonzero() == 3
    assert gradient.count_nonzero() == 0


def test_single_images_of_every_class_give_zero() -> None:
    values, gradient = value_and_gradient([4, 1, 3, 0], row=0)
    assert values.count_nonzero() == gradient.count_nonzero() == 0


def test_two_views_of_classes_with_one_image_are_normalised_temperature_cross_entropy() -> None:
    """NT-Xent (SimCLR): classify the other view among all embeddings but the anchor."""
    first, second = (normalize(torch.randn(5, 4), dim=1) for _ in range(2))
    scores = torch.cat([first, second]) @ torch.cat([first, second]).T / 0.2
    scores.fill_diagonal_(-torch.inf)
    partners = torch.arange(10).roll(5)
    value = SupervisedContrastiveLoss(0.2)(torch.stack([first, second], 1), torch.arange(5))
    torch.testing.assert_close(value, torch.nn.functional.cross_entropy(scores, partners))


@given(st.integers(1, 6), st.integers(1, 3), st.sampled_from([0.01, 1.0]))
def test_embeddings_all_alike_cost_the_logarithm_of_the_others(rows: int, views: int, temperature: float) -> None:
    unit = normalize(torch.ones(rows, views, 4), dim=2)
    value = SupervisedContrastiveLoss(temperature)(unit, torch.zeros(rows, dtype=torch.int64))
    assert value.item() == pytest.approx(math.log(max(rows * views - 1, 1)), abs=1e-4)


def test_labels_are_names() -> None:
    embeddings, targets = naive.embeddings_and_targets(6, 2, 3, seed=0)
    loss = SupervisedContrastiveLoss(reduction="none")
    assert torch.equal(loss(embeddings, targets * 10**15), loss(embeddings, targets))
