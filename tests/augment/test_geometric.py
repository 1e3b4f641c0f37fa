"""Crops, flips and affine changes against torchvision, image by image."""

import math

import pytest
import torch
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms.v2 import functional as F

from longtail.augment import HorizontalFlip, PadCrop, ResizedCrop
from longtail.augment.geometric import (
    pad_crop,
    resized_crop,
    rotate,
    shear_x,
    shear_y,
    translate_x,
    translate_y,
)

LEVELS = [0.0, 0.033, -0.033, 0.1, -0.1, 0.2, -0.2, 0.267, -0.267, 0.3, -0.3, 0.7]
PIXELS = [0, 1, -1, 2, -3, 5, -8, 13, -13, 20, -40, 40]
DEGREES = [0.0, 3.3, -3.3, 10.0, -10.0, 26.7, -26.7, 30.0, -30.0, 77.0, 179.0, 200.0]


def affine(image, fill, translate=(0, 0), shear=(0.0, 0.0), center=None):
    return F.affine(image, 0.0, list(translate), 1.0, list(shear), fill=fill, center=center)


def sheared(image, level, fill, vertical):
    degrees = math.degrees(math.atan(level))
    return affine(image, fill, shear=(0.0, degrees) if vertical else (degrees, 0.0), center=[0, 0])


def ties(matrix, height, width, about_corner):
    """(H, W) bool, true unless the source of a pixel is clearly nearest to one pixel."""
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    centre = torch.zeros(2) if about_corner else torch.tensor([width / 2, height / 2])
    offset = torch.stack([x, y]).double() - centre[:, None, None]
    source = torch.einsum("ij,jhw->ihw", torch.tensor(matrix, dtype=torch.float64), offset) + centre[:, None, None]
    return ((source - source.round()).abs() < 2e-3).any(dim=0)


def rotation(degrees):
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return [[cos, -sin], [sin, cos]]


@pytest.mark.parametrize("fill", [0, 128])
@pytest.mark.parametrize(
    ("ours", "theirs", "matrix", "amounts"),
    [
        (shear_x, lambda i, level, fill: sheared(i, level, fill, False), lambda v: [[1, v], [0, 1]], LEVELS),
        (shear_y, lambda i, level, fill: sheared(i, level, fill, True), lambda v: [[1, 0], [v, 1]], LEVELS),
        (rotate, lambda i, degrees, fill: F.rotate(i, degrees, fill=fill), rotation, DEGREES),
    ],
    ids=["shear_x", "shear_y", "rotate"],
)
def test_affine_changes_agree_exactly_but_for_ties(ours, theirs, matrix, amounts, fill, images):
    out = ours(images, torch.tensor(amounts), fill)
    for image, result, amount in zip(images, out, amounts, strict=True):
        clear = ~ties(matrix(amount), *image.shape[1:], about_corner=ours is not rotate)
        assert torch.equal(result[:, clear], theirs(image, amount, fill)[:, clear])
        assert clear.float().mean() > 0.7


def test_a_tie_goes_to_the_right_and_lower_pixel():
    images = torch.arange(30, dtype=torch.uint8).view(1, 1, 5, 6).expand(1, 3, 5, 6)
    out = shear_x(images, torch.tensor([0.2]))  # row 2 comes from half a pixel to the right
    assert out[0, 0, 2].tolist() == [13, 14, 15, 16, 17, 0]
    out = shear_y(images, torch.tensor([0.2]))
    assert out[0, 0, :, 2].tolist() == [8, 14, 20, 26, 0]


@pytest.mark.parametrize("fill", [0, 128])
def test_translations_agree_exactly(fill, images):
    pixels = torch.tensor(PIXELS, dtype=torch.float32)
    right = torch.stack([affine(image, fill, translate=(p, 0)) for image, p in zip(images, PIXELS, strict=True)])
    down = torch.stack([affine(image, fill, translate=(0, p)) for image, p in zip(images, PIXELS, strict=True)])
    assert torch.equal(translate_x(images, pixels, fill), right)
    assert torch.equal(translate_y(images, pixels, fill), down)


def test_rotation_by_half_a_turn_is_exact(images):
    assert torch.equal(rotate(images, torch.full((len(images),), 180.0)), images.flip(-1, -2))


def test_pad_crop_is_the_window_of_the_padded_image(images):
    top = torch.tensor([0, 8, 0, 8, 4, 1, 2, 3, 5, 6, 7, 8])
    left = top.flip(0)
    height, width = images.shape[2:]
    expected = [
        F.crop(F.pad(image, [4]), y, x, height, width)
        for image, y, x in zip(images, top.tolist(), left.tolist(), strict=True)
    ]
    assert torch.equal(pad_crop(images, top, left, 4), torch.stack(expected))


def test_pad_crop_reaches_every_place_equally_often():
    images = torch.zeros(9000, 3, 5, 7, dtype=torch.uint8)
    images[:, :, 2, 3] = 1
    out = PadCrop(1)(images, torch.Generator().manual_seed(0))
    counts = out[:, 0].sum(dim=0, dtype=torch.int64)
    assert counts.sum() == 9000
    assert (counts[1:4, 2:5] - 1000).abs().max() < 5 * 1000**0.5


def test_pad_crop_without_padding_changes_nothing(images):
    assert torch.equal(PadCrop(0)(images, torch.Generator()), images)


def test_flip_takes_its_share(images):
    copies = images[:1].repeat(4000, 1, 1, 1)
    out = HorizontalFlip(0.3)(copies, torch.Generator().manual_seed(0))
    flipped = (out == copies.flip(-1)).flatten(1).all(dim=1)
    assert flipped.float().mean().item() == pytest.approx(0.3, abs=0.035)
    assert torch.equal(out[~flipped], copies[~flipped])


@pytest.mark.parametrize(("p", "reverse"), [(0.0, False), (1.0, True)])
def test_flip_of_none_and_all(p, reverse, images):
    assert torch.equal(HorizontalFlip(p)(images, torch.Generator()), images.flip(-1) if reverse else images)


@pytest.mark.parametrize("size", [(32, 32), (16, 40)])
def test_resized_crop_agrees_to_one_grey_level(size, images):
    height, width = images.shape[2:]
    boxes = ResizedCrop().draw(len(images), height, width, torch.Generator().manual_seed(0))
    boxes[0] = torch.tensor([0, 0, height, width])
    boxes[1] = torch.tensor([height - 1, width - 1, 1, 1])
    out = resized_crop(images, boxes, *size).int()
    for image, box, result in zip(images, boxes.tolist(), out, strict=True):
        whole = F.resized_crop(image, *box, size=list(size), antialias=False)
        assert (result - whole.int()).abs().max() <= 1
        exact = F.resized_crop(image.double(), *box, size=list(size), antialias=False)
        assert (result - exact).abs().max() < 0.5 + 1e-3


def test_resized_crop_gives_the_size_asked_for(images):
    assert ResizedCrop(24)(images, torch.Generator()).shape == (12, 3, 24, 24)
    assert ResizedCrop(24)(images[:0], torch.Generator()).shape == (0, 3, 24, 24)


def test_boxes_are_distributed_as_torchvision_draws_them():
    n, height, width, scale, ratio = 4000, 40, 60, (0.3, 1.0), (0.5, 2.0)
    ours = ResizedCrop(scale=scale, ratio=ratio).draw(n, height, width, torch.Generator().manual_seed(0)).double()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        image = torch.zeros(3, height, width)
        theirs = [RandomResizedCrop.get_params(image, list(scale), list(ratio)) for _ in range(n)]
    theirs = torch.tensor(theirs, dtype=torch.float64)
    assert ours.min() >= 0
    assert (ours[:, 0] + ours[:, 2] <= height).all()
    assert (ours[:, 1] + ours[:, 3] <= width).all()
    spread = theirs.std(dim=0)
    assert ((ours.mean(dim=0) - theirs.mean(dim=0)).abs() < 5 * spread * (2 / n) ** 0.5).all()
    assert (ours.std(dim=0) / spread - 1).abs().max() < 0.08


@pytest.mark.parametrize("ratio", [(4.0, 5.0), (0.1, 0.2)])
def test_a_box_that_never_fits_is_central(ratio):
    boxes = ResizedCrop(scale=(1.0, 1.0), ratio=ratio).draw(3, 30, 40, torch.Generator())
    expected = RandomResizedCrop.get_params(torch.zeros(3, 30, 40), [1.0, 1.0], list(ratio))
    assert boxes.tolist() == [list(expected)] * 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PadCrop(-1), "padding"),
        (lambda: HorizontalFlip(1.5), "p in"),
        (lambda: HorizontalFlip(float("nan")), "p in"),
        (lambda: ResizedCrop(0), "size"),
        (lambda: ResizedCrop(scale=(0.5, 0.2)), "scale"),
        (lambda: ResizedCrop(scale=(0.5, 1.2)), "scale"),
        (lambda: ResizedCrop(ratio=(0.0, 1.0)), "ratio"),
    ],
)
def test_arguments_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=f"expected {message}"):
        make()
