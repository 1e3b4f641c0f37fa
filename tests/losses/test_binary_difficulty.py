"""Classes weighted by their difficulty, on sigmoids, against the formula."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from longtail.difficulty import ClassDifficulty
from longtail.losses.asymmetric import AsymmetricLoss
from longtail.losses.binary_difficulty import BinaryDifficultyLoss
from longtail.losses.cross_entropy import CrossEntropyLoss

from . import naive


@settings(max_examples=20)
@given(st.integers(0, 5), st.lists(st.floats(0, 1, width=32), min_size=1, max_size=5), st.integers(0, 99))
def test_value_and_gradient_are_the_formulas(rows: int, precision: list[float], seed: int) -> None:
    logits, labels = naive.logits_and_labels(rows, len(precision), seed)
    difficulty = ClassDifficulty(len(precision), 2.0)
    difficulty.update(precision)
    powers = [max(1 - a, 0.01) ** 2 for a in precision]

    def term(i: int, c: int, x: torch.Tensor, y: int) -> torch.Tensor:
        return powers[c] / sum(powers) * len(powers) * (1 + (-x if y else x).exp()).log()

    values = BinaryDifficultyLoss(difficulty, reduction="none")(logits, labels)
    naive.assert_same_rows(values, naive.sum_of_terms(logits, labels, term), [logits], rtol=1e-5, atol=1e-6)


def test_any_loss_of_several_labels_is_weighted_class_by_class() -> None:
    logits, labels = torch.randn(5, 3), torch.randint(2, (5, 3))
    loss = BinaryDifficultyLoss([9, 3, 1], AsymmetricLoss)
    torch.testing.assert_close(loss(logits, labels), AsymmetricLoss()(logits, labels))
    loss.difficulty.update([1.0, 1.0, 0.0])
    alone = AsymmetricLoss().costs(logits, labels) * loss.weights()
    torch.testing.assert_close(loss(logits, labels), alone.sum() / 5)


def test_a_loss_of_one_label_is_refused() -> None:
    with pytest.raises(ValueError, match="CrossEntropyLoss is no loss of several labels"):
        BinaryDifficultyLoss([9, 3], CrossEntropyLoss)
