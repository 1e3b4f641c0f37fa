"""Label-distribution-aware margin loss against its formula."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from longtail.losses.class_balanced import effective_number_weights
from longtail.losses.cross_entropy import CrossEntropyLoss
from longtail.losses.ldam import LDAMLoss

from . import naive

COUNTS = [500, 40, 3]


@given(
    st.integers(0, 6),
    st.lists(st.integers(1, 5000), min_size=1, max_size=7),
    st.sampled_from([0.0, 0.5]),
    st.sampled_from([1.0, 30.0]),
    st.sampled_from([None, 0.0, 0.5]),
    st.integers(0, 99),
)
def test_value_and_gradient_are_the_formulas(
    rows: int, counts: list[int], margin: float, scale: float, start: float | None, seed: int
) -> None:
    logits, targets = naive.logits_and_targets(rows, len(counts), seed)
    late = start == 0
    inverse = [(1 - 0.9) / (1 - 0.9**n) if late else 1.0 for n in counts]
    expected = []
    for x, y in zip(logits, targets, strict=True):
        m = margin * (min(counts) / counts[y]) ** 0.25
        scores = torch.stack([x[c] - scale * m * (c == y) for c in range(len(counts))])
        expected.append(-inverse[y] / sum(inverse) * len(counts) * naive.probability(scores, y).log())
    loss = LDAMLoss(counts, margin, scale, start, beta=0.9, reduction="none")
    loss.set_epoch(4, 10)
    close = {"rtol": 1e-5, "atol": 1e-5}  # margins and weights are kept in float32
    naive.assert_same_rows(loss(logits, targets), naive.stack(expected, logits), [logits], **close)


def test_the_rarest_class_has_the_full_margin() -> None:
    values = LDAMLoss([16, 1], max_margin=0.5, scale=10, reduction="none")(torch.zeros(2, 2), torch.tensor([0, 1]))
    torch.testing.assert_close(values, torch.tensor([2.5, 5.0]).exp().log1p())


def test_without_a_margin_it_is_cross_entropy() -> None:
    logits, targets = torch.randn(5, 3), torch.tensor([0, 2, 1, 1, 0])
    assert torch.equal(LDAMLoss(COUNTS, max_margin=0)(logits, targets), CrossEntropyLoss()(logits, targets))


def test_weights_set_in_late_in_the_run_and_go_back_before_it() -> None:
    loss, late = LDAMLoss(COUNTS, reweight_from=0.8), effective_number_weights(COUNTS, 0.9999)
    assert loss.class_weights.tolist() == [1, 1, 1]
    for epoch, weights in [(159, torch.ones(3)), (160, late), (199, late), (0, torch.ones(3))]:
        loss.set_epoch(epoch, 200)
        assert torch.equal(loss.class_weights, weights), epoch
    constant = LDAMLoss(COUNTS)
    constant.set_epoch(199, 200)
    assert constant.class_weights.tolist() == [1, 1, 1]


def test_a_reload_in_a_late_epoch_keeps_the_weights() -> None:
    loss, copy = LDAMLoss(COUNTS, reweight_from=0.2), LDAMLoss(COUNTS, reweight_from=0.2)
    loss.set_epoch(3, 10)
    copy.load_state_dict(loss.state_dict())
    logits, targets = torch.randn(5, 3), torch.tensor([0, 2, 1, 1, 0])
    assert torch.equal(copy.class_weights, effective_number_weights(COUNTS, 0.9999))
    assert torch.equal(copy(logits, targets), loss(logits, targets))


@pytest.mark.parametrize("option", ["max_margin", "scale"])
def test_a_negative_margin_or_scale_is_refused(option: str) -> None:
    with pytest.raises(ValueError, match=f"{option} must be at least 0"):
        LDAMLoss(COUNTS, **{option: -1})
