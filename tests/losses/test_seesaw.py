"""Seesaw loss against its formula."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from longtail.losses.cross_entropy import CrossEntropyLoss
from longtail.losses.seesaw import SeesawLoss

from . import naive


def formula(x: Tensor, y: int, counts: list[int], p: float, q: float) -> Tensor:
    """The loss of one row of logits (C,); the factors get no gradient."""
    sigma = [float(naive.probability(x.detach(), c)) for c in range(len(x))]
    total = 0 * x[y]
    for j in range(len(x)):
        mitigation = min(1, counts[j] / counts[y]) ** p
        compensation = max(1, sigma[j] / sigma[y]) ** q
        total = total + (1 if j == y else mitigation * compensation) * x[j].exp()
    return -(x[y].exp() / total).log()


@given(
    st.integers(0, 6),
    st.lists(st.integers(0, 5), max_size=30),
    st.integers(6, 8),
    st.sampled_from([0.0, 0.8, 1.5]),
    st.sampled_from([0.0, 1.0, 2.0]),
    st.integers(0, 99),
)
def test_value_and_gradient_are_the_formulas(
    rows: int, earlier: list[int], classes: int, p: float, q: float, seed: int
) -> None:
    logits, targets = naive.logits_and_targets(rows, classes, seed)
    loss = SeesawLoss(classes, p, q, reduction="none")
    loss(torch.zeros(len(earlier), classes), torch.tensor(earlier, dtype=torch.int64))
    history = [*earlier, *targets.tolist()]  # this batch counts before it is used
    counts = [max(1, history.count(c)) for c in range(classes)]
    expected = [formula(x, y, counts, p, q) for x, y in zip(logits, targets.tolist(), strict=True)]
    naive.assert_same_rows(loss(logits, targets), naive.stack(expected, logits), [logits])


def test_without_strengths_it_is_cross_entropy() -> None:
    logits, targets = torch.randn(5, 3), torch.tensor([0, 2, 1, 1, 0])
    torch.testing.assert_close(SeesawLoss(3, p=0, q=0)(logits, targets), CrossEntropyLoss()(logits, targets))


def test_samples_are_counted_in_training_only_and_survive_a_reload() -> None:
    loss, copy = SeesawLoss(3), SeesawLoss(3)
    loss(torch.randn(4, 3), torch.tensor([0, 2, 0, 0]))
    loss(torch.randn(2, 3), torch.tensor([2, 0]))
    assert loss.seen.tolist() == [4, 0, 2]
    copy.load_state_dict(loss.state_dict())
    logits, targets = torch.randn(2, 3), torch.tensor([1, 2])
    assert torch.equal(copy.eval()(logits, targets), loss.eval()(logits, targets))
    assert loss.seen.tolist() == copy.seen.tolist() == [4, 0, 2]


@pytest.mark.parametrize("option", ["p", "q"])
def test_a_negative_strength_is_refused(option: str) -> None:
    with pytest.raises(ValueError, match=f"{option} must be at least 0"):
        SeesawLoss(3, **{option: -1})
