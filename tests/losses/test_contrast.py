"""Contrast in one piece, in blocks of keys, and with a graph of its gradient: always the same."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import normalize

from longtail.losses import contrast
from longtail.losses.bcl import BalancedContrastiveLoss
from longtail.losses.supcon import SupervisedContrastiveLoss

from .storages import Storages


def value_and_gradients(
    loss: torch.nn.Module, targets: Tensor, inputs: list[Tensor], create_graph: bool = False
) -> list[Tensor]:
    embeddings, *prototypes = inputs
    values = loss(embeddings, targets, *prototypes)
    weights = torch.linspace(0.5, 1, len(values), dtype=values.dtype)
    return [values, *torch.autograd.grad(values @ weights, inputs, create_graph=create_graph)]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)], ids=str)
@pytest.mark.parametrize("loss", [BalancedContrastiveLoss, SupervisedContrastiveLoss])
@given(
    st.integers(1, 6),
    st.integers(1, 3),
    st.integers(1, 9),
    st.integers(1, 9),
    st.sampled_from([0.01, 0.1, 1.0]),
    st.sampled_from([1, 7, 16, 40, 64]),
    st.integers(0, 99),
)
def test_blocks_and_graphs_change_nothing(
    loss: type[BalancedContrastiveLoss | SupervisedContrastiveLoss],
    dtype: torch.dtype,
    tolerance: float,
    rows: int,
    views: int,
    classes: int,
    present: int,
    temperature: float,
    block: int,
    seed: int,
) -> None:
    torch.manual_seed(seed)
    shapes = [(rows, views, 3), (classes, 3)][: 1 + (loss is BalancedContrastiveLoss)]
    inputs = [normalize(torch.randn(shape, dtype=dtype), dim=-1).requires_grad_() for shape in shapes]
    targets = torch.randint(min(present, classes), (rows,))
    make = loss(temperature, reduction="none")
    whole = value_and_gradients(make, targets, inputs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contrast, "DENSE", 0)
        patch.setattr(contrast, "BLOCK", block)
        blocks = value_and_gradients(make, targets, inputs)
    close = {"rtol": tolerance, "atol": tolerance / temperature}
    torch.testing.assert_close(blocks, whole, **close)
    torch.testing.assert_close(value_and_gradients(make, targets, inputs, create_graph=True), whole, **close)


@pytest.mark.parametrize(("dense", "keys"), [(0, 4), (64 * 96 - 1, 4), (64 * 96, 96)])
def test_more_scores_than_are_dense_are_there_in_blocks_alone(
    dense: int, keys: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contrast, "DENSE", dense)
    monkeypatch.setattr(contrast, "BLOCK", 4 * 64)  # four keys of 96 with all anchors
    embeddings = normalize(torch.randn(32, 2, 3), dim=2).requires_grad_()
    prototypes = normalize(torch.randn(32, 3), dim=1).requires_grad_()
    with Storages() as storages:
        BalancedContrastiveLoss()(embeddings, torch.arange(32), prototypes).backward()
    assert storages.largest() == 4 * 64 * keys  # bytes of a float32


@pytest.mark.parametrize("dense", [0, 2**26])
def test_anchors_that_are_alike_have_one_gradient(dense: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever block an anchor is in, as an anchor and as a key."""
    monkeypatch.setattr(contrast, "DENSE", dense)
    monkeypatch.setattr(contrast, "BLOCK", 24)  # keys three at a time: blocks cut through the views and the classes
    embeddings = torch.eye(4, dtype=torch.float64)[:, None].repeat(1, 2, 1).requires_grad_()
    prototypes = torch.eye(4, dtype=torch.float64).requires_grad_()
    BalancedContrastiveLoss(1.0)(embeddings, torch.arange(4), prototypes).backward()
    for gradient in (*embeddings.grad.unbind(1), prototypes.grad):
        diagonal = gradient.diagonal()
        rest = gradient[~torch.eye(4, dtype=torch.bool)]
        torch.testing.assert_close(diagonal, diagonal[:1].expand(4))
        torch.testing.assert_close(rest, rest[:1].expand(12))


def test_the_gradient_of_the_gradient_is_the_numerical_one() -> None:
    embeddings = normalize(torch.randn(2, 2, 3, dtype=torch.float64), dim=2).requires_grad_()
    prototypes = normalize(torch.randn(3, 3, dtype=torch.float64)).requires_grad_()
    targets, loss = torch.tensor([0, 2]), BalancedContrastiveLoss(0.5, reduction="none")
    for z, p in [(embeddings, prototypes), (embeddings, prototypes.detach()), (embeddings.detach(), prototypes)]:
        assert torch.autograd.gradgradcheck(lambda z, p: loss(z, targets, p), (z, p))
