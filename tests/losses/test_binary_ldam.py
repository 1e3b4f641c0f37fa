"""Margins and late weights on sigmoids against their formula."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from longtail.losses.binary_ldam import BinaryLDAMLoss
from longtail.losses.class_balanced import effective_number_weights

from . import naive


@settings(max_examples=20)
@given(
    st.integers(0, 5),
    st.lists(st.integers(1, 900), min_size=1, max_size=5),
    st.sampled_from([0.0, 0.5, 2.0]),
    st.booleans(),
    st.integers(0, 99),
)
def test_value_and_gradient_are_the_formulas(
    rows: int, counts: list[int], max_margin: float, late: bool, seed: int
) -> None:
    logits, labels = naive.logits_and_labels(rows, len(counts), seed)
    loss = BinaryLDAMLoss(counts, max_margin, scale=3.0, reweight_from=0.8, beta=0.99, reduction="none")
    loss.set_epoch(8 if late else 7, 10)
    weights = effective_number_weights(counts, 0.99).tolist() if late else [1.0] * len(counts)

    def term(i: int, c: int, x: torch.Tensor, y: int) -> torch.Tensor:
        margin = 3.0 * max_margin * (min(counts) / counts[c]) ** 0.25
        return weights[c] * ((1 + (margin - x).exp()).log() if y else (1 + x.exp()).log())

    expected = naive.sum_of_terms(logits, labels, term)
    naive.assert_same_rows(loss(logits, labels), expected, [logits], rtol=1e-5, atol=1e-6)
