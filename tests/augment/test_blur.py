import pytest
import torch
from torchvision.transforms.v2 import functional as F

from longtail.augment import GaussianBlur
from longtail.augment.blur import gaussian_blur

from .conftest import seeded


@pytest.mark.parametrize("radius", [1, 3, 6])
def test_equals_torchvision_on_the_same_parameters(images, radius):
    sigma = torch.linspace(0.1, 2, len(images))
    output = gaussian_blur(images, sigma, radius).int()
    side = [2 * radius + 1] * 2
    expected = torch.stack([F.gaussian_blur(i, side, [float(s)]) for i, s in zip(images, sigma, strict=True)])
    difference = (output - expected.int()).abs()
    assert difference.max() <= 1  # where a value lies half-way, the order of the sums decides
    assert (difference > 0).float().mean() < 1e-3


def test_each_image_draws_whether_and_how_far_it_is_blurred(images):
    copies = images[:1].expand(400, -1, -1, -1)
    out = GaussianBlur(p=0.3)(copies, seeded(0))
    same = (out == copies).flatten(1).all(1)
    assert 0.6 < same.float().mean() < 0.8
    sharpness = (out.float().diff(dim=-1).abs().flatten(1).mean(1))[~same]
    assert len(sharpness.unique()) > 50
    narrow, wide = (GaussianBlur((s, s), p=1.0)(copies, seeded(0)).float().var(dim=(1, 2, 3)) for s in (0.5, 2.0))
    assert (wide < narrow).all()


def test_kernel_holds_three_deviations_and_fits_small_images(images):
    assert GaussianBlur().radius == 6
    assert GaussianBlur((0.1, 0.5)).radius == 2
    assert GaussianBlur(radius=1).radius == 1
    constant = torch.full((2, 3, 3, 40), 77, dtype=torch.uint8)
    assert torch.equal(GaussianBlur(p=1.0)(constant, seeded(0)), constant)
    assert torch.equal(GaussianBlur(p=0.0)(images, seeded(0)), images)


def test_bad_arguments_are_refused():
    for sigma in ((0.0, 1.0), (2.0, 1.0)):
        with pytest.raises(ValueError, match="expected sigma with 0 < low <= high"):
            GaussianBlur(sigma)
    with pytest.raises(ValueError, match="expected radius in"):
        GaussianBlur(radius=0)
    with pytest.raises(ValueError, match="expected p in"):
        GaussianBlur(p=1.5)
