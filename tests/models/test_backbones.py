"""Backbones by name and their weights."""

import pickle
import zipfile
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file

from longtail.errors import InputError
from longtail.losses import CrossEntropyLoss
from longtail.methods import BCL, GML, RCNN, PixelPlain, Plain
from longtail.models import downloads
from longtail.models.backbones import Backbone
from longtail.models.detectors import TimmFPN
from longtail.models.resnet_cifar import BasicBlock, CifarResNet
from longtail.models.segmenters import SMP
from longtail.models.video import FrameMean, VideoBackbone
from longtail.models.weights import load_weights

IMAGES = torch.randn(2, 3, 32, 32)


@pytest.mark.parametrize(
    ("name", "published"), [("resnet20_cifar", 269_722), ("resnet32_cifar", 464_154), ("resnet56_cifar", 853_018)]
)
def test_cifar_resnets_have_the_published_size(name: str, published: int) -> None:
    """Published with a linear layer for ten classes, and with parameter-free shortcuts."""
    backbone = Backbone(name)
    assert sum(parameter.numel() for parameter in backbone.parameters()) + 64 * 10 + 10 == published
    assert backbone.num_features == 64
    assert backbone(IMAGES).shape == (2, 64)


def test_a_cifar_resnet_is_the_published_network() -> None:
    """He et al., section 4.2: 6 n + 1 convolutions, two halvings, shortcuts that pad with zeros."""
    network = CifarResNet(20).eval()
    assert len([module for module in network.modules() if isinstance(module, torch.nn.Conv2d)]) == 19
    x = network.conv(IMAGES)
    sizes = []
    for block in network.stages:
        x = block(x)
        sizes.append(tuple(x.shape[1:]))
    assert sizes == [(16, 32, 32)] * 3 + [(32, 16, 16)] * 3 + [(64, 8, 8)] * 3

    block = BasicBlock(16, 32, 2).eval()
    torch.nn.init.zeros_(block.conv2.weight)  # what is left is the shortcut
    x = torch.rand(1, 16, 4, 4)
    zeros = torch.zeros(1, 8, 2, 2)
    assert torch.equal(block(x), torch.cat([zeros, x[:, :, ::2, ::2], zeros], dim=1))


def test_a_wide_cifar_resnet_has_its_channels_everywhere() -> None:
    backbone = Backbone("resnet14x4_cifar")
    channels = [module.out_channels for module in backbone.modules() if isinstance(module, torch.nn.Conv2d)]
    assert channels == [64] * 5 + [128] * 5 + [256] * 5, "with a projection in the first block of a stage"
    assert backbone.num_features == 256
    assert backbone(IMAGES).shape == (2, 256)
    with pytest.raises(ValueError, match=r"expected a stage or more of one channel or more, got \[16, 0\]"):
        CifarResNet(20, (16, 0))


@pytest.mark.parametrize(("name", "stem"), [("resnet10_cifar", 64), ("resnet18x0.5_cifar", 32)])
def test_a_cifar_resnet_of_four_stages_doubles_its_channels_in_each(name: str, stem: int) -> None:
    backbone = Backbone(name)
    x, sizes = backbone.body.conv(IMAGES), []
    for block in backbone.body.stages:
        x = block(x)
        sizes.append(tuple(x.shape[1:]))
    blocks = len(sizes) // 4
    assert sizes == [(stem * k, 32 // k, 32 // k) for k in (1, 2, 4, 8) for _ in range(blocks)]
    assert backbone.num_features == 8 * stem


def test_resnet18_for_small_images_has_the_size_that_everybody_reports() -> None:
    """11,173,962 parameters with shortcuts of a 1x1 convolution and ten classes; pooling has none."""
    assert sum(parameter.numel() for parameter in Backbone("resnet18_cifar").parameters()) + 5130 == 11_173_962


@pytest.mark.parametrize("name", ["resnet14_cifar", "resnet14x2_cifar", "resnet10x0.5_cifar"])
@pytest.mark.parametrize("side", [1, 17, 28, 30])
def test_cifar_resnets_take_odd_sides(name: str, side: int) -> None:
    assert Backbone(name)(torch.randn(2, 3, side, side + 5)).isfinite().all()


def test_the_shortcut_of_a_wide_cifar_resnet_is_projected() -> None:
    block = BasicBlock(16, 32, 2, projection=True).eval()
    torch.nn.init.zeros_(block.conv2.weight)  # what is left is the shortcut
    assert isinstance(block.projection, torch.nn.Sequential)
    x, weight = torch.rand(1, 16, 4, 4), block.projection[1].weight[:, :, 0, 0]
    means = x.reshape(1, 16, 2, 2, 2, 2).mean((3, 5))
    expected = torch.einsum("oc,nchw->nohw", weight, means) / (1 + block.projection[2].eps) ** 0.5
    torch.testing.assert_close(block(x), expected.relu())
    assert BasicBlock(16, 16, 1, projection=True).projection is None


@pytest.mark.parametrize("channels", [(16,), (16, 33), (16, 33, 20)])
@pytest.mark.parametrize("projection", [False, True])
def test_a_cifar_resnet_has_any_channels(channels: tuple[int, ...], projection: bool) -> None:
    network = CifarResNet(4 * len(channels) + 2, channels, projection)
    assert len(network.stages) == 2 * len(channels)
    assert network(IMAGES).shape == (2, channels[-1])


@pytest.mark.parametrize(("depth", "stages"), [(2, 3), (19, 3), (31, 3), (52, 3), (14, 4), (2, 4)])
def test_a_depth_that_the_stages_cannot_have_is_refused(depth: int, stages: int) -> None:
    expected = rf"depth must be {2 * stages} n \+ 2 with {stages} stages, got {depth}"
    with pytest.raises(ValueError, match=expected):
        CifarResNet(depth, [16] * stages)


@pytest.mark.parametrize(
    ("name", "features"),
    # a pooled network, a tagged name, a transformer, one whose head widens the features
    [("test_resnet", 96), ("test_resnet.r160_in1k", 96), ("test_vit", 64), ("mobilenetv3_small_050", 1024)],
)
def test_timm_models_give_as_many_features_as_they_say(name: str, features: int) -> None:
    backbone = Backbone(name).eval()
    assert backbone.num_features == features
    assert backbone(torch.randn(1, 3, 160, 160)).shape == (1, features)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("resnet23_cifar", "near it: resnet32_cifar"),
        ("resnett18", "near it: resnet18"),
        ("qqqq", "Any timm name works"),
    ],
)
def test_an_unknown_name_gives_what_is_near(name: str, near: str) -> None:
    with pytest.raises(InputError, match=near) as error:
        Backbone(name)
    assert name in str(error.value)


def test_an_unknown_tag_is_refused() -> None:
    with pytest.raises(
        InputError, match=r'no weights "test_resnet\.nonsense": there are test_resnet\.r160_in1k; test_resnet alone'
    ):
        Backbone("test_resnet.nonsense")


def test_pretrained_where_there_are_no_weights_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "reachable", lambda address: True)
    with pytest.raises(InputError, match="no published weights for resnet32_cifar"):
        Backbone("resnet32_cifar", pretrained=True)
    with pytest.raises(InputError, match="no pretrained weights for test_vit4"):
        Backbone("test_vit4", pretrained=True)
    with pytest.raises(InputError, match="exclude each other"):
        Backbone("test_resnet", pretrained=True, weights=tmp_path / "weights.pt")


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth"])
@pytest.mark.parametrize("name", ["resnet20_cifar", "test_resnet"])
def test_weights_from_a_local_file(name: str, suffix: str, tmp_path: Path) -> None:
    source, file = Backbone(name).eval(), tmp_path / f"weights{suffix}"
    state = source.body.state_dict() | {"fc.weight": torch.zeros(10, 4), "fc.bias": torch.zeros(10)}  # left over
    if suffix == ".safetensors":
        save_file(state, file)
    else:
        torch.save({"state_dict": state} if suffix == ".pth" else state, file)
    assert torch.equal(Backbone(name, weights=file).eval()(IMAGES), source(IMAGES))


def test_a_file_of_weights_may_be_given_as_text(tmp_path: Path) -> None:
    source, file = Backbone("test_resnet"), tmp_path / "weights.pt"
    torch.save(source.body.state_dict(), file)
    assert_same_weights(Backbone("test_resnet", weights=str(file)).body, source.body)
    detector = TimmFPN(name="test_resnet", weights=str(file), features=16, frozen_norms=False)(3, masks=False)
    assert_same_weights(detector.backbone.body, source.body)


def save(network: torch.nn.Module, file: Path) -> Path:
    """As a run keeps it, ``best.ckpt``, or exports it, ``model.safetensors``."""
    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    if file.suffix == ".safetensors":
        save_file(state, file)
    else:
        metrics = {"metrics.per_class.hits": torch.zeros(2), "difficulty.accuracy": torch.zeros(2)}
        torch.save({"state_dict": {f"method.{name}": value for name, value in state.items()} | metrics}, file)
    return file


def assert_same_weights(network: torch.nn.Module, source: torch.nn.Module) -> None:
    """Every tensor of a network is that of the source, whatever timm calls a stage."""
    expected = source.state_dict()
    for name, value in network.state_dict().items():
        assert torch.equal(value, expected[name.replace("stages_", "stages.") if name not in expected else name]), name


@pytest.mark.parametrize("file", ["best.ckpt", "model.safetensors"])
@pytest.mark.parametrize("method", ["Plain", "BCL", "GML"])
def test_weights_of_a_run_of_images(tmp_path: Path, method: str, file: str, log: pytest.LogCaptureFixture) -> None:
    source = Backbone("test_resnet")
    instance = {
        "Plain": lambda: Plain([4, 2], source, CrossEntropyLoss()),
        "BCL": lambda: BCL([4, 2], source),
        "GML": lambda: GML([4, 2], source),
    }[method]()
    for name, value in instance.named_parameters():
        if name.startswith("key"):
            torch.nn.init.constant_(value, 7.0)  # what follows the trained network is not it
    path = save(instance, tmp_path / file)
    assert_same_weights(Backbone("test_resnet", weights=path).body, source.body)
    entries = len(source.body.state_dict())
    assert f"{path}: {entries} tensors fit the backbone, the other " in log.text
    assert "are left out: " in log.text


def test_weights_of_a_run_of_images_start_the_other_grains(tmp_path: Path) -> None:
    source = Backbone("test_resnet")
    path = save(Plain([4, 2], source, CrossEntropyLoss()), tmp_path / "last.ckpt")
    assert_same_weights(FrameMean("test_resnet", weights=path).backbone.body, source.body)
    detector = TimmFPN(name="test_resnet", weights=path, features=16, frozen_norms=False)(3, masks=False)
    assert_same_weights(detector.backbone.body, source.body)
    pytest.importorskip("segmentation_models_pytorch")
    resnet = Backbone("resnet18")
    path = save(Plain([4, 2], resnet, CrossEntropyLoss()), tmp_path / "resnet.ckpt")
    assert_same_weights(SMP("resnet18", "FPN", weights=path).encoder, resnet.body)


def test_weights_of_runs_of_clips_boxes_and_pixels(tmp_path: Path) -> None:
    clips = VideoBackbone("r3d_18")
    path = save(Plain([4, 2], clips, CrossEntropyLoss()), tmp_path / "clips.ckpt")
    assert_same_weights(VideoBackbone("r3d_18", weights=path).body, clips.body)
    boxes = RCNN([4, 2], TimmFPN(name="test_resnet", features=16), masks=False)
    path = save(boxes, tmp_path / "boxes.ckpt")
    detector = RCNN([4, 2], TimmFPN(name="test_resnet", features=16, weights=path, frozen_norms=False), masks=False)
    assert_same_weights(detector.network.backbone.body, boxes.network.backbone.body)
    pytest.importorskip("segmentation_models_pytorch")
    pixels = PixelPlain([4, 2], SMP("resnet18", "FPN"))
    path = save(pixels, tmp_path / "pixels.safetensors")
    assert_same_weights(SMP("resnet18", "FPN", weights=path).encoder, pixels.backbone.encoder)


def test_the_folder_of_a_run_and_a_run_of_another_network_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"it is a folder; give a file in it, such as best\.ckpt"):
        Backbone("test_resnet", weights=tmp_path)
    path = save(Plain([4, 2], Backbone("resnet20_cifar"), CrossEntropyLoss()), tmp_path / "best.ckpt")
    with pytest.raises(InputError, match=r"best\.ckpt does not fit the backbone: .* it lacks"):
        Backbone("test_resnet", weights=path)


def test_weights_that_do_not_fit_are_refused_and_change_nothing(tmp_path: Path) -> None:
    network, file = CifarResNet(20), tmp_path / "weights.pt"
    before = {key: value.clone() for key, value in network.state_dict().items()}
    state = CifarResNet(20).state_dict()

    torch.save(state | {"conv.weight": torch.zeros(16, 1, 3, 3)}, file)
    with pytest.raises(InputError, match=r'has another shape for "conv\.weight", \(16 x 1 x 3 x 3\) in place'):
        load_weights(network, file)
    torch.save({key: value for key, value in state.items() if not key.startswith("bn.")}, file)
    with pytest.raises(InputError, match=r'lacks "bn\.weight"'):
        load_weights(network, file)
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key])

    torch.save({key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}, file)
    load_weights(network, file)  # as torch did not keep them at first
    assert torch.equal(network.conv.weight, state["conv.weight"])


def test_weights_of_a_larger_network_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "weights.pt"
    torch.save(timm.create_model("vit_tiny_patch16_224", img_size=32, depth=3, embed_dim=12).state_dict(), file)
    small = timm.create_model("vit_tiny_patch16_224", img_size=32, depth=2, embed_dim=12, num_classes=0)
    with pytest.raises(InputError, match=r"a larger network, and goes on with blocks\.2\..*; name the network"):
        load_weights(small, file)


def test_a_network_of_features_may_lack_the_last_stages(tmp_path: Path) -> None:
    file = tmp_path / "weights.pt"
    options = {"depths": (1, 1, 1, 1), "dims": (4, 4, 4, 4)}
    torch.save(timm.create_model("convnext_tiny", **options).state_dict(), file)
    load_weights(timm.create_model("convnext_tiny", features_only=True, out_indices=(0, 1), **options), file)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(value: float, tmp_path: Path) -> None:
    file = tmp_path / "weights.pt"
    torch.save(CifarResNet(8).state_dict() | {"bn.weight": torch.full((16,), value)}, file)
    with pytest.raises(InputError, match=r"holds NaN or infinite weights, such as bn\.weight"):
        Backbone("resnet8_cifar", weights=file)


@pytest.mark.parametrize("wrapper", ["model", "model_ema", "state_dict_ema", "teacher", "student", None])
def test_weights_lie_under_the_names_of_trainers(wrapper: str | None, tmp_path: Path, log) -> None:
    state = CifarResNet(8).state_dict()
    if wrapper in ("teacher", "student"):
        state = {f"module.backbone.{name}": value for name, value in state.items()}
    rest = {"epoch": 3, "args": Namespace(lr=0.1)}
    torch.save(state | rest if wrapper is None else {wrapper: state, **rest}, tmp_path / "weights.pt")
    network = Backbone("resnet8_cifar", weights=tmp_path / "weights.pt").body
    assert all(
        torch.equal(value, truth) for value, truth in zip(network.state_dict().values(), state.values(), strict=True)
    )
    assert (f'the weights under "{wrapper}" are taken' if wrapper else "as no tensors: epoch, args") in log.text


def test_files_are_read_by_their_content(tmp_path: Path) -> None:
    state = CifarResNet(8).state_dict()
    save_file(state, tmp_path / "pytorch_model.bin")
    torch.save(state, tmp_path / "model.safetensors")
    for name in ("pytorch_model.bin", "model.safetensors"):
        assert torch.equal(Backbone("resnet8_cifar", weights=tmp_path / name).body.bn.weight, state["bn.weight"])


def test_a_program_is_told_from_a_damaged_file(tmp_path: Path) -> None:
    file = tmp_path / "clip.pt"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("clip/code/__torch__.py", "")
    with pytest.raises(InputError, match=r"it is a TorchScript archive, .*torch\.jit\.load"):
        Backbone("resnet8_cifar", weights=file)


class Trap:
    """Whoever unpickles this creates a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self):
        return Path.touch, (self.file,)


def test_what_is_no_file_of_tensors_is_refused(tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    good = tmp_path / "good.pt"
    torch.save(CifarResNet(20).state_dict(), good)
    save_file(CifarResNet(20).state_dict(), tmp_path / "good.safetensors")
    contents = {
        "truncated.pt": good.read_bytes()[:5000],
        "empty.pt": b"",
        "text.pt": b"not a checkpoint\n",
        "pickle.pt": pickle.dumps(Trap(sprung), protocol=2),
        "truncated.safetensors": (tmp_path / "good.safetensors").read_bytes()[:5000],
        "empty.safetensors": b"",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    torch.save({"state_dict": Trap(sprung)}, tmp_path / "object.pt")
    torch.save([torch.zeros(2)], tmp_path / "list.pt")
    torch.save({"state_dict": 3}, tmp_path / "number.pt")
    torch.save({"epoch": 3}, tmp_path / "values.pt")
    for name in [*contents, "object.pt", "list.pt", "number.pt", "values.pt", "missing.pt", "missing.safetensors", "."]:
        with pytest.raises(InputError, match="cannot read weights from") as error:
            Backbone("resnet20_cifar", weights=tmp_path / name)
        message = str(error.value)
        assert str(tmp_path / name) in message
        assert message.isprintable(), "one line without escape codes"
    assert not sprung.exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda weight: weight.to_sparse(), r"body\.conv\.weight is no plain array of numbers, as it is sparse"),
        (lambda weight: weight.to("meta"), "is no plain array of numbers"),
        (lambda weight: weight.to(torch.int8), r"holds body\.conv\.weight as int8, and weights are floating-point"),
        (lambda weight: weight.to(torch.complex64), "as complex64, and weights are floating-point numbers"),
        (lambda weight: weight.double(), None),
    ],
)
def test_weights_that_are_no_plain_numbers_are_refused(change: Any, words: str | None, tmp_path: Path) -> None:
    network, file = Backbone("resnet20_cifar"), tmp_path / "weights.pth"
    state = network.state_dict()
    torch.save({**state, "body.conv.weight": change(state["body.conv.weight"])}, file)
    if words is None:
        again = Backbone("resnet20_cifar", weights=file).state_dict()
        assert torch.equal(again["body.conv.weight"], state["body.conv.weight"])
        return
    with pytest.raises(InputError, match=words):
        Backbone("resnet20_cifar", weights=file)
