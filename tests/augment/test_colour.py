"""Colour changes against torchvision, image by image."""

import pytest
import torch
from torchvision.transforms.v2 import functional as F

from longtail.augment import ColourJitter, Greyscale, colour

FACTORS = [0.0, 0.1, 0.5, 0.73, 0.9, 1.0, 1.1, 1.27, 1.5, 1.9, 2.0, 3.0]


def difference(a, b):
    return (a.int() - b.int()).abs()


def reference(function, images, amounts):
    return torch.stack([function(image, amount) for image, amount in zip(images, amounts, strict=True)])


@pytest.mark.parametrize(
    ("ours", "theirs", "amounts"),
    [
        (colour.brightness, F.adjust_brightness, FACTORS),
        (colour.contrast, F.adjust_contrast, FACTORS),
        (colour.saturation, F.adjust_saturation, FACTORS),
        (colour.sharpness, F.adjust_sharpness, FACTORS),
        (colour.hue, F.adjust_hue, torch.linspace(-0.5, 0.5, 12).tolist()),
        (colour.hue, F.adjust_hue, [0.0, 1e-3, -1e-3, 1 / 6, -1 / 6, 1 / 3, -1 / 3, 0.25, -0.25, 0.1, -0.1, 0.05]),
    ],
)
def test_blends_agree_to_one_grey_level_and_nearly_always_exactly(ours, theirs, amounts, images):
    error = difference(ours(images, torch.tensor(amounts)), reference(theirs, images, amounts))
    assert error.max() <= 1
    assert error.float().mean() < 0.01  # results that are whole numbers but for the last bit


@pytest.mark.parametrize(
    ("ours", "theirs", "amounts"),
    [
        (colour.brightness, F.adjust_brightness, FACTORS),
        (colour.posterize, F.posterize, [0, 1, 2, 3, 4, 5, 6, 7, 8, 8, 4, 1]),
        (colour.solarize, F.solarize, [0.0, 255.0, 128.0, 127.5, 1.0, 254.0, 28.3, 200.0, 100.0, 99.9, 133.0, 0.5]),
    ],
)
def test_pointwise_changes_agree_exactly(ours, theirs, amounts, images):
    assert torch.equal(ours(images, torch.tensor(amounts)), reference(theirs, images, amounts))


@pytest.mark.parametrize("name", ["autocontrast", "equalize", "invert"])
def test_changes_without_an_amount_agree_exactly(name, images):
    theirs = torch.stack([getattr(F, name)(image) for image in images])
    assert torch.equal(getattr(colour, name)(images), theirs)


def test_greyscale_agrees_exactly(images):
    assert torch.equal(colour.greyscale(images), F.rgb_to_grayscale(images, num_output_channels=3))


@pytest.mark.parametrize("strengths", [(0.4, 0.4, 0.4, 0.1), (0.4, 0.4, 0.4, 0.0), (0.0, 1.5, 0.0, 0.5)])
def test_jitter_is_the_sequence_it_draws(strengths, images):
    theirs = [F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue]
    theirs = [f for f, s in zip(theirs, strengths, strict=True) if s]
    images = images.repeat(4, 1, 1, 1)
    op = ColourJitter(*strengths, p=0.8)
    skips, order, amount = op.draw(len(images), torch.Generator().manual_seed(2))
    expected = images.clone()
    for i in range(len(images)):
        for change, value in zip(order[:, i].tolist(), amount[:, i].tolist(), strict=True):
            if not skips[i]:
                expected[i] = theirs[change](expected[i], value)
    error = difference(op(images, torch.Generator().manual_seed(2)), expected)
    assert (error > 1).float().mean() < 1e-3  # a later step may enlarge a difference of one
    assert error.float().mean() < 5e-3
    assert error[skips].sum() == 0


def test_jitter_draws_from_its_ranges_and_all_orders():
    skips, order, amount = ColourJitter(0.4, 1.5, 0.2, 0.1, p=0.8).draw(20000, torch.Generator().manual_seed(0))
    assert skips.float().mean().item() == pytest.approx(0.2, abs=0.015)
    codes, counts = torch.unique(order, dim=1, return_counts=True)
    assert codes.shape[1] == 24
    assert counts.float().div(20000).sub(1 / 24).abs().max() < 5 * (1 / 24 / 20000) ** 0.5
    for change, (low, high) in enumerate([(0.6, 1.4), (0.0, 2.5), (0.8, 1.2), (-0.1, 0.1)]):
        values = amount[order == change]
        assert values.min() >= low
        assert values.max() <= high
        assert values.mean().item() == pytest.approx((low + high) / 2, abs=0.02 * (high - low))
        assert values.std().item() == pytest.approx((high - low) / 12**0.5, rel=0.03)


def test_jitter_of_strength_zero_changes_nothing(images):
    assert torch.equal(ColourJitter(0, 0, 0, 0)(images, torch.Generator()), images)


def test_greyscale_takes_its_share(images):
    copies = images[:1].repeat(4000, 1, 1, 1)
    out = Greyscale(0.2)(copies, torch.Generator().manual_seed(0))
    grey = (out == colour.greyscale(copies)).flatten(1).all(dim=1)
    assert grey.float().mean().item() == pytest.approx(0.2, abs=0.03)
    assert torch.equal(out[~grey], copies[~grey])
    assert torch.equal(Greyscale(0.0)(copies, torch.Generator()), copies)


@pytest.mark.parametrize("arguments", [(-0.1, 0, 0, 0), (0, -1, 0, 0), (0, 0, -1, 0), (0, 0, 0, 0.6), (0, 0, 0, 0, 2)])
def test_strengths_out_of_range_are_refused(arguments):
    with pytest.raises(ValueError, match=r"expected (brightness|contrast|saturation|hue|p) in "):
        ColourJitter(*arguments)
