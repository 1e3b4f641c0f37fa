"""Networks of pixels: their sizes, their weights, and what is refused."""

import sys
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from longtail.errors import InputError
from longtail.models import downloads
from longtail.models.segmenters import SMP, PixelBackbone


@pytest.fixture
def smp() -> Any:
    return pytest.importorskip("segmentation_models_pytorch")


needs_smp = pytest.mark.usefixtures("smp")


class Pooled(PixelBackbone):
    """The mean colour of each square of 8 by 8 pixels."""

    num_features = 3
    stride = 8

    def features(self, images: Tensor) -> Tensor:
        return F.avg_pool2d(images, 8)


def test_images_are_filled_up_to_the_stride_with_zeros() -> None:
    network, images = Pooled(), torch.rand(2, 3, 19, 32)
    features = network(images)
    assert network.filled((19, 32)) == (24, 32)
    assert features.shape == (2, 3, 3, 4)
    torch.testing.assert_close(features[:, :, 2, 1], images[:, :, 16:, 8:16].sum((2, 3)) / 64)
    assert torch.equal(network(images[..., :16, :]), features[:, :, :2])


@pytest.mark.parametrize("size", [(19, 32), (24, 33), (1, 1), (16, 16)])
def test_maps_are_enlarged_to_where_their_pixels_are(size: tuple[int, int]) -> None:
    network = Pooled()
    height, width = network.filled(size)
    rows = torch.arange(height).double().view(1, 1, -1, 1).expand(1, 3, height, width)
    columns = torch.arange(width).double().expand(1, 3, height, width)
    for place in (rows, columns):
        large = network.enlarge(network.features(place), size)
        assert large.shape == (1, 3, *size)
        # Beyond the middles of the outer squares the nearest of them holds on.
        expected = place[..., : size[0], : size[1]].clamp(3.5, place.max() - 3.5)
        torch.testing.assert_close(large, expected)
    constant = torch.full((1, 5, height // 8, width // 8), 2.5)
    assert torch.equal(network.enlarge(constant, size), torch.full((1, 5, *size), 2.5))


@needs_smp
@pytest.mark.parametrize(
    ("architecture", "name", "features", "step"),
    [
        ("Unet", "resnet18", 16, 1),
        ("FPN", "resnet18", 128, 4),
        ("DeepLabV3Plus", "resnet18", 256, 4),
        ("UPerNet", "resnet18", 256, 4),
        ("PSPNet", "resnet18", 512, 8),
        ("Segformer", "mit_b0", 256, 4),
        ("segformer", "tu-test_convnext", 256, 4),
    ],
)
def test_networks_take_images_of_any_size(architecture: str, name: str, features: int, step: int) -> None:
    network = SMP(name, architecture).eval()
    assert network.num_features == features
    with torch.no_grad():
        whole = network(torch.rand(1, 3, 64, 96))
        part = network(torch.rand(2, 3, 50, 70))
    assert whole.shape == (1, features, 64 // step, 96 // step)
    assert part.shape == (2, *whole.shape[1:])
    assert network.enlarge(part, (50, 70)).shape == (2, features, 50, 70)


def test_the_images_that_a_step_needs(smp: Any) -> None:
    for architecture in smp.MODEL_ARCHITECTURES_MAPPING.keys() - {"dpt", "pan"}:
        network, image = SMP("resnet18", architecture).train(), torch.randn(1, 3, 128, 128)
        if network.least_batch == 1:
            network(image)
        else:
            with pytest.raises(ValueError, match="more than 1 value per channel"):
                network(image)
            network(image.repeat(2, 1, 1, 1))


@pytest.mark.parametrize("architecture", ["Unet", "DeepLabV3Plus"])
def test_the_features_are_those_before_the_last_layer(architecture: str, smp: Any) -> None:
    original = smp.create_model(architecture, "resnet18", encoder_weights=None, classes=5).eval()
    network, images = SMP("resnet18", architecture).eval(), torch.rand(1, 3, 64, 96)
    network.encoder.load_state_dict(original.encoder.state_dict())
    network.decoder.load_state_dict(original.decoder.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(original.segmentation_head(network(images)), original(images))


@needs_smp
def test_weights_of_the_encoder_from_a_local_file(tmp_path: Path) -> None:
    source, file = SMP("resnet18", "FPN"), tmp_path / "weights.safetensors"
    save_file(source.encoder.state_dict(), file)
    copy = SMP("resnet18", "FPN", weights=file)
    for key, value in source.encoder.state_dict().items():
        assert torch.equal(copy.encoder.state_dict()[key], value), key


@needs_smp
@pytest.mark.parametrize("name", ["test_resnet", "test_convnext", "test_efficientnet"])
def test_weights_of_a_timm_encoder_are_those_of_the_whole_network(name: str, tmp_path: Path) -> None:
    whole, file, images = timm.create_model(name).eval(), tmp_path / "weights.pt", torch.randn(1, 3, 64, 64)
    torch.save(whole.state_dict(), file)
    encoder = SMP(f"tu-{name}", "FPN", weights=file).encoder.eval()
    with torch.no_grad():
        features, reference = encoder(images)[-1], whole.forward_intermediates(images, intermediates_only=True)[-1]
    torch.testing.assert_close(features, reference)


@needs_smp
def test_weights_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "weights.pt"
    with pytest.raises(InputError, match="cannot read weights from"):
        SMP("resnet18", "FPN", weights=file)
    torch.save({"conv1.weight": torch.zeros(64, 3, 7, 7)}, file)
    with pytest.raises(InputError, match=r"does not fit the backbone: 1 of 120 tensors do, and it lacks \"bn1"):
        SMP("resnet18", "FPN", weights=file)
    with pytest.raises(InputError, match="exclude each other"):
        SMP("resnet18", "FPN", pretrained=True, weights=file)


@needs_smp
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "resnett18"}, 'unknown encoder "resnett18"; near it: resnet18'),
        ({"name": "qqqq"}, 'unknown encoder "qqqq".* after "tu-"'),
        ({"name": "tu-nonsense"}, 'cannot make Unet with the encoder "tu-nonsense"'),
        ({"name": "tu-test_vit"}, 'cannot make Unet with the encoder "tu-test_vit"'),  # one scale alone
        ({"architecture": "Ynet"}, 'unknown architecture "Ynet": choose from DeepLabV3, DeepLabV3Plus, FPN'),
        ({"architecture": "PAN"}, 'unknown architecture "PAN"'),  # fails on small images
        ({"architecture": "DPT"}, 'unknown architecture "DPT"'),  # takes more than the maps of its encoder
        ({"options": {"encoder_dept": 4}}, 'Unet has no option "encoder_dept"; near it: encoder_depth'),
        ({"options": {"encoder_depth": 9}}, 'cannot make Unet with the encoder "resnet18": .*depth'),
        ({"options": {"classes": 2}}, "cannot make Unet .*classes"),
        ({"name": "tu-test_resnet", "options": {"nonsense": 4}}, "cannot make Unet .*nonsense"),
    ],
)
def test_what_cannot_be_made_is_refused_in_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        SMP(**{"name": "resnet18", "architecture": "Unet"} | options)
    assert "\n" not in str(error.value)


@needs_smp
def test_options_reach_the_network() -> None:
    network = SMP("resnet18", "Unet", options={"encoder_depth": 3, "decoder_channels": [32, 16, 8]}).eval()
    assert network.num_features == 8
    with torch.no_grad():
        assert network(torch.rand(1, 3, 40, 64)).shape == (1, 8, 64, 64)


def test_weights_that_cannot_be_downloaded_are_refused(smp: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*args: Any, encoder_weights: str, **options: Any) -> None:
        assert encoder_weights == "imagenet"
        raise OSError("no route to host\nwhatever comes after")

    monkeypatch.setattr(downloads, "reachable", lambda address: True)
    monkeypatch.setattr(smp, "create_model", offline)
    with pytest.raises(InputError, match=r"weights for resnet18 \(no route to host\): give a local file") as error:
        SMP("resnet18", pretrained=True)
    assert "\n" not in str(error.value)


def test_the_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "segmentation_models_pytorch", None)
    with pytest.raises(InputError, match=r'needs segmentation-models-pytorch: pip install "longtail\[segmentation\]"'):
        SMP("resnet18")


def test_an_encoder_made_for_one_size_takes_any_or_is_refused():
    network = SMP("tu-swin_tiny_patch4_window7_224", "FPN").eval()
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 96, 128)).shape[2:] == (24, 32)
    with pytest.raises(InputError, match="tu-maxvit_rmlp_pico_rw_256 takes no images of any height and width"):
        SMP("tu-maxvit_rmlp_pico_rw_256", "FPN")
