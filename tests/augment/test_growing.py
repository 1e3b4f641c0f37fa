"""The crop that grows with the epochs, and the resizing of crops in one step."""

import pytest
import torch
from torch.nn import functional as F

from longtail.augment import GrowingCrop
from longtail.augment.resample import resampled_crop

# .08 + .92 (1 - sqrt(1 - t^2)) for t = 0, 1/4, 1/2, 3/4, 1, by a pocket calculator
AREAS = [0.08, 0.1092138, 0.2032566, 0.3914772, 1.0]


@pytest.mark.parametrize("epoch", range(5))
def test_the_least_area_is_that_of_the_formula(epoch):
    crop = GrowingCrop()
    crop.set_epoch(epoch, 5)
    assert crop.scale == pytest.approx((AREAS[epoch], 1.0), abs=1e-6)
    boxes = crop.draw(2000, 100, 100, torch.Generator().manual_seed(epoch))
    assert torch.equal(boxes[:, 2], boxes[:, 3]), "crops are square"
    areas = boxes[:, 2].double() ** 2 / 10_000
    assert areas.min() == pytest.approx(AREAS[epoch], abs=0.012)
    assert areas.mean() == pytest.approx((AREAS[epoch] + 1) / 2, abs=0.02)


@pytest.mark.parametrize(("epoch", "epochs"), [(0, 1), (3, 1), (0, -1), (4, 0)])
def test_without_a_number_of_epochs_it_stays_at_the_least(epoch, epochs):
    crop = GrowingCrop(0.3)
    crop.set_epoch(epoch, epochs)
    assert crop.scale == (pytest.approx(0.3), 1.0)


@pytest.mark.parametrize("least", [0.0, -1.0, 1.5])
def test_the_least_area_is_a_part_of_the_image(least):
    with pytest.raises(ValueError, match="least above 0 and at most 1"):
        GrowingCrop(least)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [12, 40, 90])
def test_a_crop_is_resized_as_by_torch_one_by_one(interpolation, size):
    images = torch.randint(0, 256, (2, 3, 48, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    boxes = torch.tensor([[3, 5, 30, 31], [0, 20, 48, 44]])
    crops = resampled_crop(images, boxes, size, size + 1, interpolation)
    for image, (top, left, height, width), crop in zip(images, boxes.tolist(), crops, strict=True):
        part = image[None, :, top : top + height, left : left + width]
        expected = F.interpolate(part, (size, size + 1), mode=interpolation, antialias=True)[0]
        assert (crop.int() - expected.int()).abs().max() <= 1
