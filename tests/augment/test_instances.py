"""Views of images with boxes and masks: every instance is marked by its own shade of red, which tells where it went."""

from typing import Any

import pytest
import torch
from torch import Tensor

from longtail.augment.instances import InstanceView, LargeScaleJitter, MultiScale, with_seed

VIEWS = [MultiScale([64, 80, 96], 130), LargeScaleJitter(72, (0.4, 2.5))]
every_view = pytest.mark.parametrize("view", VIEWS, ids=lambda view: type(view).__name__)


def discs(height: int = 60, width: int = 90, masks: bool = True) -> tuple[Tensor, dict[str, Tensor]]:
    """Discs, one at each border and two inside, on black."""
    places = [(12, 30, 12), (45, 48, 11), (78, 20, 11.5), (30, 10, 9.5), (60, 28, 6), (18, 54, 5.5)]
    y, x = torch.arange(height)[:, None] + 0.5, torch.arange(width) + 0.5
    shapes = torch.stack([(x - u) ** 2 + (y - v) ** 2 <= r * r for u, v, r in places]).to(torch.uint8)
    image = torch.zeros(3, height, width, dtype=torch.uint8)
    for k, mask in enumerate(shapes):
        image[0][mask == 1] = 40 * (k + 1)
    target = {"boxes": extents(shapes), "labels": torch.arange(len(places)) % 4}
    return image, {**target, "masks": shapes} if masks else target


def extents(masks: Tensor) -> Tensor:
    """Boxes around masks (n, H, W), none of them empty."""
    boxes = []
    for mask in masks:
        rows, columns = mask.any(1).nonzero(), mask.any(0).nonzero()
        boxes.append([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    return torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)


def equal(sample: Any, expected: Any) -> bool:
    (image, target), (picture, truth) = sample, expected
    return torch.equal(image, picture) and all(torch.equal(target[name], truth[name]) for name in truth)


@every_view
def test_the_seed_decides_and_the_random_state_stays(view: InstanceView, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(seed: int) -> None:
        raise AssertionError("the random numbers of the GPUs are of no use here")

    monkeypatch.setattr(torch.cuda, "manual_seed_all", fail)
    state = torch.get_rng_state()
    image, target = discs()
    first = with_seed(view, image, target, 2**61 + 1)
    assert equal((image, target), discs()), "the input stays as it is"
    assert equal(with_seed(view, image, target, 2**61 + 1), first)
    samples = [with_seed(view, image, target, seed) for seed in range(8)]
    assert not all(equal(sample, first) for sample in samples if sample[0].shape == first[0].shape)
    assert torch.equal(torch.get_rng_state(), state)


@every_view
@pytest.mark.parametrize("seed", range(12))
def test_instances_boxes_and_masks_stay_together(view: InstanceView, seed: int) -> None:
    image, target = discs()
    target["labels"] = torch.arange(6)  # which is which
    output, instances = with_seed(view, image, target, seed)
    labels = instances["labels"]
    assert labels.tolist() == sorted(labels.tolist())
    assert instances["masks"].shape == (len(labels), *output.shape[1:])
    assert instances["boxes"].shape == (len(labels), 4)
    assert set(instances["masks"].unique().tolist()) <= {0, 1}
    torch.testing.assert_close(instances["boxes"], extents(instances["masks"]), rtol=0, atol=2)
    for label, mask in zip(labels.tolist(), instances["masks"], strict=True):
        red = output[0][mask == 1].float()
        assert red.quantile(0.8) == 40 * (label + 1), "it lies where the image shows it"
    for label in set(range(6)) - set(labels.tolist()):
        assert (output[0] == 40 * (label + 1)).sum() <= 4, "what is left out is not to be seen"


@pytest.mark.parametrize("shorter", [640, 800])
def test_instances_at_the_border_are_kept_whatever_the_rounding(shorter: int) -> None:
    """At some sizes a resized box would end outside of the image by a rounding error."""
    for size in range(61, 90):
        target = {"boxes": torch.tensor([[0.0, 0.0, 60, size]]), "labels": torch.tensor([3])}
        output, instances = with_seed(MultiScale([shorter]), torch.zeros(3, size, 60, dtype=torch.uint8), target, 0)
        torch.testing.assert_close(instances["boxes"], torch.tensor([[0.0, 0.0, output.shape[2], output.shape[1]]]))


def test_multi_scale_resizes_to_the_shorter_side_and_flips() -> None:
    image, target = discs(masks=False)
    sizes, flips = set(), 0
    for seed in range(40):
        output, instances = with_seed(MultiScale([64, 80, 96], 130), image, target, seed)
        assert output.shape[1] in (64, 80, 86)  # 96 would be too long
        assert output.shape[2] == int(90 * output.shape[1] / 60) or output.shape[2] == 130
        sizes.add(output.shape[1])
        scale = torch.tensor([output.shape[2] / 90, output.shape[1] / 60]).repeat(2)
        x1, y1, x2, y2 = target["boxes"].T
        straight = torch.stack([x1, y1, x2, y2], 1) * scale
        flipped = torch.stack([90 - x2, y1, 90 - x1, y2], 1) * scale
        is_flipped = not torch.allclose(instances["boxes"], straight, atol=0.01)
        torch.testing.assert_close(instances["boxes"], flipped if is_flipped else straight, rtol=0, atol=0.01)
        flips += is_flipped
    assert sizes == {64, 80, 86}
    assert 10 < flips < 30
    assert with_seed(MultiScale([64], flip=0), image, target, 0)[1]["boxes"][0, 0] == 0


def test_large_scale_jitter_makes_images_of_one_size_and_fills_them_up() -> None:
    image, target = discs(masks=False)
    image[1] = 200
    areas = []
    for seed in range(40):
        output, instances = with_seed(VIEWS[1], image, target, seed)
        assert output.shape == (3, 72, 72)
        assert (instances["boxes"] >= 0).all()
        assert (instances["boxes"] <= 72).all()
        padding = (output == 128).all(0)
        assert ((output[1] == 200) | padding).all()
        areas.append(int((~padding).sum()))
    assert max(areas) == 72 * 72, "cut"
    assert min(areas) < 0.3 * 72 * 48, "filled up"


@pytest.mark.parametrize("masks", [True, False], ids=["masks", "boxes"])
@pytest.mark.parametrize("instances", [6, 0])
@every_view
def test_results_are_plain_tensors_of_the_same_kind(view: InstanceView, instances: int, masks: bool) -> None:
    image, target = discs(masks=masks)
    target = {name: value[:instances] for name, value in target.items()}
    output, result = with_seed(view, image, target, 1)
    assert result.keys() == target.keys()
    for tensor, before in [(output, image), *((result[name], target[name]) for name in target)]:
        assert type(tensor) is Tensor
        assert tensor.dtype == before.dtype
    if instances == 0:
        assert {len(rows) for rows in result.values()} == {0}
