"""Losses that work through large logits in blocks of rows, against the same in one piece."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from longtail.difficulty import ClassDifficulty
from longtail.losses import equalization, softmax
from longtail.losses.base import Loss
from longtail.losses.cdb import ClassDifficultyLoss
from longtail.losses.class_balanced import ClassBalancedLoss
from longtail.losses.cross_entropy import CrossEntropyLoss
from longtail.losses.equalization import EqualizationLossV2
from longtail.losses.focal import FocalLoss
from longtail.losses.ldam import LDAMLoss
from longtail.losses.logit_adjusted import LogitAdjustedLoss
from longtail.losses.seesaw import SeesawLoss
from longtail.losses.softmax import SoftmaxLoss

COUNTS, TARGETS = [100, 20, 5, 2], torch.tensor([0, 3, 1, 0, 0, 2, 1])
LOGITS = 3 * torch.randn(7, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def difficulty_loss() -> Loss:
    difficulty = ClassDifficulty(4)
    difficulty.update([0.9, 0.7, 0.2, 0.0])
    return ClassDifficultyLoss(difficulty, reduction="none")


def late_ldam() -> Loss:
    loss = LDAMLoss(COUNTS, scale=2, reweight_from=0, reduction="none")
    loss.set_epoch(1, 2)
    return loss


def after_batches(loss: Loss) -> Loss:
    """The loss after it has seen batches, so that its weights differ."""
    loss(LOGITS.float(), TARGETS)
    loss(LOGITS.float(), TARGETS)
    return loss


LOSSES = {
    "cross_entropy": lambda: CrossEntropyLoss(reduction="none"),
    "weighted": lambda: CrossEntropyLoss([0.5, 1, 2, 4], reduction="none"),
    "focal": lambda: FocalLoss(reduction="none"),
    "class_balanced": lambda: ClassBalancedLoss(COUNTS, gamma=0.5, reduction="none"),
    "difficulty": difficulty_loss,
    "ldam": late_ldam,
    "logit_adjusted": lambda: LogitAdjustedLoss(COUNTS, reduction="none"),
    "seesaw": lambda: after_batches(SeesawLoss(4, reduction="none")),
    "equalization": lambda: after_batches(EqualizationLossV2(4, reduction="none")),
    "equalization with background": lambda: after_batches(EqualizationLossV2(4, background=3, reduction="none")),
}


def results(make: Callable[[], Loss], dtype: torch.dtype, scale: float = 1) -> list[Tensor]:
    """Values, gradient of every row with and without a graph of it, gradient of the gradient, and the loss's state."""
    loss, logits = make(), (scale * LOGITS).to(dtype).requires_grad_()
    values = loss(logits, TARGETS)
    weights = torch.linspace(0.5, 1, len(TARGETS), dtype=values.dtype)
    (gradient,) = torch.autograd.grad(values @ weights, logits, retain_graph=True)
    (with_graph,) = torch.autograd.grad(values @ weights, logits, create_graph=True)
    (second,) = torch.autograd.grad((with_graph * LOGITS.cos().to(dtype)).sum(), logits)
    with torch.no_grad():
        repeat = make()(logits, TARGETS)
    return [values.detach(), repeat, gradient, with_graph.detach(), second, *loss.state_dict().values()]


@pytest.mark.parametrize("block", [1, 8, 12])  # one, two and three rows at a time, of seven
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 2e-6), (torch.float64, 1e-6), (torch.bfloat16, 0.02)], ids=str
)
@pytest.mark.parametrize("make", LOSSES.values(), ids=LOSSES)
def test_blocks_change_nothing(
    make: Callable[[], Loss], dtype: torch.dtype, tolerance: float, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = results(make, dtype)
    monkeypatch.setattr(softmax, "BLOCK", block)
    torch.testing.assert_close(results(make, dtype), whole, rtol=tolerance, atol=tolerance)


def operations(value: Tensor) -> set[str]:
    """What the graph of a value consists of."""
    names, stack = set(), [value.grad_fn]
    while stack:
        node = stack.pop()
        if node is not None:
            names.add(node.name())
            stack += [before for before, _ in node.next_functions]
    return names


@pytest.mark.parametrize("make", LOSSES.values(), ids=LOSSES)
def test_large_logits_alone_are_worked_on_in_blocks(make: Callable[[], Loss], monkeypatch: pytest.MonkeyPatch) -> None:
    """A loss that falls back on the formula in one piece has the same values, and twice the memory."""
    logits = LOGITS.clone().requires_grad_()
    monkeypatch.setattr(softmax, "BLOCK", logits.numel())
    assert "WithGradientBackward" not in operations(make()(logits, TARGETS))
    monkeypatch.setattr(softmax, "BLOCK", logits.numel() - 1)
    assert "WithGradientBackward" in operations(make()(logits, TARGETS))


@pytest.mark.parametrize(("block", "rows"), [(3, 1), (8, 2), (11, 2), (12, 3)])
def test_a_block_has_as_many_rows_as_fit(block: int, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(softmax, "BLOCK", block)
    assert [range(7)[part] for part in softmax.blocks(LOGITS)] == [range(7)[i : i + rows] for i in range(0, 7, rows)]


def test_the_gradient_of_equalization_is_made_with_the_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one pass; where none is wanted, none is made."""
    with_gradient, values = [], equalization._values

    def spy(*args: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        with_gradient.append(args[-1] is not None)
        return values(*args)

    monkeypatch.setattr(softmax, "BLOCK", 8)
    monkeypatch.setattr(equalization, "_values", spy)
    loss = EqualizationLossV2(4)
    loss(LOGITS.clone().requires_grad_(), TARGETS).backward()
    loss(LOGITS, TARGETS)
    assert with_gradient == [True, False]


@pytest.mark.parametrize("make", LOSSES.values(), ids=LOSSES)
def test_blocks_of_logits_that_are_far_apart_stay_finite(
    make: Callable[[], Loss], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(softmax, "BLOCK", 8)
    assert all(tensor.isfinite().all() for tensor in results(make, torch.float32, scale=1e4))


@pytest.mark.parametrize("make", LOSSES.values(), ids=LOSSES)
def test_a_second_backward_gives_the_same(make: Callable[[], Loss], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(softmax, "BLOCK", 8)
    logits = LOGITS.clone().requires_grad_()
    value = make()(logits, TARGETS).sum()
    (first,) = torch.autograd.grad(value, logits, retain_graph=True)
    copy = first.clone()
    (second,) = torch.autograd.grad(value, logits)
    torch.testing.assert_close(second, copy)
    assert torch.equal(first, copy)


class Sharper(SoftmaxLoss):
    """Not a constant added: what the blocks do not know how to differentiate."""

    def __init__(self) -> None:
        super().__init__()
        self.offset = torch.nn.Parameter(torch.zeros(3))

    def adjust(self, logits: Tensor, targets: Tensor) -> Tensor:
        return 2 * logits + self.offset


def test_a_loss_of_ones_own_that_does_more_than_add_constants_has_the_right_gradient(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logits, targets = torch.randn(50, 3, requires_grad=True), torch.randint(3, (50,))
    loss = Sharper()
    loss(logits, targets).backward()
    expected, of_offset = logits.grad, loss.offset.grad
    monkeypatch.setattr(softmax, "BLOCK", 8)
    logits.grad = loss.offset.grad = None
    loss(logits, targets).backward()
    torch.testing.assert_close(logits.grad, expected)
    torch.testing.assert_close(loss.offset.grad, of_offset)
