"""Backbones for clips."""

import copy
import pickle
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import get_model, get_model_weights, list_models, video

from longtail.errors import InputError
from longtail.losses.cross_entropy import CrossEntropyLoss
from longtail.methods.base import Method
from longtail.methods.bcl import BCL
from longtail.methods.cibl import CIBL
from longtail.methods.gml import GML
from longtail.methods.plain import Plain
from longtail.methods.probe import Probe
from longtail.models.backbones import Backbone
from longtail.models.momentum import MomentumEncoder
from longtail.models.video import FrameMean, VideoBackbone

SMALL = {"video": (VideoBackbone, "mc3_18"), "frames": (FrameMean, "test_resnet")}
each_kind = pytest.mark.parametrize("kind", SMALL)


def clips(rows: int, frames: int = 3, side: int = 32, seed: int = 0) -> Tensor:
    return torch.randn(rows, 3, frames, side, side, generator=torch.Generator().manual_seed(seed))


def small(kind: str) -> Any:
    torch.manual_seed(0)
    make, name = SMALL[kind]
    return make(name)


def on_meta(name: str) -> VideoBackbone:
    """A network without memory for its weights: it computes shapes alone."""
    with torch.device("meta"):
        return VideoBackbone(name)


@pytest.mark.parametrize("name", list_models(module=video))
def test_every_video_network_gives_as_many_features_as_it_says(name: str) -> None:
    backbone = on_meta(name).train()
    assert backbone(torch.empty(2, 3, 16, 224, 224, device="meta")).shape == (2, backbone.num_features)
    parameters = sum(parameter.numel() for parameter in backbone.parameters())
    published = get_model_weights(name).DEFAULT.meta
    classes = len(published["categories"])
    assert parameters + backbone.num_features * classes + classes == published["num_params"]
    assert isinstance(list(backbone.body.children())[-1], nn.Identity)


# a linear classifier, one of 1 x 1 x 1 behind dropout, and a transformer
@pytest.mark.parametrize(
    ("name", "size"), [("mc3_18", (2, 24, 40)), ("s3d", (14, 224, 224)), ("swin3d_t", (3, 30, 33))], ids=str
)
def test_its_features_are_what_the_classifier_sees(name: str, size: tuple[int, int, int], tmp_path: Path) -> None:
    network = get_model(name).eval()
    place, classifier = list(network.named_children())[-1]
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    backbone = VideoBackbone(name, weights=tmp_path / "weights.safetensors").eval()  # the classifier is left over
    sample = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        features = backbone(sample)
        inputs = features[..., None, None, None] if place == "classifier" else features
        torch.testing.assert_close(classifier(inputs).flatten(1), network(sample), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["mvit_v1_b", "mvit_v2_s"])
@pytest.mark.parametrize("size", [(8, 224, 224), (16, 112, 112), (32, 112, 224), (15, 223, 223), (1, 224, 224)])
def test_a_network_with_fixed_positions_refuses_other_sizes(name: str, size: tuple[int, int, int]) -> None:
    """Some of them, as (32, 112, 224) with as many patches, it would else take in silence."""
    with pytest.raises(InputError) as error:
        on_meta(name)(torch.empty(1, 3, *size, device="meta"))
    frames, height, width = size
    words = f"{frames} frame{'s' if frames > 1 else ''} of {height} x {width} pixels"
    assert str(error.value) == f"{name} takes clips of 16 frames of 224 x 224 pixels, got {words}"


def test_a_network_with_a_smallest_size_names_it() -> None:
    backbone = on_meta("s3d")
    assert backbone(torch.empty(1, 3, 20, 224, 250, device="meta")).shape == (1, 1024)
    for size in [(13, 224, 224), (14, 112, 224), (14, 224, 112)]:
        with pytest.raises(InputError, match="s3d takes clips of 14 frames of 224 x 224 pixels or more, got "):
            backbone(torch.empty(1, 3, *size, device="meta"))


@each_kind
@pytest.mark.parametrize("shape", [(2, 3, 32, 32), (2, 1, 4, 32, 32), (2, 4, 3, 32, 32)])
def test_what_is_no_clip_is_refused(kind: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"clips must have shape \(N, 3, T, H, W\), got "):
        small(kind)(torch.zeros(shape))


@pytest.mark.parametrize(
    ("name", "near"),
    [("r3d18", "near it: r3d_18"), ("swin3d", "near it: swin3d_"), ("R3D_18", "There are"), ("resnet18", "mvit_v1_b")],
)
def test_an_unknown_name_gives_what_is_near(name: str, near: str) -> None:
    with pytest.raises(InputError, match=near) as error:
        VideoBackbone(name)
    assert f'unknown video backbone "{name}"' in str(error.value)


def test_frame_mean_names_what_its_image_network_refuses(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="near it: resnet18"):
        FrameMean("resnett18")
    with pytest.raises(InputError, match="no published weights for resnet32_cifar"):
        FrameMean("resnet32_cifar", pretrained=True)
    with pytest.raises(InputError, match="cannot read weights from"):
        FrameMean("resnet32_cifar", weights=tmp_path / "missing.pt")


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="exclude each other"):
        VideoBackbone("mc3_18", pretrained=True, weights=tmp_path / "weights.pt")
    with pytest.raises(InputError, match="cannot read weights from"):
        VideoBackbone("mc3_18", weights=tmp_path / "missing.pt")
    state = get_model("mc3_18").state_dict()
    torch.save({key: value for key, value in state.items() if key != "stem.0.weight"}, tmp_path / "weights.pt")
    with pytest.raises(InputError, match=r'119 of 120 tensors do, and it lacks "stem\.0\.weight"'):
        VideoBackbone("mc3_18", weights=tmp_path / "weights.pt")


def test_pretrained_takes_the_published_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    file = tmp_path / "hub" / "checkpoints" / Path(get_model_weights("s3d").DEFAULT.url).name
    file.parent.mkdir(parents=True)
    published = get_model("s3d").state_dict()
    torch.save(published, file)  # as if downloaded before
    state = VideoBackbone("s3d", pretrained=True).body.state_dict()
    assert published.keys() - state.keys() == {"classifier.1.weight", "classifier.1.bias"}
    for key, value in state.items():
        assert torch.equal(value, published[key])


def test_weights_that_cannot_be_downloaded_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: Any, **__: Any) -> None:
        raise URLError("no route")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.urlopen", offline)
    with pytest.raises(InputError, match=r"no pretrained weights for s3d \(.*no route.*\): give a local file") as error:
        VideoBackbone("s3d", pretrained=True)
    assert str(error.value).isprintable()


@pytest.mark.parametrize("name", ["resnet20_cifar", "test_resnet", "test_vit"])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
def test_frame_mean_is_the_mean_over_the_frames(name: str, layout: torch.memory_format, tmp_path: Path) -> None:
    images = Backbone(name).eval()
    torch.save(images.body.state_dict(), tmp_path / "weights.pt")
    backbone = FrameMean(name, weights=tmp_path / "weights.pt").eval().double()
    images = images.double()
    sample = clips(2, frames=5, side=160 if name == "test_vit" else 32).double()
    expected = torch.zeros(2, backbone.num_features, dtype=torch.float64)
    with torch.inference_mode():
        for row in range(2):
            for frame in range(5):
                expected[row] += images(sample[row, :, frame][None])[0] / 5
        torch.testing.assert_close(backbone(sample.contiguous(memory_format=layout)), expected)


def test_frame_mean_does_not_copy_clips_that_are_channels_last() -> None:
    backbone, calls = small("frames").eval(), []
    backbone.backbone.register_forward_pre_hook(lambda _, inputs: calls.append(inputs[0]))
    sample = clips(2).contiguous(memory_format=torch.channels_last_3d)
    backbone(sample)
    assert calls[0].data_ptr() == sample.data_ptr()
    assert calls[0].is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(calls[0].view(2, 3, 3, 32, 32)[1, 2], sample[1, :, 2])


@each_kind
def test_a_batch_may_be_empty_or_of_one_frame(kind: str) -> None:
    backbone = small(kind).eval()
    assert backbone(clips(1, frames=1)).shape == (1, backbone.num_features)
    assert backbone(clips(0)).shape == (0, backbone.num_features)


@each_kind
def test_state_copy_and_pickle_keep_the_network(kind: str) -> None:
    backbone = small(kind).eval()
    sample = clips(2)
    expected = backbone(sample)
    twin = SMALL[kind][0](SMALL[kind][1]).eval()
    assert not torch.equal(twin(sample), expected)
    twin.load_state_dict(backbone.state_dict())
    key = MomentumEncoder(backbone, momentum=1.0).eval()
    for instance in (twin, copy.deepcopy(backbone), pickle.loads(pickle.dumps(backbone)), key):
        assert torch.equal(instance(sample), expected)
    assert twin.num_features == backbone.num_features


@each_kind
@pytest.mark.parametrize("method", [Plain, BCL, CIBL, GML])
def test_every_method_trains_on_clips_under_autocast(kind: str, method: type[Method]) -> None:
    torch.manual_seed(0)
    options: dict[str, Any] = {"loss": CrossEntropyLoss} if method is Plain else {}
    network: Any = method([30, 10, 3], small(kind), **options)
    views = [clips(4, seed=view) for view in range(method.num_views)]
    views[0] = views[0].contiguous(memory_format=torch.channels_last_3d)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = network(views, torch.tensor([0, 1, 2, 0]))
    assert out["loss"].isfinite()
    assert out["logits"].shape == (4, 3)
    out["loss"].backward()
    for name, parameter in network.backbone.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    with torch.inference_mode():
        assert network.eval().classify(views[0]).shape == (4, 3)


@pytest.mark.parametrize("frames", [8, 16])
def test_gradients_under_autocast_are_those_of_float32(frames: int) -> None:
    """Of 8 frames two are left in the third stage, of 16 in the fourth, where oneDNN's bfloat16 kernel fails."""
    torch.manual_seed(0)
    backbone = VideoBackbone("r3d_18").eval()  # without batch statistics, which magnify rounding
    gradients = []
    for autocast in (False, True):
        backbone.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            features = backbone(clips(2, frames))
        features.float().square().mean().backward()
        gradients.append([parameter.grad.clone() for parameter in backbone.parameters()])
    for expected, gradient in zip(*gradients, strict=True):
        assert (gradient - expected).norm() <= 0.1 * expected.norm()


def test_a_frozen_video_network_keeps_its_weights_apart(tmp_path: Path) -> None:
    torch.manual_seed(0)
    first = VideoBackbone("mc3_18")
    save_file(first.body.state_dict(), tmp_path / "weights.safetensors")
    method = Probe(
        [3, 2], VideoBackbone("mc3_18", weights=tmp_path / "weights.safetensors", tuning="none"), CrossEntropyLoss()
    )
    assert not method.train().backbone.training
    assert all(name.startswith("classifier.") or name.endswith("sha256") for name in method.state_dict())
    assert torch.equal(method.features(clips(1)), first.eval()(clips(1)))
    free = VideoBackbone("mc3_18")
    assert Plain([3, 2], free, CrossEntropyLoss()).train().backbone.training
    assert all(parameter.requires_grad for parameter in free.parameters())
