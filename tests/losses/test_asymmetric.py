"""Asymmetric loss against its formula."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from longtail.losses.asymmetric import AsymmetricLoss
from longtail.losses.binary_cross_entropy import BinaryCrossEntropyLoss

from . import naive


@settings(max_examples=20)
@given(
    st.integers(0, 5),
    st.integers(1, 5),
    st.sampled_from([0.0, 1.0, 4.0]),
    st.sampled_from([0.0, 1.0, 2.5]),
    st.sampled_from([0.0, 0.05, 0.5, 1.0]),
    st.integers(0, 99),
)
def test_value_and_gradient_are_the_formulas(
    rows: int, classes: int, gamma_neg: float, gamma_pos: float, clip: float, seed: int
) -> None:
    logits, labels = naive.logits_and_labels(rows, classes, seed)

    def term(i: int, c: int, x: torch.Tensor, y: int) -> torch.Tensor:
        p = naive.sigmoid(x)
        if y:
            return -((1 - p) ** gamma_pos) * p.log()
        if p <= clip:
            return 0 * x
        return -((p - clip) ** gamma_neg) * (1 - (p - clip)).log()

    values = AsymmetricLoss(gamma_neg, gamma_pos, clip, reduction="none")(logits, labels)
    naive.assert_same_rows(values, naive.sum_of_terms(logits, labels, term), [logits])


def test_without_focus_and_clip_it_is_binary_cross_entropy() -> None:
    logits, labels = torch.randn(6, 4), torch.randint(2, (6, 4))
    torch.testing.assert_close(AsymmetricLoss(0, 0, 0)(logits, labels), BinaryCrossEntropyLoss()(logits, labels))


def test_a_negative_below_the_clip_costs_nothing_and_has_no_gradient() -> None:
    logits = torch.tensor([[-3.0, -2.9, 0.0]], requires_grad=True)
    AsymmetricLoss(clip=0.052)(logits, torch.zeros(1, 3)).backward()
    assert (logits.grad[0] != 0).tolist() == [False, True, True]


@pytest.mark.parametrize("options", [{"gamma_neg": -1}, {"gamma_pos": -1}, {"clip": -0.1}, {"clip": 1.5}], ids=str)
def test_options_outside_their_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
        AsymmetricLoss(**options)
