"""The view of images with a class for each pixel: what stays aligned, what is padded, and what is drawn."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from longtail.augment.pixels import IGNORED, ScaleCropFlip, resize, resize_mask
from longtail.errors import InputError

PADDING = torch.tensor([124, 116, 104], dtype=torch.uint8)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def squares(height: int, width: int, side: int = 16) -> tuple[Tensor, Tensor]:
    """An image whose colour tells the label of each pixel, in squares of six classes that differ between neighbours."""
    y, x = torch.meshgrid(torch.arange(height) // side, torch.arange(width) // side, indexing="ij")
    mask = (2 * y + x) % 6
    image = torch.stack([40 * mask, 255 - 40 * mask, 20 * mask + 50])
    return image.to(torch.uint8), mask.to(torch.uint8)


@pytest.mark.parametrize("shape", [(97, 130), (40, 200), (31, 33)])
@pytest.mark.parametrize("scale", [(0.5, 2.0), (1.0, 1.0), (0.2, 0.3)])
def test_image_and_mask_stay_aligned(shape: tuple[int, int], scale: tuple[float, float]) -> None:
    image, mask = squares(*shape, side=round(16 / scale[0]))
    view = ScaleCropFlip((48, 64), scale, max_share=1)
    differences = torch.zeros(0)
    for seed in range(40):
        crop, labels = view(image, mask, generator(seed))
        assert (crop.shape, crop.dtype, crop.is_contiguous()) == ((3, 48, 64), torch.uint8, True)
        assert (labels.shape, labels.dtype, labels.is_contiguous()) == ((48, 64), torch.uint8, True)
        padding = labels == IGNORED
        assert set(labels[~padding].tolist()) <= set(range(6)), "no label is made up"
        assert (crop[:, padding] == PADDING[:, None]).all()
        expected = torch.stack([40 * labels.long(), 255 - 40 * labels.long(), 20 * labels.long() + 50])
        difference = (crop.long() - expected).abs().amax(0)[~padding]
        differences = torch.cat([differences, difference.float()])
    # Only where squares meet does the image mix colours.
    assert differences.median() == 0
    assert (differences > 20).float().mean() < 0.12


def test_a_crop_without_scaling_is_cut_out_of_the_image() -> None:
    random = np.random.default_rng(0)
    image = torch.from_numpy(random.integers(0, 256, (3, 20, 30), dtype=np.uint8))
    mask = torch.arange(20 * 30).remainder(200).view(20, 30).to(torch.uint8)
    view = ScaleCropFlip((8, 12), (1, 1), flip=0, max_share=1)
    places = set()
    for seed in range(300):
        crop, labels = view(image, mask, generator(seed))
        corners = [
            (y, x)
            for y in range(13)
            for x in range(19)
            if torch.equal(crop, image[:, y : y + 8, x : x + 12]) and torch.equal(labels, mask[y : y + 8, x : x + 12])
        ]
        assert len(corners) == 1
        places.update(corners)
    assert {y for y, _ in places} == set(range(13))
    assert {x for _, x in places} == set(range(19))
    flipped = ScaleCropFlip((20, 30), flip=1, scale=(1, 1), max_share=1)(image, mask, generator(0))
    assert torch.equal(flipped[0], image.flip(2))
    assert torch.equal(flipped[1], mask.flip(1))


def test_a_small_image_lies_whole_and_anywhere_in_the_crop() -> None:
    image, mask = squares(10, 14, 2)
    view = ScaleCropFlip(20, (1, 1), flip=0, max_share=1)
    tops = set()
    for seed in range(100):
        crop, labels = view(image, mask, generator(seed))
        rows, columns = (labels != IGNORED).nonzero(as_tuple=True)
        top, left = int(rows.min()), int(columns.min())
        tops.add(top)
        assert torch.equal(labels[top : top + 10, left : left + 14], mask)
        assert torch.equal(crop[:, top : top + 10, left : left + 14], image)
        assert int((labels != IGNORED).sum()) == 140
    assert tops == set(range(11))


def test_the_scale_is_drawn_evenly() -> None:
    """A line of known length tells by which factor the image was resized."""
    image, mask = torch.zeros(3, 64, 64, dtype=torch.uint8), torch.full((64, 64), IGNORED, dtype=torch.uint8)
    mask[24:40, 24:40] = 1
    view = ScaleCropFlip(128, (0.5, 2.0), max_share=1)
    masks = [view(image, mask, generator(seed))[1] for seed in range(400)]
    factors = np.array([(labels == 1).any(1).sum().item() / 16 for labels in masks])
    assert abs(factors.mean() - 1.25) < 5 * 1.5 / 12**0.5 / 400**0.5 + 0.02
    assert factors.min() < 0.6
    assert factors.max() > 1.9


def test_a_crop_of_one_class_is_drawn_again() -> None:
    """On the left half all is of class 0, on the right one in two pixels."""
    image = torch.zeros(3, 32, 400, dtype=torch.uint8)
    mask = torch.zeros(32, 400, dtype=torch.uint8)
    mask[:, 200:] = torch.arange(200).remainder(2)
    shares = {}
    for share in (0.75, 1.0):
        view = ScaleCropFlip((32, 40), (1, 1), max_share=share)
        crops = [view(image, mask, generator(seed))[1] for seed in range(200)]
        shares[share] = np.mean([(crop == 0).float().mean() <= 0.75 for crop in crops])
    assert 0.35 < shares[1.0] < 0.65
    assert shares[0.75] > 0.98
    mask[:] = 0
    mask[:, :3] = IGNORED
    view(image, mask, generator(0))  # what cannot be met is given up


def test_ignored_pixels_do_not_count_as_a_class() -> None:
    image = torch.zeros(3, 8, 100, dtype=torch.uint8)
    mask = torch.full((8, 100), IGNORED, dtype=torch.uint8)
    mask[:, 50:] = torch.arange(50).remainder(2)
    view = ScaleCropFlip(8, (1, 1))
    labelled = [bool((view(image, mask, generator(seed))[1] != IGNORED).any()) for seed in range(100)]
    assert np.mean(labelled) > 0.98


def test_the_generator_decides_alone() -> None:
    image, mask = squares(60, 80)
    view = ScaleCropFlip(48, jitter=0.4)
    first, rerun, variant = (view(image, mask, generator(seed)) for seed in (3, 3, 4))
    torch.manual_seed(0)
    assert all(torch.equal(*pair) for pair in zip(first, rerun, strict=True))
    assert not torch.equal(first[0], variant[0])


def test_jitter_changes_colours_and_neither_labels_nor_padding() -> None:
    image, mask = squares(20, 20)
    plain, jitter = ScaleCropFlip(32, (1, 1)), ScaleCropFlip(32, (1, 1), flip=0, jitter=0.5)
    crop, labels = jitter(image, mask, generator(1))
    padding = labels == IGNORED
    assert (crop[:, padding] == PADDING[:, None]).all()
    top, left = (int(index.min()) for index in (~padding).nonzero(as_tuple=True))
    assert torch.equal(labels[top : top + 20, left : left + 20], mask)
    assert not torch.equal(crop[:, top : top + 20, left : left + 20], image)
    assert plain.colour is None


@pytest.mark.parametrize("size", [1, 2, 7])
def test_extreme_sizes_hold(size: int) -> None:
    image, mask = squares(3, 1, 1)
    for seed in range(50):
        crop, labels = ScaleCropFlip(size, (0.01, 9))(image, mask, generator(seed))
        assert (crop.shape, labels.shape) == ((3, size, size), (size, size))
        assert (labels != IGNORED).any()


@pytest.mark.parametrize("size", [(5, 7), (9, 1), (1, 9), (1, 1), (2, 1), (20, 11)])
@pytest.mark.parametrize("strided", [False, True])
def test_images_are_resized_as_in_float(size: tuple[int, int], strided: bool) -> None:
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (11, 9, 3), dtype=np.uint8)).permute(2, 0, 1)
    image = image if strided else image.contiguous()
    expected = F.interpolate(image[None].double(), size, mode="bilinear", antialias=True)[0]
    assert (resize(image, size).double() - expected).abs().max() <= 1


def test_masks_take_the_label_at_the_centre() -> None:
    mask = torch.arange(36, dtype=torch.uint8).view(6, 6)
    assert torch.equal(resize_mask(mask, (2, 2)), mask[1::3, 1::3])
    assert torch.equal(resize_mask(mask, (12, 6))[::2], mask)


@pytest.mark.parametrize(
    "options",
    [
        {"size": 0},
        {"size": (32, 0)},
        {"scale": (0.0, 1.0)},
        {"scale": (2.0, 1.0)},
        {"flip": 1.5},
        {"max_share": 0.0},
        {"max_share": 1.1},
        {"jitter": -0.1},
    ],
)
def test_bad_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="got"):
        ScaleCropFlip(**options)
