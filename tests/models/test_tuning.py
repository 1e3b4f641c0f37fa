"""What of a pretrained network is trained, against the formulas in float64."""

import copy

import pytest
import timm
import torch
from timm.models.vision_transformer import ResPostBlock
from torch import nn

from longtail.errors import InputError
from longtail.models import AdaptFormer, Biases, Frozen, LoRA, Norms, Prompts
from longtail.models.adapters import AdaptedMLP
from longtail.models.tuning import class_bottleneck, transformer_blocks

EVERY = [Frozen(), Biases(), Norms(), AdaptFormer(), LoRA(), Prompts(3)]


@pytest.fixture
def vit() -> nn.Module:
    torch.manual_seed(0)
    options = {"img_size": 16, "patch_size": 8, "embed_dim": 12, "depth": 2, "num_heads": 2, "num_classes": 0}
    return timm.create_model("vit_tiny_patch16_224", init_values=0.5, **options).double().eval()


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(3, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def trained(body: nn.Module) -> dict[str, nn.Parameter]:
    return {name: parameter for name, parameter in body.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize("tuning", EVERY[:5], ids=lambda tuning: type(tuning).__name__)
def test_a_network_starts_as_it_was(vit, images, tuning):
    before = vit(images)
    tuning(vit, 100)
    vit.double()
    assert torch.allclose(vit(images), before, rtol=1e-12)


@pytest.mark.parametrize(
    ("tuning", "endings"),
    [
        (Frozen(), set()),
        (Biases(), {"bias"}),
        (Norms(), {"weight", "bias"}),
        (AdaptFormer(), {"weight", "bias", "scale"}),
        (LoRA(), {"0", "1"}),
        (Prompts(3), {"prompts"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_trained_moves_and_nothing_else_does(vit, images, tuning, endings):
    frozen = copy.deepcopy(vit)
    tuning(vit, 100)
    vit.double()
    names = trained(vit)
    assert {name.rsplit(".", 1)[-1] for name in names} == endings
    assert not any("qkv.weight" in name or "fc1.weight" in name for name in names)
    if not names:
        return
    vit(images).square().sum().backward()
    assert all(parameter.grad is not None for parameter in names.values())
    assert all(parameter.grad is None for name, parameter in vit.named_parameters() if name not in names)
    optimizer = torch.optim.SGD(names.values(), lr=0.1)
    optimizer.step()
    assert not torch.allclose(vit(images), frozen(images))


def test_adapters_are_those_of_the_formula(vit, images):
    plain = copy.deepcopy(vit)
    AdaptFormer(bottleneck=5)(vit, 100)
    vit.double()
    generator = torch.Generator().manual_seed(2)
    for parameter in trained(vit).values():
        parameter.data.copy_(torch.randn(parameter.shape, dtype=torch.float64, generator=generator))
    x = vit.norm_pre(vit.patch_drop(vit._pos_embed(vit.patch_embed(images))))
    for before, after in zip(plain.blocks, vit.blocks, strict=True):
        h = x + before.ls1(before.attn(before.norm1(x)))
        mlp = after.mlp
        assert isinstance(mlp, AdaptedMLP)
        assert mlp.down.weight.shape == (5, 12)
        adapted = []
        for token in h.flatten(0, 1):
            normal = (token - token.mean()) / (token.var(unbiased=False) + 1e-5).sqrt()
            normal = normal * mlp.adapter_norm.weight + mlp.adapter_norm.bias
            hidden = (mlp.down.weight @ normal + mlp.down.bias).clamp(min=0)
            adapted.append(mlp.scale * (mlp.up.weight @ hidden + mlp.up.bias))
        expected = h + before.ls2(before.mlp(before.norm2(h))) + torch.stack(adapted).view(h.shape)
        x = after(x)
        assert torch.allclose(x, expected, rtol=1e-10, atol=1e-10)
        parameters = [*mlp.down.parameters(), *mlp.up.parameters(), mlp.scale, *mlp.adapter_norm.parameters()]
        ours, theirs = (torch.autograd.grad(out.sin().sum(), parameters, retain_graph=True) for out in (x, expected))
        assert all(torch.allclose(gradient, partner, rtol=1e-8) for gradient, partner in zip(ours, theirs, strict=True))


def test_adapters_start_as_published(vit):
    AdaptFormer(bottleneck=4)(vit, 100)
    for block in vit.blocks:
        mlp = block.mlp
        assert mlp.scale.item() == 1
        assert not any(value.any() for value in (mlp.up.weight, mlp.up.bias, mlp.down.bias))
        assert mlp.down.weight.abs().max() <= 1 / 12**0.5  # kaiming with a = sqrt 5: uniform to 1 / sqrt(fan in)


@pytest.mark.parametrize(("classes", "bottleneck"), [(2, 1), (100, 4), (365, 8), (1000, 32), (8142, 256)])
def test_the_bottleneck_follows_classes_and_depth(classes, bottleneck):
    assert class_bottleneck(classes, 12) == bottleneck


def test_low_rank_weights_are_those_of_the_formula(vit, images):
    plain = copy.deepcopy(vit)
    LoRA(rank=2, alpha=3)(vit, 100)
    vit.double()
    generator = torch.Generator().manual_seed(3)
    for parameter in trained(vit).values():
        parameter.data.copy_(torch.randn(parameter.shape, dtype=torch.float64, generator=generator))
    for before, after in zip(plain.blocks, vit.blocks, strict=True):
        low_rank = after.attn.qkv.parametrizations.weight[0]
        (a_q, a_v), (b_q, b_v) = low_rank.first, low_rank.second
        weight = before.attn.qkv.weight
        weight.data += 1.5 * torch.cat([b_q @ a_q, torch.zeros(12, 12), b_v @ a_v])
    assert torch.allclose(vit(images), plain(images), rtol=1e-10)


@pytest.mark.parametrize("name", ["beit_base_patch16_224", "eva02_tiny_patch14_224", "swin_tiny_patch4_window7_224"])
@pytest.mark.parametrize("tuning", [AdaptFormer(), LoRA(), Norms(), Biases()], ids=lambda tuning: type(tuning).__name__)
def test_other_transformers_start_as_they_were(name, tuning):
    torch.manual_seed(0)
    options = {"swin": {"embed_dim": 24, "depths": (1, 1, 1, 1), "num_heads": (1, 2, 2, 4)}}.get(
        name[:4], {"embed_dim": 16, "depth": 2, "num_heads": 2, "init_values": 0.5, "img_size": 56}
    )
    body = timm.create_model(name, num_classes=0, **options).eval()
    images = torch.randn(1, 3, options.get("img_size", 224), options.get("img_size", 224))
    before = body(images)
    tuning(body, 100)
    after = body(images)
    assert torch.allclose(after, before, atol=1e-5)
    after.sum().backward()
    assert all(parameter.grad is not None for parameter in trained(body).values())


BLOCK = {"embed_dim": 12, "depth": 2, "num_heads": 2, "img_size": 32}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("swinv2_tiny_window8_256", {"embed_dim": 24, "depths": (1, 1), "num_heads": (1, 2), "img_size": 64}),
        ("vit_tiny_patch16_224", BLOCK | {"block_fn": ResPostBlock}),
    ],
)
def test_adapters_that_would_change_the_network_are_refused(name, options):
    """Their norm stands behind the MLP, and with the scales of a random network, which are 1, it would not show."""
    body = timm.create_model(name, num_classes=0, **options)
    state = {key: value.clone() for key, value in body.state_dict().items()}
    generator_state = torch.random.get_rng_state()
    with pytest.raises(InputError, match="AdaptFormer would change what"):
        AdaptFormer(2)(body, 10)
    assert body.training
    assert torch.equal(torch.random.get_rng_state(), generator_state)
    assert body.state_dict().keys() == state.keys()
    assert all(torch.equal(value, state[key]) for key, value in body.state_dict().items())


def test_adapters_hand_on_what_the_mlp_is_called_with():
    body = timm.create_model("pvt_v2_b0", num_classes=0).eval()
    images = torch.randn(1, 3, 64, 64)
    before = body(images)
    AdaptFormer(2)(body, 10)
    assert torch.allclose(body(images), before, atol=1e-5)


def test_low_rank_matrices_want_queries_keys_and_values_of_one_size():
    body = timm.create_model("gcvit_xxtiny", num_classes=0)
    with pytest.raises(InputError, match="LoRA finds no projections to queries and values in"):
        LoRA()(body, 10)


@pytest.mark.parametrize(
    ("name", "options"),
    [("aimv2_large_patch14_224", BLOCK | {"img_size": 28}), ("resmlp_12_224", {})],
)
def test_norms_of_timms_own(name, options):
    body = timm.create_model(name, num_classes=0, **options)
    Norms()(body, 10)
    assert trained(body)


def test_prompts_are_seen_by_the_images_tokens(vit, images):
    plain = copy.deepcopy(vit)
    Prompts(3)(vit, 100)
    vit.double()
    x = vit.norm_pre(vit.patch_drop(vit._pos_embed(vit.patch_embed(images))))
    for before, after in zip(plain.blocks, vit.blocks, strict=True):
        expected = before(torch.cat([after.prompts.expand(3, -1, -1), x], 1))[:, 3:]
        x = after(x)
        assert torch.equal(x, expected)
    assert torch.equal(vit(images), plain.forward_head(plain.norm(x)))


def test_norms_of_a_convolutional_network():
    body = timm.create_model("resnet10t", num_classes=0)
    Norms()(body, 10)
    affine = {name for name, module in body.named_modules() if isinstance(module, nn.BatchNorm2d)}
    assert {name.rsplit(".", 1)[0] for name in trained(body)} == affine


@pytest.mark.parametrize("tuning", [AdaptFormer(), LoRA(), Prompts()], ids=lambda tuning: type(tuning).__name__)
def test_a_network_without_attention_is_refused_in_one_line(tuning):
    with pytest.raises(InputError, match="vision transformer") as error:
        tuning(timm.create_model("resnet10t", num_classes=0), 10)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("make", [lambda: AdaptFormer(0), lambda: LoRA(0), lambda: Prompts(0)])
def test_sizes_are_positive(make):
    with pytest.raises(ValueError, match="must be at least 1, got 0"):
        make()


def test_blocks_of_a_transformer(vit):
    assert transformer_blocks(vit) == list(vit.blocks)
