"""The data modules: what a batch holds, and what a split promises."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from longtail.augment import Crop, PadCrop, PlainView, ResizedCrop, SimView
from longtail.data.images.dataset import ImageFiles
from longtail.data.images.digits import DigitsLT
from longtail.data.images.folder import Folder, Table
from longtail.errors import InputError


def make_photos(root: Path, counts: dict[str, int], size: tuple[int, int] = (40, 48)) -> Path:
    random = np.random.default_rng(0)
    for name, n in counts.items():
        (root / name).mkdir(parents=True)
        for i in range(n):
            Image.fromarray(random.integers(0, 256, (*size, 3), dtype=np.uint8)).save(root / name / f"{i}.png")
    return root


def test_digits_are_long_tailed_in_training_and_balanced_elsewhere() -> None:
    data = DigitsLT()
    assert data.image_counts == [120, 71, 43, 25, 15, 9, 5, 3, 2, 1]
    for name, count in (("val", 10), ("test", 40)):
        split = data.split(name)
        assert split is not None
        assert np.bincount(split.targets).tolist() == [count] * 10


def test_a_training_batch_has_a_view_for_every_entry() -> None:
    data = DigitsLT(views=[PlainView(0), SimView(0)], batch_size=16)

    data.trainer = Training()  # type: ignore[assignment]
    batch = next(iter(data.train_dataloader()))
    batch = data.on_after_batch_transfer(batch, 0)
    assert [view.shape for view in batch["views"]] == [(16, 3, 16, 16)] * 2
    assert batch["targets"].shape == batch["rows"].shape == (16,)
    copy = data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)
    assert torch.equal(batch["views"][1], copy["views"][1])


class Training:
    """Stands for a trainer that is training."""

    world_size, global_rank, max_epochs, training, testing = 1, 0, 1, True, False

    class strategy:
        root_device = torch.device("cpu")


class Corner(Crop):
    """The upper left pixel everywhere."""

    def __call__(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return images[..., :1, :1].expand_as(images)


def test_each_view_of_images_in_memory_is_cropped_in_its_own_way() -> None:
    crops = [None, PadCrop(0), Corner(), ResizedCrop(scale=(0.1, 0.2))]
    data = DigitsLT(views=[PlainView(0, crop=crop) for crop in crops], batch_size=16)
    data.trainer = Training()  # type: ignore[assignment]
    default, whole, corner, part = data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)["views"]
    assert torch.equal(corner, whole[..., :1, :1].expand_as(whole))
    assert not torch.equal(default, whole)
    assert part.diff(dim=-1).abs().mean() < 0.5 * whole.diff(dim=-1).abs().mean(), "a small part enlarged is smooth"


def test_each_view_of_files_is_cropped_in_its_own_way(tmp_path: Path) -> None:
    root = make_photos(tmp_path / "p", {"a": 6, "b": 4})
    views = [PlainView(0, crop=crop) for crop in (None, Corner(), PadCrop(0), ResizedCrop(scale=(1, 1)))]
    data = Folder(root, views=views, batch_size=4, num_workers=0, image_size=16, val_fraction=0)
    data.trainer = Training()  # type: ignore[assignment]
    batch = next(iter(data.train_dataloader()))
    _, corner, central, _ = data.on_after_batch_transfer(batch, 0)["views"]
    files = ImageFiles(data._listings["train"], 16)
    images = torch.stack([files[int(row), 0]["images"][0] for row in batch["rows"]])
    assert torch.equal(central, data.normalise(images))
    assert torch.equal(corner, central[..., :1, :1].expand_as(central))
    module = Folder(root, views=[PlainView(crop=ResizedCrop(24))], batch_size=4, image_size=16)
    with pytest.raises(InputError, match="a view crops to 24 pixels, and images have 16"):
        _ = module.splits


def test_a_flat_folder_is_split_with_a_training_image_for_every_class(
    tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    data = Folder(make_photos(tmp_path / "p", {"a": 20, "b": 5, "c": 1}), val_fraction=0.4, batch_size=2)
    assert data.image_counts == [12, 3, 1]
    assert "1 of 3 classes have no val image: c" in log.text
    assert data.split("test") is None
    assert data.image_size == 32
    variant = Folder(tmp_path / "p", val_fraction=0.4, batch_size=2, split_seed=1)
    assert variant.image_counts == data.image_counts


def test_a_test_split_is_held_out_on_request(tmp_path: Path) -> None:
    data = Folder(make_photos(tmp_path / "p", {"a": 10, "b": 10}), val_fraction=0, test_fraction=0.3, batch_size=2)
    test = data.split("test")
    assert test is not None
    assert (len(test), data.split("val"), data.image_counts) == (6, None, [7, 7])


def test_fractions_are_of_the_whole_set_and_the_smallest_for_every_class_is_told(
    tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    root = make_photos(tmp_path / "p", {"a": 20, "b": 10, "c": 3, "d": 2, "e": 1})
    data = Folder(root, val_fraction=0.2, test_fraction=0.2, batch_size=2)
    assert data.image_counts == [12, 6, 1, 2, 1]
    assert [data.size(name) for name in ("val", "test")] == [4 + 2 + 1, 4 + 2 + 1]
    way_out = "; --data.val_fraction 0.26 is the smallest that gives one to every class that has two or more to give"
    assert f"2 of 5 classes have no val image: d, e{way_out}" in log.text
    log.clear()
    assert Folder(root, val_fraction=0.26, batch_size=2).size("val") == 5 + 3 + 1 + 1
    assert "1 of 5 classes have no val image: e; no fraction gives them one" in log.text


def test_batches_of_files(tmp_path: Path) -> None:
    root = make_photos(tmp_path / "p", {"a": 6, "b": 4})
    data = Folder(root, views=[PlainView(), PlainView()], batch_size=4, num_workers=0, image_size=32, val_fraction=0)
    batch = next(iter(data.train_dataloader()))
    assert batch["images"].shape == (4, 2, 3, 32, 32)
    assert batch["images"].dtype == torch.uint8


def test_a_table_with_splits_shares_classes(tmp_path: Path) -> None:
    root = make_photos(tmp_path / "p", {"cat": 3, "dog": 3})
    (root / "train.csv").write_text(
        "path,label\n" + "".join(f"{c}/{i}.png,{c}\n" for c in ("dog", "cat") for i in (0, 1))
    )
    (root / "val.csv").write_text("path,label\ndog/2.png,dog\n")
    data = Table(root / "train.csv", val=root / "val.csv", batch_size=2)
    val = data.split("val")
    assert val is not None
    assert data.classes == ["cat", "dog"]
    assert val.targets.tolist() == [1]
    (root / "val.csv").write_text("path,label\ndog/2.png,wolf\n")
    with pytest.raises(InputError, match="wolf"):
        _ = Table(root / "train.csv", val=root / "val.csv", batch_size=2).splits


def test_bad_files_are_refused_or_left_out(tmp_path: Path) -> None:
    root = make_photos(tmp_path / "p", {"a": 6, "b": 6})
    (root / "a" / "0.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"0\.png.*--skip-bad-images"):
        _ = Folder(root, batch_size=2).splits
    data = Folder(root, batch_size=2, skip_bad_images=True, val_fraction=0)
    assert data.image_counts == [5, 6]


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 0},
        {"val_fraction": 1.0},
        {"test_fraction": -0.1},
        {"val_fraction": 0.5, "test_fraction": 0.5},
        {"check_images": False, "skip_bad_images": True},
    ],
)
def test_wrong_options(tmp_path: Path, options: dict[str, object]) -> None:
    with pytest.raises(InputError):
        Folder(tmp_path, **options)
