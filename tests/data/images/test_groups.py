"""Splits that keep together what belongs together, through the data modules."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from longtail.data.images.folder import Folder, Table
from longtail.data.split import grouped_split
from longtail.errors import InputError


def test_groups_stay_whole_and_classes_balanced() -> None:
    """20 groups of 5 rows, half of either class: a fifth of each is 10 rows, two groups."""
    targets = np.repeat([0, 1], 50)
    groups = [f"g{row // 5}" for row in range(100)]
    train, val = grouped_split(targets, groups, 0.2, 0)
    assert sorted([*train, *val]) == list(range(100))
    assert np.bincount(targets[val]).tolist() == [10, 10]
    assert not {groups[i] for i in train} & {groups[i] for i in val}
    draw = grouped_split(targets, groups, 0.2, 1)[1]
    assert draw.tolist() != val.tolist(), "the seed draws the groups"


def test_a_class_of_one_group_stays_in_training() -> None:
    train, val = grouped_split(np.array([0, 0, 0, 0, 1, 1]), ["a", "b", "c", "d", "e", "e"], 0.5, 0)
    assert {4, 5} <= set(train.tolist())
    assert len(val) == 2


def test_rows_without_a_group_are_on_their_own() -> None:
    train, val = grouped_split(np.zeros(10, dtype=np.int64), [""] * 10, 0.3, 0)
    assert (len(train), len(val)) == (7, 3)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes, five patients with four photos of each."""
    lines = ["image,label,patient"]
    for label in ("nv", "mel"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for i in range(20):
            Image.new("RGB", (8, 8)).save(tmp_path / "photos" / label / f"p{i // 4}_{i}.png")
            lines.append(f"photos/{label}/p{i // 4}_{i}.png,{label},{i // 4}")
    (tmp_path / "t.csv").write_text("\n".join(lines))
    return tmp_path


@pytest.mark.parametrize("source", ["column", "pattern in a table", "pattern in a folder"])
def test_a_patient_is_on_one_side(photos: Path, log: pytest.LogCaptureFixture, source: str) -> None:
    group = "patient" if source == "column" else r"/p(\d)_"
    options = {"val_fraction": 0.2, "group": group, "batch_size": 4, "image_size": 8}
    data = Folder(photos / "photos", **options) if "folder" in source else Table(photos / "t.csv", **options)
    names = {
        name: {Path(data.file_name(name, row)).name.partition("_")[0] for row in range(data.size(name))}
        for name in ("train", "val")
    }
    assert (len(names["train"]), len(names["val"])) == (4, 1)
    assert not names["train"] & names["val"]
    assert data.size("val") == 8
    assert "val: 8 images of 1 group, 20%; 4 groups kept" in log.text


def test_the_smallest_fraction_for_groups_is_told(photos: Path, log: pytest.LogCaptureFixture) -> None:
    """Of five patients with eight of forty photos each none is held out by 0.05, and one by 0.11 and more; the sum of
    |held out - wanted| / n over the classes goes down for one patient, 4 of 20 in each, where 20 f > 2."""
    with (photos / "t.csv").open("a") as table:
        for i in range(20):
            Image.new("RGB", (8, 8)).save(photos / "photos" / f"owl{i}.png")
            table.write(f"\nphotos/owl{i}.png,owl,{10 + i // 2}")
    options = {"group": "patient", "batch_size": 4, "image_size": 8}
    _ = Table(photos / "t.csv", val_fraction=0.09, **options).splits
    way_out = "--data.val_fraction 0.11 is the smallest that gives one to every class that several groups have"
    assert f"2 of 3 classes have no val image: mel, nv; {way_out}" in log.text


def test_groups_on_both_sides_of_given_splits_are_told(photos: Path, log: pytest.LogCaptureFixture) -> None:
    header, *lines = (photos / "t.csv").read_text().splitlines()
    (photos / "val.csv").write_text("\n".join([header, *lines[2:6], *lines[22:26]]))
    (photos / "t.csv").write_text("\n".join([header, *lines[:2], *lines[6:22], *lines[26:40]]))
    data = Table(photos / "t.csv", val=photos / "val.csv", group="patient", batch_size=4, image_size=8)
    _ = data.splits
    assert "val has 8 images of 2 groups that training images have too: 0, 1" in log.text


def test_images_that_no_row_names_are_told(photos: Path, log: pytest.LogCaptureFixture) -> None:
    lines = (photos / "t.csv").read_text().splitlines()
    (photos / "t.csv").write_text("\n".join(lines[:-1]))
    data = Table(photos / "t.csv", batch_size=4, image_size=8)
    _ = data.splits
    assert "left out 1 image that no row in use names, such as " in log.text
    assert data.left_out == {("image", "that no row in use names"): 1}


@pytest.mark.parametrize(
    ("group", "words"),
    [
        ("klinik", "has no column klinik, and as a regular expression of the path it needs one group in brackets"),
        ("(", "--data.group ( is no regular expression"),
        (r"/x(\d)_", "is not found in "),
    ],
)
def test_groups_that_cannot_be(photos: Path, group: str, words: str) -> None:
    with pytest.raises(InputError) as error:
        _ = Table(photos / "t.csv", group=group).splits
    assert words in str(error.value)
