"""Projection and prototype heads."""

import pytest
import torch

from longtail.models.heads import ClassPrototypes, ProjectionHead

heads = pytest.mark.parametrize("head", [ProjectionHead, ClassPrototypes])


@heads
@pytest.mark.parametrize("training", [True, False])
def test_output_is_the_formula(head: type[ProjectionHead], training: bool) -> None:
    module, features = head(6, 9, 4).train(training), torch.randn(5, 6)
    first, norm, _, last = module.layers
    hidden = features @ first.weight.T + first.bias
    if training:
        hidden = (hidden - hidden.mean(0)) / (hidden.var(0, unbiased=False) + norm.eps).sqrt()
    else:
        hidden = hidden / (1 + norm.eps) ** 0.5
    hidden = (hidden * norm.weight + norm.bias).clamp_min(0)
    raw = hidden @ last.weight.T + last.bias
    torch.testing.assert_close(module(features), raw / raw.norm(dim=1, keepdim=True))


@heads
def test_output_is_float32_of_length_one_under_autocast_too(head: type[ProjectionHead]) -> None:
    module = head(6, 9, 4)
    with torch.autocast("cpu", torch.bfloat16):
        embeddings = module(torch.randn(50, 6))
    assert embeddings.shape == (50, 4)
    assert embeddings.dtype == torch.float32
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(50))


@heads
def test_the_input_is_left_alone(head: type[ProjectionHead]) -> None:
    features = torch.randn(5, 6)
    before = features.clone()
    head(6, 9, 4)(features)
    assert torch.equal(features, before)
