"""Class-difficulty-balanced loss against its formula."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from longtail.difficulty import ClassDifficulty
from longtail.losses.cdb import ClassDifficultyLoss
from longtail.losses.cross_entropy import CrossEntropyLoss
from longtail.losses.equalization import EqualizationLossV2

from . import naive


@given(
    st.integers(0, 6),
    st.lists(st.floats(0, 1, width=32), min_size=1, max_size=7),
    st.sampled_from([0.5, 2.0]),
    st.integers(0, 99),
)
def test_value_and_gradient_are_the_formulas(rows: int, accuracy: list[float], tau: float, seed: int) -> None:
    logits, targets = naive.logits_and_targets(rows, len(accuracy), seed)
    difficulty = ClassDifficulty(len(accuracy), tau)
    difficulty.update(accuracy)
    powers = [max(1 - a, 0.01) ** tau for a in accuracy]
    weights = [power / sum(powers) * len(powers) for power in powers]
    expected = [-weights[y] * naive.probability(x, y).log() for x, y in zip(logits, targets, strict=True)]
    values = ClassDifficultyLoss(difficulty, reduction="none")(logits, targets)
    close = {"rtol": 1e-5, "atol": 1e-6}  # the difficulty is kept in float32
    naive.assert_same_rows(values, naive.stack(expected, logits), [logits], **close)


def test_it_is_cross_entropy_until_the_difficulty_is_updated_and_follows_every_update() -> None:
    difficulty = ClassDifficulty(3, tau=1)
    loss = ClassDifficultyLoss(difficulty, reduction="none")
    logits, targets = torch.randn(5, 3), torch.tensor([0, 2, 1, 1, 0])
    plain = CrossEntropyLoss(reduction="none")(logits, targets)
    assert torch.equal(loss(logits, targets), plain)
    for accuracy, weights in [([0.5, 0.25, 0.75], [1.0, 1.5, 0.5]), ([0.0, 0.0, 0.0], [1.0, 1.0, 1.0])]:
        difficulty.update(accuracy)
        torch.testing.assert_close(loss(logits, targets), torch.tensor(weights)[targets] * plain)


def test_the_difficulty_is_shared_and_saved_with_the_loss() -> None:
    difficulty = ClassDifficulty(3)
    loss, copy = ClassDifficultyLoss(difficulty), ClassDifficultyLoss(ClassDifficulty(3))
    assert loss.difficulty is difficulty
    difficulty.update([0.5, 0.25, 0.75])
    copy.load_state_dict(loss.state_dict())
    assert torch.equal(copy.difficulty.accuracy, difficulty.accuracy)


def test_a_weighted_mean_is_that_of_torch() -> None:
    loss = ClassDifficultyLoss(ClassDifficulty(3, tau=1), weighted_mean=True)
    loss.difficulty.update([0.5, 0.25, 0.75])
    logits, targets = torch.randn(7, 3, dtype=torch.float64, requires_grad=True), torch.tensor([0, 2, 1, 1, 0, 2, 2])
    expected = F.cross_entropy(logits, targets, torch.tensor([1.0, 1.5, 0.5], dtype=torch.float64))
    torch.testing.assert_close(loss(logits, targets), expected)
    gradients = [torch.autograd.grad(value, logits)[0] for value in (loss(logits, targets), expected)]
    torch.testing.assert_close(*gradients)
    assert loss(logits[:0], targets[:0]) == 0
    rows = ClassDifficultyLoss(loss.difficulty, weighted_mean=True, reduction="none")(logits, targets)
    torch.testing.assert_close(rows, ClassDifficultyLoss(loss.difficulty, reduction="none")(logits, targets))


@pytest.mark.parametrize("background", range(4))
def test_a_background_weighs_one_and_the_others_by_their_difficulty(background: int) -> None:
    loss = ClassDifficultyLoss([9, 9, 9, 9], background=background, reduction="none")
    loss.difficulty.update([0.5, 0.25, 0.75])
    expected = loss.difficulty.weights().tolist()
    expected.insert(background, 1)
    assert loss.weights().tolist() == expected
    logits, targets = torch.randn(5, 4), torch.tensor([0, 2, 1, 3, 0])
    plain = CrossEntropyLoss(reduction="none")(logits, targets)
    torch.testing.assert_close(loss(logits, targets), torch.tensor(expected)[targets] * plain)


def test_the_loss_inside_gets_the_background_as_well() -> None:
    inner = ClassDifficultyLoss([9, 9, 9, 9], EqualizationLossV2, background=2).loss
    assert isinstance(inner, EqualizationLossV2)
    assert inner.background == 2


@pytest.mark.parametrize("background", [-1, 4])
def test_a_background_that_is_no_class_is_refused(background: int) -> None:
    for difficulty in (ClassDifficulty(3), [9, 9, 9, 9]):
        with pytest.raises(ValueError, match=rf"background must be in 0\.\.3, got {background}"):
            ClassDifficultyLoss(difficulty, background=background)
