"""Rows whose gradient is made with their value: how often either is computed."""

import pytest
import torch
from torch import Tensor

from longtail.losses.with_gradient import Formula, WithGradient

TARGETS = torch.tensor([1, 0])


class Squares:
    """sum x^2 of each row times a factor, which counts its calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.formula = Formula(self.plain, self.value_and_gradient, lambda gradient, rows: gradient.mul_(rows[:, None]))

    def plain(self, x: Tensor, targets: Tensor, factor: float) -> Tensor:
        self.calls.append("plain")
        assert targets is TARGETS
        return factor * x.square().sum(1)

    def value_and_gradient(
        self, x: Tensor, targets: Tensor, factor: float, wanted: bool
    ) -> tuple[Tensor, Tensor | None]:
        self.calls.append("both" if wanted else "value")
        assert targets is TARGETS
        return factor * x.square().sum(1), 2 * factor * x if wanted else None


@pytest.fixture
def x() -> Tensor:
    return torch.tensor([[1.0, 2.0, 3.0], [-1.0, 0.5, 4.0]], dtype=torch.float64, requires_grad=True)


def test_one_pass_makes_value_and_gradient(x: Tensor) -> None:
    squares = Squares()
    rows = WithGradient.apply(x, TARGETS, 0.5, squares.formula)
    torch.testing.assert_close(rows, 0.5 * x.square().sum(1))
    rows.backward(torch.tensor([1.0, 10.0], dtype=torch.float64))
    torch.testing.assert_close(x.grad, x.detach() * torch.tensor([[1.0], [10.0]]))
    assert squares.calls == ["both"]


def test_without_a_gradient_none_is_made(x: Tensor) -> None:
    squares = Squares()
    WithGradient.apply(x.detach(), TARGETS, 0.5, squares.formula)
    assert squares.calls == ["value"]


def test_a_second_backward_makes_the_gradient_anew(x: Tensor) -> None:
    squares = Squares()
    value = WithGradient.apply(x, TARGETS, 0.5, squares.formula).sum()
    for _ in range(2):
        (gradient,) = torch.autograd.grad(value, x, retain_graph=True)
        torch.testing.assert_close(gradient, x.detach())
    assert squares.calls == ["both", "both"]


def test_the_gradient_of_a_gradient_is_that_of_the_plain_formula(x: Tensor) -> None:
    squares = Squares()
    value = WithGradient.apply(x, TARGETS, 0.5, squares.formula).sum()
    (gradient,) = torch.autograd.grad(value, x, create_graph=True)
    (second,) = torch.autograd.grad(gradient.sum(), x)
    torch.testing.assert_close(second, torch.ones_like(x))
    assert squares.calls == ["both", "plain"]
