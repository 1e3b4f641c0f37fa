"""What published weights expect of images, and the sizes that a network can have."""

import dataclasses
import json

import pytest
import timm
import torch
from jsonargparse import Namespace

from longtail.augment.preprocessing import STANDARD, Preprocessing
from longtail.errors import InputError
from longtail.models import SMP, Backbone, ResNet50FPN, TimmFPN, VideoBackbone
from longtail.models.inputs import NetworkInput, timm_input
from longtail.models.local_dir import resolved
from longtail.models.weights import load_weights
from longtail.tasks.inputs import fit_to_network


def test_the_values_are_those_of_the_weights():
    clip = timm_input("vit_base_patch16_clip_224.openai", True)
    mean, std = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # of OpenAI's code
    assert clip == NetworkInput(Preprocessing(mean, std, "bicubic", 0.9, "center"), 224, True)
    half = (0.5, 0.5, 0.5)
    preprocessing = Preprocessing(half, half, "bicubic", 0.875, "center")
    assert timm_input("tf_efficientnet_lite0", True) == NetworkInput(preprocessing, 224)


def test_images_are_squashed_or_in_a_border_where_the_weights_were_trained_so(monkeypatch: pytest.MonkeyPatch):
    entry = timm_input("convnext_tiny.fb_in22k_ft_in1k_384", True)
    assert (entry.preprocessing.crop_mode, entry.preprocessing.crop, entry.border) == ("squash", 1.0, False)
    bordered = dataclasses.replace(timm.get_pretrained_cfg("resnet18"), crop_mode="border")
    monkeypatch.setattr(timm, "get_pretrained_cfg", lambda name: bordered)  # no weights of older versions were so
    init_args = Namespace(name="resnet18", pretrained=True)
    backbone = Namespace(class_path="longtail.models.Backbone", init_args=init_args)
    method = Namespace(class_path="longtail.methods.Plain", init_args=Namespace(backbone=backbone))
    data = Namespace(image_size=None, preprocessing=None)
    config = Namespace(
        model=Namespace(init_args=Namespace(method=method)),
        data=Namespace(class_path="longtail.data.Folder", init_args=data),
    )
    with pytest.raises(InputError, match=r"in a border .*: give --data\.preprocessing\.crop_mode squash or center"):
        fit_to_network(config)
    data.preprocessing = Namespace(crop_mode="squash")
    fit_to_network(config)
    assert data.preprocessing.crop_mode == "squash"


def test_random_weights_expect_nothing_but_the_size_they_are_made_for():
    assert timm_input("resnet18", False) == NetworkInput()
    assert timm_input("test_vit", False) == NetworkInput(size=160, fixed=True)
    assert timm_input("resnet20_cifar", False) == NetworkInput()


def test_every_network_of_timm_has_values_that_can_be_used():
    for name in timm.list_models(pretrained=True):
        expected = timm_input(name, True).preprocessing.over(STANDARD)
        normalise, resize = expected.parts()
        assert 0 < resize.crop <= 1
        assert len(normalise.mean) == 3


def test_clips_boxes_and_pixels_have_values_of_their_weights_too():
    kinetics = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)
    clips = VideoBackbone.expected({"name": "r3d_18", "pretrained": True})
    assert clips == NetworkInput(Preprocessing(*kinetics, "bilinear", 112 / 128), 112)
    half, imagenet = ((0.5,) * 3,) * 2, (STANDARD.mean, STANDARD.std)
    file = {"name": "tf_efficientnet_lite0", "weights": "some.pth"}
    assert (TimmFPN.expected(file).preprocessing.mean, TimmFPN.expected(file).preprocessing.std) == half
    pixels = SMP.expected({**file, "name": "tu-tf_efficientnet_lite0"}).preprocessing
    assert (pixels.mean, pixels.std) == half
    boxes = ResNet50FPN.expected({"pretrained": True, "version": 2}).preprocessing
    assert (boxes.mean, boxes.std) == imagenet
    for kind, name in ((VideoBackbone, "r3d_18"), (TimmFPN, "resnet18"), (SMP, "resnet18"), (ResNet50FPN, "")):
        assert kind.expected({"name": name}) == NetworkInput()  # random weights


def test_a_run_of_clips_takes_over_what_its_weights_expect():
    backbone = Namespace(class_path="longtail.models.VideoBackbone", init_args=Namespace(name="s3d", pretrained=True))
    method = Namespace(class_path="longtail.methods.Plain", init_args=Namespace(backbone=backbone))
    data = Namespace(image_size=None, preprocessing=Namespace(mean=None, std=None, interpolation=None, crop=0.9))
    config = Namespace(
        model=Namespace(init_args=Namespace(method=method)),
        data=Namespace(class_path="longtail.data.VideoFolder", init_args=data),
    )
    fit_to_network(config)
    assert (data.image_size, data.preprocessing.mean) == (224, (0.43216, 0.394666, 0.37645))
    assert (data.preprocessing.interpolation, data.preprocessing.crop) == ("bilinear", 0.9)


def test_what_is_given_goes_over_what_is_expected():
    preprocessing = Preprocessing(crop=0.9).over(Preprocessing((0.1, 0.2, 0.3), (1.0, 1.0, 1.0), "bicubic", 0.5))
    assert preprocessing == Preprocessing((0.1, 0.2, 0.3), (1.0, 1.0, 1.0), "bicubic", 0.9)


@pytest.mark.parametrize(
    ("options", "words"), [({"crop": 1.5}, "crop must be"), ({"std": (1.0, 0.0, 1.0)}, "std must")]
)
def test_values_that_cannot_be_are_refused(options, words):
    with pytest.raises(InputError, match=words):
        Preprocessing(**options)


def test_a_network_of_one_size_is_made_for_another():
    backbone = Backbone("test_vit", image_size=64).eval()
    assert backbone(torch.zeros(1, 3, 64, 64)).shape == (1, backbone.num_features)


def test_positions_of_a_file_are_interpolated(tmp_path):
    large = timm.create_model("test_vit")
    torch.save(large.state_dict(), tmp_path / "large.pth")
    small = Backbone("test_vit", weights=tmp_path / "large.pth", image_size=80).body
    tokens, grid = large.pos_embed[:, large.num_prefix_tokens :], large.pos_embed.shape[-1]
    side = int(tokens.shape[1] ** 0.5)
    maps = tokens.reshape(1, side, side, grid).permute(0, 3, 1, 2)
    positions = torch.nn.functional.interpolate(maps, (5, 5), mode="bicubic", antialias=True)
    expected = positions.permute(0, 2, 3, 1).reshape(1, 25, grid)
    assert torch.allclose(small.pos_embed[:, small.num_prefix_tokens :], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "size", "words"),
    [
        ("test_vit", 100, r"takes no images of 100 pixels: give --image-size 96, 112 or 160$"),
        ("resnet18", 64, "takes images of any size: leave out the image_size"),
    ],
)
def test_a_size_that_a_network_cannot_have_is_refused_with_the_nearest_that_fit(name, size, words):
    with pytest.raises(InputError, match=words):
        Backbone(name, image_size=size)


def test_sizes_are_named_that_the_weights_fit(monkeypatch):
    """Levit's positions are not interpolated: of a random network 96 and 128 would do."""
    make = timm.create_model

    def published(name, pretrained=False, **options):
        if pretrained:
            raise RuntimeError("Error(s) in loading state_dict")
        return make(name, **options)

    monkeypatch.setattr(timm, "create_model", published)
    with pytest.raises(InputError, match=r"takes no images of 100 pixels: give --image-size 224$"):
        Backbone("levit_128s", pretrained=True, image_size=100)


def test_a_size_that_a_network_of_any_size_does_not_take_is_refused():
    backbone = Backbone("lambda_resnet26t", tuning="none")
    backbone.tune(2)
    with pytest.raises(
        InputError, match=r"lambda_resnet26t takes no images of 100 pixels: give --image-size 96, 1.* or 256"
    ):
        backbone.check_size((100, 100))
    assert not any(module.training for module in backbone.body.modules())
    Backbone("resnet8_cifar").check_size((1, 1))


@pytest.mark.parametrize(
    ("name", "size", "near"),
    [
        ("gmlp_s16_224", 230, "224 or 240"),
        ("tnt_s_legacy_patch16_224", 225, "224 or 240"),  # which pads what it takes apart first
        ("vit_tiny_r_s16_p8_224", 240, "224 or 256"),  # patches of what a ResNet makes of the image
        ("volo_d1_224", 230, "224 or 232"),
    ],
)
def test_images_that_are_no_whole_number_of_patches_are_refused_by_every_design(name: str, size: int, near: str):
    with pytest.raises(InputError, match=rf"{name} takes no images of {size} pixels: give --image-size {near}$"):
        Backbone(name, image_size=size)


def test_images_of_any_size_are_a_whole_number_of_patches_as_well():
    with pytest.raises(
        InputError, match=r"convmixer_768_32 takes no images of 230 pixels: give --image-size 224 or 231$"
    ):
        Backbone("convmixer_768_32").check_size((230, 230))
    Backbone("pvt_v2_b0").check_size((256, 256))  # its patches overlap
    Backbone("test_resnet").check_size((99, 99))


def test_weights_whose_positions_do_not_fit_are_answered_with_the_native_size(tmp_path):
    torch.save(timm.create_model("levit_128s").state_dict(), tmp_path / "weights.pt")
    with pytest.raises(InputError, match=r"fits levit_128s at 224 pixels, and not at 256, .*: give --image-size 224$"):
        Backbone("levit_128s", weights=tmp_path / "weights.pt", image_size=256)
    with pytest.raises(InputError, match=r"does not fit the backbone: .*; name the network that it was saved from"):
        Backbone("levit_192", weights=tmp_path / "weights.pt", image_size=256)  # of another width, at any size


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model_args": {"global_pool": "max"}}, r"by model_args \(global_pool\)"),
        ({"pretrained_cfg": {"mean": [0.5]}}, "mean wants three values"),
        ({"model_args": {"img_size": 64}}, None),
    ],
)
def test_a_folder_of_timm_that_asks_for_more_is_refused(tmp_path, change, words):
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "test_vit", **change}))
    (tmp_path / "model.safetensors").touch()
    if words is None:
        assert resolved(f"local-dir:{tmp_path}", None) == ("test_vit", tmp_path / "model.safetensors")
        return
    with pytest.raises(InputError, match=words):
        resolved(f"local-dir:{tmp_path}", None)


def in_names_of_transformers(state):
    """The state of a ViT of timm, as transformers names it."""
    tensors = {}
    for name, value in state.items():
        name = name.replace("pos_embed", "embeddings.position_embeddings").replace("cls_token", "embeddings.cls_token")
        name = name.replace("patch_embed.proj", "embeddings.patch_embeddings.projection")
        name = "layernorm" + name[4:] if name.startswith("norm.") else name
        name = name.replace("blocks.", "encoder.layer.").replace("attn.proj", "attention.output.dense")
        for ours, theirs in (("norm1", "layernorm_before"), ("norm2", "layernorm_after")):
            name = name.replace(ours, theirs)
        name = name.replace("mlp.fc1", "intermediate.dense").replace("mlp.fc2", "output.dense")
        if "attn.qkv" not in name:
            tensors[f"vit.{name}"] = value
            continue
        for part, chunk in zip(("query", "key", "value"), value.chunk(3), strict=True):
            tensors["vit." + name.replace("attn.qkv", f"attention.attention.{part}")] = chunk
    return tensors


def test_names_of_transformers_are_translated(tmp_path):
    options = {"img_size": 32, "embed_dim": 12, "depth": 2, "num_heads": 2, "num_classes": 0}
    source, network = (timm.create_model("vit_tiny_patch16_224", **options).eval() for _ in range(2))
    tensors = in_names_of_transformers(source.state_dict())
    assert "vit.encoder.layer.1.attention.attention.key.bias" in tensors
    torch.save(tensors | {"classifier.weight": torch.zeros(3, 12)}, tmp_path / "hf.pt")
    load_weights(network, tmp_path / "hf.pt")
    images = torch.randn(1, 3, 32, 32)
    assert torch.equal(network(images), source(images))


def test_names_of_other_libraries_are_translated(tmp_path):
    """CLIP's towers in open_clip's naming, by timm's filter."""
    torch.manual_seed(0)
    tower = timm.create_model("vit_base_patch16_clip_224", num_classes=0, embed_dim=12, depth=1, num_heads=2)
    state = tower.state_dict()
    tensors = {
        "visual.class_embedding": state["cls_token"][0, 0],
        "visual.positional_embedding": state["pos_embed"][0],
        "visual.conv1.weight": state["patch_embed.proj.weight"],
        "visual.proj": torch.randn(12, 8),
    }
    for ours, theirs in (("norm_pre", "ln_pre"), ("norm", "ln_post")):
        tensors |= {f"visual.{theirs}.{end}": state[f"{ours}.{end}"] for end in ("weight", "bias")}
    for ours, theirs in (
        ("norm1", "ln_1"),
        ("norm2", "ln_2"),
        ("attn.proj", "attn.out_proj"),
        ("mlp.fc1", "mlp.c_fc"),
        ("mlp.fc2", "mlp.c_proj"),
    ):
        for end in ("weight", "bias"):
            tensors[f"visual.transformer.resblocks.0.{theirs}.{end}"] = state[f"blocks.0.{ours}.{end}"]
    for end in ("weight", "bias"):
        tensors[f"visual.transformer.resblocks.0.attn.in_proj_{end}"] = state[f"blocks.0.attn.qkv.{end}"]
    torch.save(tensors, tmp_path / "clip.pt")
    network = timm.create_model("vit_base_patch16_clip_224", num_classes=0, embed_dim=12, depth=1, num_heads=2)
    load_weights(network, tmp_path / "clip.pt")
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())


def test_a_file_of_another_network_is_answered_with_what_is_near(tmp_path):
    torch.save(timm.create_model("test_efficientnet").state_dict(), tmp_path / "other.pth")
    with pytest.raises(InputError, match=r"\d+ of \d+ tensors do, and it lacks .* \(nearest in it: .*, .*\)") as error:
        Backbone("test_resnet", weights=tmp_path / "other.pth")
    assert "\n" not in str(error.value)
    assert "--backbone" in str(error.value)
