import pytest
import torch

from longtail.augment import Cutout


def holes(size, n, height, width, seed=0):
    """(n, height, width) bool, where the holes are."""
    out = Cutout(size)(torch.full((n, 3, height, width), 255, dtype=torch.uint8), torch.Generator().manual_seed(seed))
    assert torch.equal(out[:, :1].expand_as(out), out)
    return out[:, 0] == 0


@pytest.mark.parametrize(("size", "side"), [(16, 16), (0.5, 16), (7, 7), (1, 1), (0.01, 1), (1.0, 32), (200, 200)])
def test_hole_is_a_clipped_square_about_its_centre(size, side):
    hole = holes(size, 300, 32, 40)
    generator = torch.Generator().manual_seed(0)
    y, x = torch.randint(32, (300,), generator=generator), torch.randint(40, (300,), generator=generator)
    for mask, row, column in zip(hole, y.tolist(), x.tolist(), strict=True):
        expected = torch.zeros(32, 40, dtype=torch.bool)
        top, left = row - side // 2, column - side // 2
        expected[max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)] = True
        assert torch.equal(mask, expected)


def test_every_centre_is_equally_likely():
    counts = holes(1, 20000, 4, 5).sum(dim=0)
    assert (counts - 1000).abs().max() < 5 * 1000**0.5


def test_fraction_is_of_the_shorter_side():
    assert holes(0.5, 500, 20, 60).flatten(1).sum(dim=1).max() == 100


def test_value_fills_the_hole_and_nothing_else_changes(images):
    zero = Cutout(9)(images, torch.Generator().manual_seed(1))
    out = Cutout(9, value=77)(images, torch.Generator().manual_seed(1))
    hole = Cutout(9)(torch.full_like(images, 1), torch.Generator().manual_seed(1)) == 0
    assert torch.equal(zero, images.masked_fill(hole, 0))
    assert torch.equal(out, images.masked_fill(hole, 77))


@pytest.mark.parametrize("arguments", [(0,), (-3,), (0.0,), (1.5,), (8, 256), (8, -1)])
def test_arguments_out_of_range_are_refused(arguments):
    with pytest.raises(ValueError, match=r"expected (size|value)"):
        Cutout(*arguments)
