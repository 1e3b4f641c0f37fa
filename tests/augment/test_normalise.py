import pytest
import torch
from torchvision.transforms.v2 import functional as F

from longtail.augment import Normalise

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)


def test_agrees_with_torchvision(images):
    expected = F.normalize(images.float() / 255, list(MEAN), list(STD))
    out = Normalise(MEAN, STD)(images)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, expected, atol=1e-6, rtol=1e-5)


def test_keeps_the_memory_format_and_the_input(images):
    before = images.clone()
    out = Normalise(MEAN, STD)(images.to(memory_format=torch.channels_last))
    assert out.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(out, Normalise(MEAN, STD)(images))
    assert torch.equal(images, before)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
def test_clips_are_normalised_frame_by_frame(images, layout):
    clips = images.unflatten(0, (3, 4)).transpose(1, 2).contiguous(memory_format=layout)  # (3, 3, 4, H, W)
    before = clips.clone()
    out = Normalise(MEAN, STD)(clips)
    assert out.dtype == torch.float32
    assert out.shape == clips.shape
    assert out.is_contiguous(memory_format=layout)
    assert torch.equal(out.transpose(1, 2).flatten(0, 1), Normalise(MEAN, STD)(images))
    assert torch.equal(clips, before)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size", [(5, 7), (2, 5, 7)])
def test_each_channel_has_its_own_statistics(channels, size):
    mean, std = [0.1 * (c + 1) for c in range(channels)], [0.2 + 0.1 * c for c in range(channels)]
    values = torch.randint(256, (2, channels, *size), generator=torch.Generator().manual_seed(0)).byte()
    expected = torch.empty(values.shape, dtype=torch.float64)
    for c in range(channels):
        expected[:, c] = (values[:, c].double() / 255 - mean[c]) / std[c]
    torch.testing.assert_close(Normalise(mean, std)(values).double(), expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("shape", [(0, 3, 8, 8), (0, 3, 4, 8, 8)])
def test_empty_batch(shape):
    assert Normalise(MEAN, STD)(torch.empty(shape, dtype=torch.uint8)).shape == shape


@pytest.mark.parametrize("arguments", [((0.5,), (0.5, 0.5)), ((0.5,), (0.0,)), ((0.5,), (-1.0,))])
def test_bad_statistics_are_refused(arguments):
    with pytest.raises(ValueError, match="in std"):
        Normalise(*arguments)


@pytest.mark.parametrize("shape", [(2, 1, 4, 4), (3, 4, 4), (2, 4, 3, 5, 5), (1, 2, 3, 4, 5, 5)])
def test_wrong_images_are_refused(shape):
    expected = r"expected uint8 images of shape \(N, 3, H, W\) or clips of shape \(N, 3, T, H, W\), got torch"
    for images in (torch.zeros(shape).byte(), torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 2, 4, 4)):
        with pytest.raises(ValueError, match=expected):
            Normalise(MEAN, STD)(images)
