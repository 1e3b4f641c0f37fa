import pytest
import torch
from discovery import classes_of

import longtail.augment
from longtail.augment import (
    AutoAugmentView,
    BlurredView,
    ClassifierView,
    PadCrop,
    PlainView,
    RandView,
    ResizedCrop,
    SimView,
    View,
)

VIEWS = classes_of(longtail.augment, View)


def names(view):
    return [type(op).__name__ for op in view.ops]


def test_what_each_view_is_made_of():
    assert names(PlainView()) == ["HorizontalFlip"]
    assert names(AutoAugmentView()) == ["HorizontalFlip", "AutoAugment", "Cutout"]
    assert names(SimView()) == ["HorizontalFlip", "ColourJitter", "Greyscale"]
    assert names(RandView()) == ["HorizontalFlip", "ColourJitter", "Greyscale", "RandAugment"]
    assert names(ClassifierView()) == ["HorizontalFlip", "ColourJitter", "RandAugment"]
    assert names(BlurredView()) == ["HorizontalFlip", "ColourJitter", "Greyscale", "GaussianBlur", "RandAugment"]
    assert names(SimView(blur=0.5)) == ["HorizontalFlip", "ColourJitter", "Greyscale", "GaussianBlur"]
    assert names(PlainView(rotation=10)) == ["Rotation", "HorizontalFlip"]


@pytest.mark.parametrize("view", VIEWS)
def test_no_flip_when_told_so(view):
    assert names(view(flip=0)) == names(view())[1:]


def test_plain_view_flips_or_keeps(images):
    out = PlainView()(images.repeat(10, 1, 1, 1), torch.Generator().manual_seed(0))
    copies = images.repeat(10, 1, 1, 1)
    same, flipped = (out == copies).flatten(1).all(1), (out == copies.flip(-1)).flatten(1).all(1)
    assert (same | flipped).all()
    assert 40 < same.sum() < 100
    assert torch.equal(PlainView(flip=0)(images, torch.Generator()), images)


def test_arguments_reach_the_operators():
    assert "p=0.3" in repr(PlainView(flip=0.3))
    assert "imagenet" in repr(AutoAugmentView(policy="imagenet"))
    assert "Cutout(size=8, value=0)" in repr(AutoAugmentView(cutout=8))
    assert names(AutoAugmentView(cutout=0)) == ["HorizontalFlip", "AutoAugment"]
    assert "brightness=0.8, contrast=0.8, saturation=0.8, hue=0.2, p=0.8" in repr(SimView(strength=0.8))
    assert "brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, p=0.8" in repr(RandView())
    assert "brightness=0.4, contrast=0.4, saturation=0.4, hue=0.0, p=1.0" in repr(ClassifierView())
    assert "RandAugment(n=1, magnitude=7)" in repr(RandView(n=1, magnitude=7))
    assert "RandAugment(n=1, magnitude=7)" in repr(ClassifierView(n=1, magnitude=7))
    assert "RandAugment(n=1, magnitude=7)" in repr(BlurredView(n=1, magnitude=7))
    assert "brightness=0.4, contrast=0.4, saturation=0.4, hue=0.0, p=1.0" in repr(BlurredView())
    assert "p=0.5" in repr(SimView(flip=0, blur=0.5).ops[-1])
    assert "Rotation(degrees=10)" in repr(PlainView(rotation=10))


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_says_how_it_is_cropped_and_does_not_crop(view, images):
    crop = ResizedCrop(scale=(0.2, 0.5))
    assert view().crop is None
    assert view(crop=crop).crop is crop
    assert "crop=PadCrop(padding=4)" in repr(view(crop=PadCrop()))
    outside, inside = (v(images, torch.Generator().manual_seed(0)) for v in (view(), view(crop=crop)))
    assert torch.equal(outside, inside)


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="expected hue"):
        SimView(strength=2.5)
    with pytest.raises(ValueError, match="expected p in"):
        PlainView(flip=-0.5)
