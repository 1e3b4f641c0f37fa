"""What holds for every operator and every view."""

from collections.abc import Callable

import pytest
import torch

from longtail.augment import (
    AutoAugment,
    AutoAugmentView,
    BlurredView,
    ClassifierView,
    ColourJitter,
    Cutout,
    GaussianBlur,
    Greyscale,
    GrowingCrop,
    HorizontalFlip,
    Operator,
    PadCrop,
    PlainView,
    RandAugment,
    RandView,
    ResizedCrop,
    Rotation,
    SimView,
    View,
)

from .conftest import seeded

OPERATORS: list[Callable[[], Operator]] = [
    PadCrop,
    HorizontalFlip,
    ResizedCrop,
    GrowingCrop,
    lambda: Rotation(10),
    GaussianBlur,
    lambda: ColourJitter(0.4, 0.4, 0.4, 0.1, p=0.8),
    Greyscale,
    lambda: AutoAugment("cifar10"),
    lambda: AutoAugment("imagenet"),
    RandAugment,
    Cutout,
    PlainView,
    AutoAugmentView,
    SimView,
    RandView,
    ClassifierView,
    BlurredView,
]
every_operator = pytest.mark.parametrize("make", OPERATORS, ids=[str(make()).split("(")[0] for make in OPERATORS])


@every_operator
def test_result_is_a_contiguous_uint8_batch_of_the_same_shape(make, images):
    out = make()(images, seeded(0))
    assert out.dtype == torch.uint8
    assert out.shape == images.shape
    assert out.is_contiguous()


@every_operator
def test_same_seed_same_result_and_another_seed_another(make, images):
    op = make()
    first = op(images, seeded(3))
    assert torch.equal(first, op(images, seeded(3)))
    assert not torch.equal(first, op(images, seeded(4)))


@every_operator
def test_a_call_moves_the_generator_on(make, images):
    op, generator = make(), seeded(0)
    assert not torch.equal(op(images, generator), op(images, generator))


@every_operator
def test_input_is_not_modified(make, images):
    before = images.clone()
    make()(images, seeded(0))
    assert torch.equal(images, before)


@every_operator
def test_memory_format_does_not_matter(make, images):
    strided = images.to(memory_format=torch.channels_last)
    assert torch.equal(make()(strided, seeded(1)), make()(images, seeded(1)))


@every_operator
@pytest.mark.parametrize("n", [0, 1])
def test_empty_and_single_batches(make, n, images):
    assert make()(images[:n], seeded(0)).shape == images[:n].shape


@every_operator
@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (1, 5)])
def test_tiny_images(make, shape):
    images = torch.full((4, 3, *shape), 100, dtype=torch.uint8)
    assert make()(images, seeded(0)).shape == images.shape


@every_operator
def test_images_of_a_batch_differ_in_their_draws(make, images):
    copies = images[:1].expand(64, -1, -1, -1)
    assert len(make()(copies, seeded(0)).flatten(1).unique(dim=0)) > 1


@every_operator
def test_wrong_input_is_refused(make):
    for images in (torch.zeros(2, 3, 8, 8), torch.zeros(3, 8, 8, dtype=torch.uint8), torch.zeros(2, 1, 8, 8).byte()):
        with pytest.raises(ValueError, match=r"expected uint8 images of shape \(N, 3, H, W\), got"):
            make()(images, seeded(0))


def test_view_applies_its_operators_in_order(images):
    view = View([PadCrop(2), Cutout(8, value=255)])
    generator = seeded(5)
    expected = Cutout(8, value=255)(PadCrop(2)(images, generator), generator)
    assert torch.equal(view(images, seeded(5)), expected)


def test_empty_view_changes_nothing(images):
    assert torch.equal(View([])(images, seeded(0)), images)
