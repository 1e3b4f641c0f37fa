import multiprocessing

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from timm.data import create_transform
from torch.utils.data import DataLoader

from longtail.augment import ResizedCrop
from longtail.augment.preprocessing import Resize
from longtail.data.images import dataset
from longtail.data.images.dataset import ImageFiles
from longtail.errors import InputError
from longtail.files.images import crops
from longtail.files.images.crops import prepare
from longtail.files.listing import Listing

NOISE = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)


def listing(*paths):
    return Listing([str(path) for path in paths], np.arange(len(paths)) % 2, ["a", "b"])


@pytest.fixture
def pair(tmp_path):
    Image.fromarray(NOISE).save(tmp_path / "x.png")
    Image.fromarray(NOISE[:, :30]).save(tmp_path / "ü.png")
    return listing(tmp_path / "x.png", tmp_path / "ü.png")


def test_training(pair):
    images = ImageFiles(pair, 32, [ResizedCrop()] * 3)
    assert len(images) == 2
    sample = images[1, 7]
    assert sample["images"].shape == (3, 3, 32, 32)
    assert sample["images"].dtype == torch.uint8
    assert sample["images"].is_contiguous()
    assert (sample["target"], sample["row"]) == (1, 1)
    assert type(sample["target"]) is type(sample["row"]) is int


def test_draw_alone_decides(pair):
    images = ImageFiles(pair, 32, [ResizedCrop()] * 3)
    first = images[0, 7]["images"]
    np.random.default_rng(1).random()
    torch.rand(3)
    assert torch.equal(images[0, 7]["images"], first)
    assert not torch.equal(images[0, 8]["images"], first)
    assert not torch.equal(first[0], first[1])
    single = ImageFiles(pair, 32, [ResizedCrop()])
    assert torch.equal(single[0, 7]["images"], first[:1])


def test_evaluation_ignores_draw(pair):
    images = ImageFiles(pair, 32)
    assert images[0, 1]["images"].shape == (1, 3, 32, 32)
    assert torch.equal(images[0, 1]["images"], images[0, 2]["images"])
    assert torch.equal(images[0, 1]["images"][0], prepare(Image.fromarray(NOISE), 32))


def test_decoded_once_for_all_views(pair, monkeypatch):
    calls = []
    real = dataset.decode
    monkeypatch.setattr(dataset, "decode", lambda *args: calls.append(1) or real(*args))
    ImageFiles(pair, 32, [ResizedCrop()] * 4)[0, 0]
    assert len(calls) == 1


@pytest.mark.parametrize("size", [7, 32, 224])
@pytest.mark.parametrize("shape", [(60, 90), (90, 60), (61, 61), (257, 300)])
def test_prepare_is_resize_and_central_crop(size, shape):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8))
    shorter = round(size / 0.875)
    width, height = (shorter * side // min(image.size) for side in image.size)
    left, top = round((width - size) / 2), round((height - size) / 2)
    expected = image.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + size, top + size))
    difference = prepare(image, size).permute(1, 2, 0).numpy().astype(int) - np.asarray(expected)
    assert np.abs(difference).max() <= 1


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 40))
def test_prepare_any_size(width, height, size):
    view = prepare(Image.new("RGB", (width, height), (10, 20, 30)), size)
    assert view.shape == (3, size, size)
    assert (view == torch.tensor([10, 20, 30], dtype=torch.uint8).view(3, 1, 1)).all()


@pytest.mark.parametrize("size", [(60_000, 2), (2, 60_000), (1, 1)])
@pytest.mark.parametrize("crops", [None, [ResizedCrop()]])
def test_extreme_images(tmp_path, size, crops):
    Image.new("RGB", size, "red").save(tmp_path / "x.png")
    view = ImageFiles(listing(tmp_path / "x.png"), 16, crops)[0, 3]["images"][0]
    assert (view == torch.tensor([255, 0, 0], dtype=torch.uint8).view(3, 1, 1)).all()


def blank(width, height):
    return torch.zeros(1, 3, height, width, dtype=torch.uint8)


def boxes(monkeypatch, pixels, scale, count):
    cuts = []
    monkeypatch.setattr(crops, "_cut", lambda pixels, size, box, *_: cuts.append(box))
    for draw in range(count):
        crops.random_crop(pixels, 8, ResizedCrop(scale=scale), np.random.default_rng(draw))
    return np.array(cuts)


def test_random_crops_are_distributed_as_in_random_resized_crop(monkeypatch):
    left, top, right, bottom = boxes(monkeypatch, blank(1000, 1000), (0.1, 0.5), 4000).T
    width, height = right - left, bottom - top
    area, ratio = width * height / 1e6, np.log(width / height) / np.log(4 / 3)
    assert 0.098 < area.min() < 0.11
    assert 0.49 < area.max() < 0.502
    assert abs(area.mean() - 0.3) < 0.01  # uniform in area
    assert abs(area.std() - 0.4 / 12**0.5) < 0.01
    assert -1.01 < ratio.min() < -0.98
    assert 0.98 < ratio.max() < 1.01
    assert abs(ratio.mean()) < 0.05  # uniform in the logarithm of the ratio
    assert abs(ratio.std() - 2 / 12**0.5) < 0.03
    assert min(left.min(), top.min()) >= 0
    assert max(right.max(), bottom.max()) <= 1000
    for start, side in ((left, width), (top, height)):
        place = start / (1000 - side)
        assert abs(place.mean() - 0.5) < 0.03
        assert abs(place.std() - 1 / 12**0.5) < 0.02


def test_crops_match_those_of_torchvision(monkeypatch):
    transforms = pytest.importorskip("torchvision.transforms")
    image = Image.new("RGB", (300, 200))
    ours = boxes(monkeypatch, blank(300, 200), (0.08, 1.0), 3000)
    ours = np.stack([ours[:, 2] - ours[:, 0], ours[:, 3] - ours[:, 1]])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        draws = [transforms.RandomResizedCrop.get_params(image, (0.08, 1.0), (3 / 4, 4 / 3)) for _ in range(3000)]
    theirs = np.array(draws)[:, [3, 2]].T
    for quantile in (0.1, 0.25, 0.5, 0.75, 0.9):
        assert np.abs(np.quantile(ours, quantile, axis=1) - np.quantile(theirs, quantile, axis=1)).max() < 9


@pytest.mark.parametrize(
    ("size", "box"),
    [((400, 30), (180, 0, 220, 30)), ((30, 400), (0, 180, 30, 220)), ((30, 31), (0, 0, 30, 31))],
)
def test_fallback_is_the_largest_central_crop(monkeypatch, size, box):
    class NeverFits:
        def uniform(self, low, high):
            return 1e9

    cuts = []
    monkeypatch.setattr(crops, "_cut", lambda pixels, size, box, *_: cuts.append(box))
    monkeypatch.setattr(crops.math, "exp", lambda value: 1.0)
    crops.random_crop(blank(*size), 8, ResizedCrop(), NeverFits())
    assert cuts == [box]


def test_a_cut_is_resized_as_by_pillow() -> None:
    random = np.random.default_rng(0)
    smooth = Image.fromarray(random.integers(0, 256, (9, 12, 3), dtype=np.uint8)).resize((120, 90))
    pixels = torch.from_numpy(np.array(smooth)).permute(2, 0, 1)
    for box in ((0, 0, 120, 90), (10, 20, 70, 65), (5, 0, 20, 90)):
        crop = crops._cut(pixels[None], 32, box)[0]
        expected = np.array(smooth.crop(box).resize((32, 32), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
        assert crop.dtype == torch.uint8
        assert crop.is_contiguous()
        assert np.abs(crop.numpy().astype(int) - expected).max() <= 1


@pytest.mark.parametrize(
    ("train", "scale", "size", "expected"),
    [
        (False, (0.08, 1.0), (600, 400), (75, 50)),  # to 37
        (False, (0.08, 1.0), (147, 90), (74, 45)),
        (False, (0.08, 1.0), (90, 73), (90, 73)),
        (True, (0.08, 1.0), (800, 800), (200, 200)),  # the smallest crop is 196 × 261
        (True, (0.08, 1.0), (200, 200), (200, 200)),
        (True, (1.0, 1.0), (200, 200), (50, 50)),
        (True, (1.0, 1.0), (2000, 40), (2000, 40)),  # the central crop is 53 × 40
    ],
)
def test_draft_of_jpeg(tmp_path, monkeypatch, train, scale, size, expected):
    Image.new("RGB", size).save(tmp_path / "x.jpg")
    images = []
    real = dataset.decode

    def spy(*args):
        images.append(real(*args))
        return images[0]

    monkeypatch.setattr(dataset, "decode", spy)
    ImageFiles(listing(tmp_path / "x.jpg"), 32, [ResizedCrop(scale=scale)] if train else None)[0, 0]
    assert images[0].size == expected


@pytest.mark.parametrize("workers", [0, 1])
def test_in_a_loader(pair, workers):
    images = ImageFiles(pair, 16, [ResizedCrop()] * 2)
    context = None if workers == 0 else multiprocessing.get_context("fork")
    sampler = [(1, 5), (0, 6), (1, 7)]
    loader = DataLoader(images, batch_size=2, sampler=sampler, num_workers=workers, multiprocessing_context=context)
    batches = list(loader)
    assert [batch["row"].tolist() for batch in batches] == [[1, 0], [1]]
    assert [batch["target"].tolist() for batch in batches] == [[1, 0], [1]]
    assert torch.equal(batches[0]["images"][1], images[0, 6]["images"])


def test_a_bad_file_is_named(tmp_path):
    images = ImageFiles(listing(tmp_path / "gone.jpg"), 16)
    with pytest.raises(InputError, match=r"gone\.jpg: no such file"):
        images[0, 0]


def test_empty_listing():
    assert len(ImageFiles(listing(), 16, [ResizedCrop()])) == 0


@pytest.mark.parametrize(
    "options",
    [{"size": 0}, {"crops": []}],
)
def test_arguments_out_of_range(options):
    with pytest.raises(ValueError, match="must be"):
        ImageFiles(listing(), **{"size": 8, **options})


@pytest.mark.parametrize(("crop", "bound"), [(1.0, 0), (0.95, 1)])
def test_squash_is_that_of_timm(crop, bound):
    """An image whose sides are both resized, and cut in the same step."""
    image = Image.fromarray(NOISE)
    of_timm = create_transform((3, 64, 64), interpolation="bicubic", crop_pct=crop, crop_mode="squash", normalize=False)
    difference = prepare(image, 64, Resize("bicubic", crop, "squash")).int() - of_timm(image).int()
    assert difference.abs().max() <= bound
