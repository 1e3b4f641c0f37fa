"""The momentum encoder."""

import copy

import pytest
import torch
from torch import nn

from longtail.models.momentum import MomentumEncoder


def network(width: int = 4) -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, 2))


def randomise(module: nn.Module) -> None:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_()


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.999, 1.0])
def test_update_is_the_moving_average_of_every_parameter(momentum: float) -> None:
    query = network()
    key = MomentumEncoder(query, momentum)
    expected = [parameter.detach().clone() for parameter in query.parameters()]
    for _ in range(3):
        randomise(query)
        key.update(query)
        for i, q in enumerate(query.parameters()):
            expected[i] = momentum * expected[i] + (1 - momentum) * q.detach()
            torch.testing.assert_close(list(key.parameters())[i].data, expected[i])


def test_the_copy_has_no_gradient_and_leaves_the_encoder_alone() -> None:
    query = network()
    before = copy.deepcopy(query.state_dict())
    key = MomentumEncoder(query)
    randomise(key)
    images = torch.randn(5, 3, requires_grad=True)
    assert not key(images).requires_grad
    assert not any(parameter.requires_grad for parameter in key.parameters())
    assert all(parameter.requires_grad for parameter in query.parameters())
    key.update(query)
    for name, value in query.state_dict().items():
        assert torch.equal(value, before[name])


def test_statistics_of_batches_are_the_copys_own() -> None:
    query = network()
    key = MomentumEncoder(query, 0.0)
    query(torch.randn(8, 3))
    key.update(query)
    assert torch.equal(key.encoder[1].running_mean, torch.zeros(4))
    key.train()(torch.randn(8, 3))
    assert not torch.equal(key.encoder[1].running_mean, torch.zeros(4))
    assert not torch.equal(key.encoder[1].running_mean, query[1].running_mean)


def test_arguments_are_passed_on() -> None:
    class Scale(nn.Module):
        def forward(self, x: torch.Tensor, *, by: float) -> torch.Tensor:
            return by * x

    assert MomentumEncoder(Scale())(torch.ones(1), by=3.0) == 3


def test_it_survives_a_reload_and_a_copy() -> None:
    key, twin = MomentumEncoder(network()), MomentumEncoder(network())
    randomise(key)
    twin.load_state_dict(key.state_dict())
    images = torch.randn(6, 3)
    expected = key(images)
    assert torch.equal(twin(images), expected)
    assert torch.equal(copy.deepcopy(key)(images), expected)


def test_an_encoder_of_another_dtype_is_followed_in_the_copys() -> None:
    query = network()
    key = MomentumEncoder(query, 0.25)
    start = [parameter.clone() for parameter in key.parameters()]
    key.update(query.double())
    for k, before in zip(key.parameters(), start, strict=True):
        assert k.dtype == torch.float32
        torch.testing.assert_close(k, before)


@pytest.mark.parametrize("momentum", [-0.1, 1.1, float("nan")])
def test_a_momentum_outside_0_to_1_is_refused(momentum: float) -> None:
    with pytest.raises(ValueError, match=r"momentum must be in \[0, 1\], got"):
        MomentumEncoder(network(), momentum)


def test_an_encoder_that_does_not_fit_is_refused_and_changes_nothing() -> None:
    key = MomentumEncoder(network())
    before = copy.deepcopy(key.state_dict())
    with pytest.raises(ValueError, match=r"parameter 0 of the encoder must have shape \(4, 3\), got \(5, 3\)"):
        key.update(network(5))
    with pytest.raises(ValueError, match="encoder must have 6 parameters, got 2"):
        key.update(nn.Linear(3, 4))
    for name, value in key.state_dict().items():
        assert torch.equal(value, before[name])
