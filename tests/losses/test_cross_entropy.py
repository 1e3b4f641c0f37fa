"""Plain cross-entropy against its formula."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from longtail.losses.cross_entropy import CrossEntropyLoss


@given(st.integers(0, 6), st.integers(1, 7), st.integers(0, 99))
def test_value_and_gradient_are_the_formulas(rows: int, classes: int, seed: int) -> None:
    torch.manual_seed(seed)
    logits = (5 * torch.randn(rows, classes, dtype=torch.float64)).requires_grad_()
    targets = torch.randint(classes, (rows,))
    expected = torch.zeros(rows, dtype=torch.float64)
    for i in range(rows):
        total = sum(logits[i, c].exp() for c in range(classes))
        expected[i] = -(logits[i, targets[i]].exp() / total).log()
    values = CrossEntropyLoss(reduction="none")(logits, targets)
    torch.testing.assert_close(values, expected)
    if rows:
        (wanted,) = torch.autograd.grad(expected.sum(), logits)
        (found,) = torch.autograd.grad(values.sum(), logits)
        torch.testing.assert_close(found, wanted)


def test_logits_that_are_far_apart_stay_finite() -> None:
    value = CrossEntropyLoss()(torch.tensor([[1e4, 0.0]]), torch.tensor([1]))
    assert value == 1e4
