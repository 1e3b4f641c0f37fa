"""Rates of the layers, against those of timm."""

from functools import partial

import pytest
import timm
import torch
from timm.optim import param_groups_layer_decay

from longtail.errors import InputError
from longtail.losses import LogitAdjustedLoss
from longtail.methods import Plain
from longtail.models import AdaptFormer, Backbone
from longtail.tasks import Classification
from longtail.tasks.layer_rates import Rates


@pytest.mark.parametrize("name", ["test_vit", "test_efficientnet", "test_convnext"])
def test_layers_decay_as_in_timm(name: str) -> None:
    method = Plain([5, 3, 1], Backbone(name), LogitAdjustedLoss)
    factors = Rates(head=10.0, layer_decay=0.7).factors(method)
    body, whole = method.backbone.body, timm.create_model(name)
    scales = {
        id(parameter): group["lr_scale"]
        for group in param_groups_layer_decay(whole, layer_decay=0.7)
        for parameter in group["params"]
    }
    assert len(set(scales.values())) > 2
    for name, parameter in body.named_parameters():
        expected = scales[id(whole.get_parameter(name))]
        assert factors[id(parameter)] == pytest.approx(expected, rel=1e-6), name
    assert {factors[id(parameter)] for parameter in method.classifier.parameters()} == {10.0}


def test_adamw_has_a_group_for_each_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    method = Plain([5, 3, 1], Backbone("test_vit"), LogitAdjustedLoss)
    optimizer = partial(torch.optim.AdamW, lr=1e-3)
    task = Classification(method, [5, 3, 1], optimizer, rates=Rates(head=10.0, layer_decay=0.5))
    monkeypatch.setattr(Classification, "_steps", lambda self: (1, 1))
    adamw = task.configure_optimizers()["optimizer"]  # type: ignore[index,call-overload]
    rates = {id(p): group["initial_lr"] for group in adamw.param_groups for p in group["params"]}
    body = method.backbone.body
    assert rates[id(method.classifier.weight)] == pytest.approx(1e-2)
    assert rates[id(body.norm.weight)] == pytest.approx(1e-3 * 0.5)
    depth = len(body.blocks)  # the last norm goes with the last block, the patches come before the first
    assert rates[id(body.blocks[-1].attn.qkv.weight)] == pytest.approx(1e-3 * 0.5)
    assert rates[id(body.patch_embed.proj.weight)] == pytest.approx(1e-3 * 0.5 ** (depth + 1))


def test_adapters_decay_with_their_block() -> None:
    backbone = Backbone("test_vit", tuning=AdaptFormer(2))
    method = Plain([5, 3, 1], backbone, LogitAdjustedLoss)
    factors = Rates(layer_decay=0.5).factors(method)
    first, last = (block.mlp.down.weight for block in (backbone.body.blocks[0], backbone.body.blocks[-1]))
    blocks = len(backbone.body.blocks)
    assert factors[id(last)] / factors[id(first)] == pytest.approx(2.0 ** (blocks - 1))


@pytest.mark.parametrize("options", [{"head": 0.0}, {"layer_decay": -1.0}])
def test_rates_are_positive(options: dict[str, float]) -> None:
    with pytest.raises(InputError, match="must be positive"):
        Rates(**options)
