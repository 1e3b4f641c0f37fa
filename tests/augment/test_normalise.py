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


def test_empty_batch():
    assert Normalise(MEAN, STD)(torch.empty(0, 3, 8, 8, dtype=torch.uint8)).shape == (0, 3, 8, 8)


@pytest.mark.parametrize("arguments", [((0.5,), (0.5, 0.5)), ((0.5,), (0.0,)), ((0.5,), (-1.0,))])
def test_bad_statistics_are_refused(arguments):
    with pytest.raises(ValueError, match="in std"):
        Normalise(*arguments)


@pytest.mark.parametrize("wrong", [torch.zeros(2, 3, 4, 4), torch.zeros(2, 1, 4, 4).byte()])
def test_wrong_images_are_refused(wrong):
    with pytest.raises(ValueError, match=r"expected uint8 images of shape \(N, 3, H, W\)"):
        Normalise(MEAN, STD)(wrong)
