"""Binary cross-entropy, with and without weights, against its formula."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from longtail.losses.binary_cross_entropy import BinaryCrossEntropyLoss, ClassBalancedBinaryLoss

from . import naive

CLOSE = {"rtol": 1e-5, "atol": 1e-6}  # the weights are kept in float32


@settings(max_examples=20)
@given(st.integers(0, 6), st.lists(st.integers(1, 5000), min_size=1, max_size=6), st.integers(0, 99))
def test_value_and_gradient_are_the_formulas(rows: int, counts: list[int], seed: int) -> None:
    logits, labels = naive.logits_and_labels(rows, len(counts), seed)
    inverse = [(1 - 0.99) / (1 - 0.99**n) for n in counts]
    weights = [weight / sum(inverse) * len(counts) for weight in inverse]

    def term(i: int, c: int, x: torch.Tensor, y: int) -> torch.Tensor:
        p = naive.sigmoid(x)
        return -(p if y else 1 - p).log()

    plain = naive.sum_of_terms(logits, labels, term)
    naive.assert_same_rows(BinaryCrossEntropyLoss(reduction="none")(logits, labels), plain, [logits])
    balanced = naive.sum_of_terms(logits, labels, lambda i, c, x, y: weights[c] * term(i, c, x, y))
    values = ClassBalancedBinaryLoss(counts, 0.99, reduction="none")(logits, labels)
    naive.assert_same_rows(values, balanced, [logits], **CLOSE)


def test_it_is_that_of_torch_summed_over_the_classes() -> None:
    logits, labels = 30 * torch.randn(9, 5), torch.randint(2, (9, 5))
    expected = F.binary_cross_entropy_with_logits(logits, labels.float(), reduction="sum") / 9
    torch.testing.assert_close(BinaryCrossEntropyLoss()(logits, labels), expected)
    torch.testing.assert_close(ClassBalancedBinaryLoss([9, 5, 1, 1, 7], beta=0)(logits, labels), expected)


@pytest.mark.parametrize("weights", [[1.0, -1.0], [1.0, float("nan")]])
def test_weights_that_are_none_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="class_weights must be finite and not negative"):
        BinaryCrossEntropyLoss(weights)
