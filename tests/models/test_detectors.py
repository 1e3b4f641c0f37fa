"""Detectors of torchvision around ResNet-50 and timm's backbones."""

from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models.detection import FasterRCNN, MaskRCNN
from torchvision.ops import FrozenBatchNorm2d

from longtail.errors import InputError
from longtail.models.detectors import DetectorBackbone, ResNet50FPN, TimmFPN

SMALL = {"name": "test_resnet", "features": 16, "anchors": 8}


@pytest.fixture(scope="module")
def resnet50(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as torchvision publishes it, with a classifier."""
    file = tmp_path_factory.mktemp("weights") / "resnet50.pth"
    torch.save(torchvision.models.resnet50().state_dict(), file)
    return file


def frozen(network: FasterRCNN) -> dict[str, bool]:
    """Of every parameter and buffer of the body, whether it is trained; frozen norms have no parameters."""
    body: Any = network.backbone.body
    trained = {name: parameter.requires_grad for name, parameter in body.named_parameters()}
    return {name: trained.get(name, False) for name in body.state_dict() if not name.endswith("num_batches_tracked")}


@pytest.mark.parametrize("masks", [True, False], ids=["masks", "boxes"])
@pytest.mark.parametrize("backbone", [ResNet50FPN(), ResNet50FPN(version=2), TimmFPN(**SMALL)], ids=repr)
def test_networks_have_the_classes_the_options_and_the_masks_asked_for(backbone: DetectorBackbone, masks: bool) -> None:
    network = backbone(5, masks, min_size=64, box_score_thresh=0.3)
    assert type(network) is (MaskRCNN if masks else FasterRCNN)
    heads = network.roi_heads
    assert heads.box_predictor.cls_score.out_features == 5
    assert heads.box_predictor.bbox_pred.out_features == 20
    assert heads.has_mask() == masks
    if masks:
        assert heads.mask_predictor.mask_fcn_logits.out_channels == 5
    assert (network.transform.min_size, heads.score_thresh) == ((64,), 0.3)
    assert all(parameter.requires_grad for parameter in network.parameters()), "without weights everything is learned"


def norms(*parts: nn.Module) -> list[nn.Module]:
    return [norm for part in parts for norm in part.modules() if isinstance(norm, (nn.BatchNorm2d, FrozenBatchNorm2d))]


@pytest.mark.parametrize(("version", "expected"), [(1, 0), (2, 16)])
def test_the_second_version_normalises_in_pyramid_and_heads(version: int, expected: int) -> None:
    network = ResNet50FPN(version=version)(5, True)  # two for each of four maps, four in each head
    assert len(norms(network.backbone.fpn, network.roi_heads)) == expected


@pytest.mark.parametrize(("version", "stages"), [(1, 0), (1, 3), (2, 2), (2, 5)])
def test_local_weights_freeze_what_published_ones_do(
    version: int, stages: int, resnet50: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = ResNet50FPN(weights=resnet50, version=version, trainable_stages=stages)(5, False)
    flags, body = frozen(network), network.backbone.body
    state = torch.load(resnet50)
    assert all(torch.equal(value, state[name]) for name, value in body.state_dict().items())
    trained = [flags["conv1.weight"], *(flags[f"layer{number}.0.conv1.weight"] for number in (1, 2, 3, 4))]
    assert trained == [False] * (5 - stages) + [True] * stages
    assert all(isinstance(module, FrozenBatchNorm2d) == (version == 1) for module in norms(body))
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", lambda *args, **options: state)
    assert flags == frozen(ResNet50FPN(True, version=version, trainable_stages=stages)(5, False))


def test_weights_that_cannot_be_downloaded_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **options: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fail)
    with pytest.raises(
        InputError, match=r"^no pretrained weights for ResNet-50 \(.*no route to host.*\): give a local"
    ):
        ResNet50FPN(pretrained=True)(5, False)


@pytest.mark.parametrize("options", [{"version": 3}, {"trainable_stages": 6}, {"trainable_stages": -1}])
def test_wrong_options_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(InputError, match="version must be 1 or 2 and trainable_stages 0 to 5"):
        ResNet50FPN(**options)(5, False)


@pytest.mark.parametrize("backbone", [ResNet50FPN, TimmFPN])
def test_pretrained_and_weights_exclude_each_other(backbone: type[DetectorBackbone]) -> None:
    with pytest.raises(InputError, match="pretrained and weights exclude each other"):
        backbone(pretrained=True, weights=Path("a.pth"))


@pytest.mark.parametrize("backbone", [ResNet50FPN, TimmFPN])
def test_weights_that_do_not_fit_are_refused(backbone: type[DetectorBackbone], tmp_path: Path) -> None:
    torch.save({"conv1.weight": torch.zeros(3)}, tmp_path / "a.pth")
    with pytest.raises(InputError, match=r"a\.pth does not fit the backbone"):
        backbone(weights=tmp_path / "a.pth")(5, False)


@pytest.mark.parametrize("name", ["test_resnet", "test_convnext", "test_mambaout"])  # the last with channels last
def test_the_pyramid_has_strides_from_4_on_and_an_anchor_size_for_each(name: str) -> None:
    network = TimmFPN(name=name, features=16, anchors=12)(5, False).eval()
    maps = list(network.backbone(torch.rand(1, 3, 128, 192)).values())
    strides = [4 * 2**level for level in range(len(maps))]
    assert len(maps) == 5
    assert [level.shape for level in maps] == [(1, 16, 128 // stride, 192 // stride) for stride in strides]
    assert network.rpn.anchor_generator.sizes == tuple((3 * stride,) for stride in strides)
    assert network.roi_heads.box_roi_pool.featmap_names == [str(level) for level in range(len(maps) - 1)]
    output = network([torch.rand(3, 64, 64)])
    assert output[0]["boxes"].shape[1] == 4


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("test_vit", r"^test_vit has feature maps of strides \[16, 16, 16\]: a pyramid needs 4, 8 and so on$"),
        ("test_resmet", r'^unknown backbone "test_resmet"; near it: test_resnet'),
        ("resnet18.none", r'^timm knows no weights "resnet18\.none": there are resnet18\.a1_in1k, [^\n]+$'),
    ],
)
def test_backbones_that_do_not_fit_are_refused(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        TimmFPN(name=name)(5, False)


def norms_move(network: FasterRCNN) -> bool:
    """Whether a step in training mode changes the statistics of the body."""
    before = {name: value.clone() for name, value in network.backbone.body.named_buffers()}
    network.train().backbone(torch.rand(2, 3, 64, 64))
    return not all(torch.equal(value, before[name]) for name, value in network.backbone.body.named_buffers())


def test_norms_of_a_backbone_with_weights_stay_as_they_are(tmp_path: Path) -> None:
    source = TimmFPN(**SMALL)(5, False)
    assert norms_move(source)
    torch.save(source.backbone.body.state_dict(), tmp_path / "a.pth")
    network = TimmFPN(weights=tmp_path / "a.pth", **SMALL)(5, False)
    assert not norms_move(network)
    images = torch.rand(1, 3, 64, 64)
    features = network.eval().backbone.body(images)
    torch.testing.assert_close(features, source.eval().backbone.body(images))
    assert norms_move(TimmFPN(weights=tmp_path / "a.pth", frozen_norms=False, **SMALL)(5, False))
    assert not norms_move(TimmFPN(frozen_norms=True, **SMALL)(5, False))

    copy = TimmFPN(**SMALL)(5, False).eval()  # as prediction makes it, without the file
    copy.load_state_dict(network.state_dict())
    torch.testing.assert_close(copy.backbone.body(images), features)


def test_a_network_made_for_one_size_takes_any_or_is_refused():
    small = {"min_size": 96, "max_size": 160}
    network = TimmFPN(name="swin_tiny_patch4_window7_224", features=8)(3, False, **small).eval()
    with torch.inference_mode():
        assert len(network([torch.zeros(3, 96, 128)])) == 1
    with pytest.raises(InputError, match="gcvit_xxtiny takes no images of any height and width"):
        TimmFPN(name="gcvit_xxtiny", features=8)(3, False, **small)
