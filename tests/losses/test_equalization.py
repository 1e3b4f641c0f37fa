"""Equalization loss v2 against its formula."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from longtail.losses.equalization import EqualizationLossV2, _softplus

from . import naive


@given(
    st.integers(0, 6),
    st.integers(1, 6),
    st.sampled_from([0.0, 2.0, 12.0]),
    st.sampled_from([0.0, 4.0]),
    st.sampled_from([None, 0, -1]),
    st.integers(0, 99),
)
def test_values_gradients_and_sums_of_several_batches_are_the_formulas(
    rows: int, classes: int, gamma: float, alpha: float, place: int | None, seed: int
) -> None:
    background = None if place is None else range(classes)[place]
    loss = EqualizationLossV2(classes, gamma, mu=0.8, alpha=alpha, background=background, reduction="none")
    positive, negative = [0.0] * classes, [0.0] * classes
    for batch in range(3):
        logits, targets = naive.logits_and_targets(rows, classes, seed + batch)
        ratios = [p / n if n else 100 for p, n in zip(positive, negative, strict=True)]
        as_negative = [
            1 if c == background else 1 / (1 + math.exp(-gamma * (ratio - 0.8))) for c, ratio in enumerate(ratios)
        ]
        as_positive = [1 + alpha * (1 - w) for w in as_negative]
        expected = []
        for x, y in zip(logits, targets, strict=True):
            total = 0 * x.sum()
            for c in range(classes):
                p = float(x[c].detach().sigmoid())
                if c == y:
                    total = total + as_positive[c] * (1 + (-x[c]).exp()).log()
                    positive[c] += as_positive[c] * (1 - p)
                else:
                    total = total + as_negative[c] * (1 + x[c].exp()).log()
                    negative[c] += as_negative[c] * p
            expected.append(total)
        close = {"rtol": 1e-4, "atol": 1e-5}  # sums and weights are kept in float32
        naive.assert_same_rows(loss(logits, targets), naive.stack(expected, logits), [logits], **close)
        torch.testing.assert_close(loss.positive_gradients, torch.tensor(positive), **close)
        torch.testing.assert_close(loss.negative_gradients, torch.tensor(negative), **close)


def test_before_any_batch_it_is_sigmoid_cross_entropy() -> None:
    loss, logits, targets = EqualizationLossV2(3), torch.randn(4, 3), torch.tensor([0, 2, 1, 1])
    as_positive, as_negative = loss.weights()
    assert as_positive.tolist() == as_negative.tolist() == pytest.approx([1, 1, 1])
    expected = F.binary_cross_entropy_with_logits(logits, F.one_hot(targets, 3).float(), reduction="sum") / 4
    torch.testing.assert_close(loss(logits, targets), expected)


def test_a_class_that_is_mostly_negative_gains_as_positive_and_loses_as_negative() -> None:
    loss = EqualizationLossV2(2, alpha=4)
    loss(torch.zeros(10, 2), torch.tensor([0] * 9 + [1]))
    as_positive, as_negative = loss.weights()
    assert as_positive.tolist() == pytest.approx([1, 5], abs=0.01)
    assert as_negative.tolist() == pytest.approx([1, 0], abs=0.01)


def test_the_background_keeps_plain_weights() -> None:
    logits, targets = torch.zeros(10, 3), torch.tensor([0] + [1] * 8 + [2])
    for background, plain in [(None, [1]), (0, [0, 1]), (2, [1, 2])]:
        loss = EqualizationLossV2(3, background=background)
        loss(logits, targets)
        for weights in loss.weights():
            assert [c for c in range(3) if abs(weights[c] - 1) < 0.01] == plain
            assert background is None or weights[background] == 1


def test_sums_grow_in_training_only_and_survive_a_reload() -> None:
    loss, copy = EqualizationLossV2(3), EqualizationLossV2(3)
    logits, targets = torch.randn(4, 3), torch.tensor([0, 2, 1, 1])
    loss(logits, targets)
    before = torch.stack(list(loss.state_dict().values()))
    assert before.count_nonzero() == 6
    copy.load_state_dict(loss.state_dict())
    assert torch.equal(copy.eval()(logits, targets), loss.eval()(logits, targets))
    for instance in (loss, copy):
        assert torch.equal(torch.stack([instance.positive_gradients, instance.negative_gradients]), before)


def test_softplus_is_exact_to_rounding() -> None:
    x = torch.cat([torch.linspace(-100, 100, 20001), torch.linspace(-1, 1, 2001), torch.zeros(1)])
    expected = F.softplus(x.double(), threshold=1000)
    smallest = torch.finfo(x.dtype).tiny  # below the normal numbers it may be 0
    torch.testing.assert_close(_softplus(x, x.sigmoid()).double(), expected, rtol=1e-6, atol=smallest)


@pytest.mark.parametrize("option", ["gamma", "alpha"])
def test_a_negative_gamma_or_alpha_is_refused(option: str) -> None:
    with pytest.raises(ValueError, match=f"{option} must be at least 0"):
        EqualizationLossV2(3, **{option: -1})


@pytest.mark.parametrize("background", [-1, 3])
def test_a_background_outside_the_classes_is_refused(background: int) -> None:
    with pytest.raises(ValueError, match=rf"background must be in 0\.\.2, got {background}"):
        EqualizationLossV2(3, background=background)
