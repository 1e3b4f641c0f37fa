"""Crops that follow the epochs, in memory, in files and in the processes that decode them; five crops of a test."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.functional import five_crop

from longtail.augment import GrowingCrop, PlainView, ResizedCrop
from longtail.augment.preprocessing import Preprocessing, Resize
from longtail.data.clips.folder import VideoFolder
from longtail.data.images.digits import DigitsLT
from longtail.data.images.folder import Folder
from longtail.errors import InputError
from longtail.files.images.crops import evaluation_crops

AREAS = [0.08, 0.2032566, 1.0]  # for t = 0, 1/2 and 1


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(4):
            noise = random.integers(0, 256, (50, 70, 3), dtype=np.uint8)
            Image.fromarray(noise).save(tmp_path / name / f"{i}.png")
    return tmp_path


def in_training(data: Any, epochs: int = 3) -> Any:
    """The data set as a trainer has it."""
    data.seed = 5
    strategy = SimpleNamespace(root_device=torch.device("cpu"))
    options = {"world_size": 1, "global_rank": 0, "training": True, "testing": False, "strategy": strategy}
    data.trainer = SimpleNamespace(max_epochs=epochs, **options)
    return data


def photos_data(root: Path, crop: ResizedCrop, workers: int) -> Folder:
    options: dict[str, Any] = {"batch_size": 2, "num_workers": workers, "image_size": 16, "val_fraction": 0.0}
    data: Folder = in_training(Folder(root, views=[PlainView(crop=crop)], **options))
    return data


def test_worker_processes_follow_the_epoch_and_resume_inside_one(photos: Path) -> None:
    loader = photos_data(photos, GrowingCrop(), 2).train_dataloader()
    last = []
    for epoch, area in enumerate(AREAS):
        loader.sampler.set_epoch(epoch)
        fixed = photos_data(photos, ResizedCrop(scale=(area, 1.0), ratio=(1.0, 1.0)), 0).train_dataloader()
        fixed.sampler.set_epoch(epoch)
        last = [batch["images"] for batch in loader]
        for images, batch in zip(last, fixed, strict=True):
            assert torch.equal(images, batch["images"]), epoch
    rerun = photos_data(photos, GrowingCrop(), 0).train_dataloader()
    rerun.sampler.set_epoch(2)
    rerun.load_state_dict({"position": 3})
    assert [torch.equal(batch["images"], last[3]) for batch in rerun] == [True]


def test_images_in_memory_follow_the_epoch_and_are_resized_at_once() -> None:
    options: dict[str, Any] = {"batch_size": 8, "image_size": 40}
    for interpolation in ("bilinear", "bicubic"):
        preprocessing = Preprocessing(interpolation=interpolation)
        data = in_training(DigitsLT(views=[PlainView(0, crop=GrowingCrop())], preprocessing=preprocessing, **options))
        loader = data.train_dataloader()
        loader.sampler.set_epoch(1)
        batch = next(iter(loader))
        boxes = ResizedCrop(scale=(AREAS[1], 1.0), ratio=(1.0, 1.0)).draw(
            8, 16, 16, torch.Generator().manual_seed(batch["seed"])
        )
        (view,) = data.make_views(batch, True)["views"]
        for image, (top, left, height, width), crop in zip(batch["images"][:, 0], boxes.tolist(), view, strict=True):
            part = Image.fromarray(image[:, top : top + height, left : left + width].permute(1, 2, 0).numpy())
            large = np.asarray(part.resize((40, 40), Image.Resampling[interpolation.upper()]))
            expected = (torch.from_numpy(large / 255.0).permute(2, 0, 1) - 0.305) / 0.376
            assert (crop - expected).abs().max() <= 1.01 / 255 / 0.376


def test_a_crop_without_epochs_is_what_it_was() -> None:
    data = in_training(DigitsLT(views=[PlainView(0, crop=ResizedCrop(scale=(0.5, 1.0)))], batch_size=8))
    batch = next(iter(data.train_dataloader()))
    (view,) = data.make_views(batch, True)["views"]
    expected = ResizedCrop(scale=(0.5, 1.0))(batch["images"][:, 0], torch.Generator().manual_seed(batch["seed"]))
    assert torch.equal(view, data.normalise(expected))


@pytest.mark.parametrize("shape", [(50, 70), (70, 50), (31, 31)])
def test_five_crops_are_the_centre_and_the_corners(shape: tuple[int, int]) -> None:
    image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8))
    resize = Resize("bicubic", 28 / 31)
    views = evaluation_crops(image, 28, resize, 5)
    height, width = (31 * side // min(shape) for side in shape)
    *corners, centre = five_crop(image.resize((width, height), Image.Resampling.BICUBIC), [28, 28])
    assert len(views) == 5
    for view, expected in zip(views, [centre, *corners], strict=True):
        # one step, or two that round between them; an odd rest of the centre falls to either side
        difference = np.abs(view.permute(1, 2, 0).numpy().astype(int) - np.asarray(expected).astype(int))
        assert difference.max() <= 2
    assert torch.equal(evaluation_crops(image, 28, resize)[0], views[0])


def test_a_test_image_has_five_views_and_no_other_has(photos: Path) -> None:
    options: dict[str, Any] = {"batch_size": 2, "num_workers": 0, "image_size": 16, "test_fraction": 0.25}
    data = Folder(photos, val_fraction=0.25, test_crops=5, **options)
    loaders = {"train": data.train_dataloader(), "val": data.val_dataloader(), "test": data.test_dataloader()}
    shapes = {name: next(iter(loader))["images"].shape[1] for name, loader in loaders.items()}
    assert shapes == {"train": 1, "val": 1, "test": 5}


@pytest.mark.parametrize("plain", [1, 5])
def test_an_even_number_of_crops_has_their_mirror_images(photos: Path, plain: int) -> None:
    def views(crops: int, in_memory: bool) -> torch.Tensor:
        preprocessing = Preprocessing(crop=0.8)
        if in_memory:
            data = in_training(DigitsLT(test_crops=crops, preprocessing=preprocessing))
            data.trainer.training = False
            return torch.stack(data.make_views(next(iter(data.test_dataloader())), False, testing=True)["views"], dim=1)
        options: dict[str, Any] = {"batch_size": 2, "num_workers": 0, "image_size": 16, "test_fraction": 0.25}
        data = Folder(photos, test_crops=crops, preprocessing=preprocessing, **options)
        return next(iter(data.test_dataloader()))["images"]

    for in_memory in (False, True):
        once, twice = views(plain, in_memory), views(2 * plain, in_memory)
        assert torch.equal(twice, torch.cat([once, once.flip(-1)], dim=1))
        assert not torch.equal(once, once.flip(-1))


def test_five_crops_of_images_in_memory() -> None:
    data = in_training(DigitsLT(image_size=28, test_crops=5, preprocessing=Preprocessing(crop=28 / 31)))
    batch = next(iter(data.test_dataloader()))
    data.trainer.training = False
    assert len(data.make_views(batch, False)["views"]) == 1
    views = data.make_views(batch, False, testing=True)["views"]
    image = Image.fromarray(batch["images"][0, 0].permute(1, 2, 0).numpy()).resize((31, 31), Image.Resampling.BILINEAR)
    *corners, _ = five_crop(image, [28, 28])
    for view, crop in zip(views[1:], corners, strict=True):
        expected = (torch.from_numpy(np.asarray(crop) / 255.0).permute(2, 0, 1) - 0.305) / 0.376
        assert (view[0] - expected).abs().max() <= 1.01 / 255 / 0.376
    assert views[0].shape == views[1].shape == (len(batch["targets"]), 3, 28, 28)


def test_clips_follow_the_epoch_and_have_five_crops(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        for video in range(4):
            folder = tmp_path / name / str(video)
            folder.mkdir(parents=True)
            for i in range(3):
                Image.fromarray(random.integers(0, 256, (30, 40, 3), dtype=np.uint8)).save(folder / f"{i}.png")

    def data(crop: ResizedCrop, crops: int = 1) -> Any:
        options: dict[str, Any] = {"batch_size": 2, "num_workers": 0, "image_size": 16, "test_crops": crops}
        fractions = {"val_fraction": 0.0, "test_fraction": 0.25}
        return in_training(VideoFolder(root=tmp_path, frames=2, views=[PlainView(crop=crop)], **options, **fractions))

    growing = data(GrowingCrop(), 5)
    batches = []
    for module in (growing, data(ResizedCrop(scale=(AREAS[1], 1.0), ratio=(1.0, 1.0)))):
        loader = module.train_dataloader()
        loader.sampler.set_epoch(1)
        batches.append(next(iter(loader))["images"])
    assert torch.equal(*batches)
    five = next(iter(growing.test_dataloader()))["images"]
    clip = next(iter(data(GrowingCrop()).test_dataloader()))["images"]
    assert five.shape == (2, 5, 3, 2, 16, 16)
    assert torch.equal(five[:, :1], clip), "the central one comes first"
    assert not torch.equal(five[:, 1], five[:, 4])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test_crops": 3}, "test_crops must be 1, 2, 5 or 10, got 3"),
        ({"test_crops": 5}, "5 crops of whole images would all be one: give --data.preprocessing.crop 0.9"),
        ({"test_crops": 10}, "10 crops of whole images would all be one: give --data.preprocessing.crop 0.9"),
    ],
)
def test_five_crops_need_room(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        DigitsLT(**options)
