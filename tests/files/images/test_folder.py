import os
from pathlib import Path

import numpy as np
import pytest

from longtail.errors import InputError
from longtail.files.images.folder import IMAGES, VIDEOS, Kind, is_sample, samples_below, scan_folder
from longtail.files.images.passed_over import PassedOver, Why
from longtail.files.listing import Listing, in_class_order
from longtail.messages import escape, some


def fill(root: Path, *files: str) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    return root


def refusal(root: Path, kind: Kind = IMAGES) -> str:
    with pytest.raises(InputError) as error:
        scan_folder(root, kind)
    message = str(error.value)
    assert "\n" not in message
    return message


def relative(listing: Listing, root: Path) -> list[str]:
    return [Path(path).relative_to(root).as_posix() for path in listing.paths]


def test_flat(tmp_path):
    fill(tmp_path, "dog/b.PNG", "dog/a.jpg", "cat/c.jpeg")
    listings = scan_folder(tmp_path)
    assert list(listings) == ["all"]
    assert listings["all"].classes == ["cat", "dog"]
    assert relative(listings["all"], tmp_path) == ["cat/c.jpeg", "dog/a.jpg", "dog/b.PNG"]
    assert listings["all"].targets.tolist() == [0, 1, 1]
    assert listings["all"].targets.dtype == np.int64


@pytest.mark.parametrize("val", ["val", "valid", "validation", "Val"])
def test_split(tmp_path, val):
    fill(tmp_path, "train/a/1.jpg", "train/b/2.jpg", f"{val}/b/3.jpg", "test/a/4.jpg", "test/b/5.jpg", "notes/x.txt")
    listings = scan_folder(tmp_path)
    assert list(listings) == ["train", "val", "test"]
    assert all(listing.classes == ["a", "b"] for listing in listings.values())
    assert listings["val"].targets.tolist() == [1]
    assert listings["test"].class_counts().tolist() == [1, 1]


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (["Training", "Testing"], ["train", "test"]),
        (["training", "validation", "evaluation"], ["train", "val", "test"]),  # Food-11
        (["train_images", "dev-images"], ["train", "val"]),
        (["TrainImages", "TEST2"], ["train", "test"]),
        (["seg_train/seg_train", "seg_test/seg_test", "seg_pred/seg_pred"], ["train", "test"]),  # Intel's scenes
        (["asl_alphabet_train/asl_alphabet_train", "asl_alphabet_test"], ["train", "test"]),
        (["Trainset", "valset", "testset"], ["train", "val", "test"]),
    ],
)
def test_names_that_people_give_to_splits(tmp_path, names, splits):
    for name in names:
        fill(tmp_path / name, "cat/1.jpg", "dog/2.jpg")
    listings = scan_folder(tmp_path)
    assert list(listings) == splits
    for name, listing in zip(names, listings.values(), strict=False):
        assert relative(listing, tmp_path) == [f"{name}/cat/1.jpg", f"{name}/dog/2.jpg"]


@pytest.mark.parametrize(
    "names", [["train_station", "bus_stop"], ["trainer", "tester"], ["test_tube", "flask"], ["train", "val"]]
)
def test_names_of_splits_in_those_of_classes(tmp_path, names):
    if names == ["train", "val"]:  # two words for a split in one name say nothing
        names = ["train_val", "other"]
    for name in names:
        fill(tmp_path / name, "2019/1.jpg")
    assert scan_folder(tmp_path)["all"].classes == sorted(names)


def test_what_is_passed_over_is_counted(tmp_path):
    fill(tmp_path, "train/a/1.jpg", "train/b/2.jpg", "train/b/3.nef", "train/a/4.txt", "train/5.jpg")
    fill(tmp_path, "test/6.jpg", "test/7.jpg", "extra/8.jpg", "notes/9.txt")
    skips = PassedOver()
    assert list(scan_folder(tmp_path, IMAGES, skips)) == ["train"]
    assert skips.counts("image") == [
        (2, "file", "of another kind (.txt, .nef; raw data of cameras, .nef, has to be developed)", Why.OTHER),
        (1, "image", "beside the class folders", Why.OTHER),
        (2, "folder", "beside those of the splits (extra, notes)", Why.OTHER),
        (2, "image", "of a test split without classes", Why.OTHER),
    ]


def test_photos_that_need_a_package_are_named(tmp_path):
    fill(tmp_path, "a/1.CR2", "b/2.cr2")
    assert refusal(tmp_path).endswith(
        "in class folders below it; there are .cr2; raw data of cameras, .cr2, has to be developed"
    )


def test_train_alone(tmp_path):
    assert list(scan_folder(fill(tmp_path, "train/a/1.jpg", "train/b/2.jpg"))) == ["train"]


def test_a_class_may_be_called_train(tmp_path):
    fill(tmp_path, "train/1.jpg", "bus/2.jpg", "test/3.jpg")
    assert scan_folder(tmp_path)["all"].classes == ["bus", "test", "train"]


def test_whole_numbers_are_sorted_by_value(tmp_path):
    fill(tmp_path, "10/1.jpg", "2/1.jpg", "0/1.jpg")
    assert scan_folder(tmp_path)["all"].classes == ["0", "2", "10"]
    assert in_class_order(["x10", "x2", "3"]) == ["3", "x10", "x2"]
    assert in_class_order(["010", "1", "01", "0"]) == ["0", "01", "1", "010"]


def test_nested_images_belong_to_the_top_class(tmp_path):
    fill(tmp_path, "cat/2019/may/a.jpg", "cat/b.jpg", "dog/c.jpg")
    listing = scan_folder(tmp_path)["all"]
    assert listing.classes == ["cat", "dog"]
    assert listing.class_counts().tolist() == [2, 1]


def test_ignored(tmp_path):
    fill(
        tmp_path,
        *("a/1.jpg", "b/2.JP2", "stray.jpg", "README.md"),
        *("a/.hidden.jpg", "a/Thumbs.db", "a/notes.txt", "a/jpg", "a/.cache/3.jpg", "a/__MACOSX/4.jpg"),
        *(".git/5.jpg", "__MACOSX/6.jpg"),
    )
    assert relative(scan_folder(tmp_path)["all"], tmp_path) == ["a/1.jpg", "b/2.JP2"]


def test_links_are_followed(tmp_path):
    store = fill(tmp_path / "store", "x/1.jpg", "2.jpg")
    root = fill(tmp_path / "root", "b/3.jpg")
    (root / "a").symlink_to(store / "x")
    (root / "b" / "4.jpg").symlink_to(store / "2.jpg")
    (root / "b" / "more").symlink_to(store)
    listing = scan_folder(root)["all"]
    assert relative(listing, root) == ["a/1.jpg", "b/3.jpg", "b/4.jpg", "b/more/2.jpg", "b/more/x/1.jpg"]


@pytest.mark.parametrize("target", [".", "..", "../..", "deep", "deep/back"])
def test_link_loops_are_left_out(tmp_path, target):
    root = fill(tmp_path / "root", "a/1.jpg", "a/deep/2.jpg", "b/3.jpg")
    (root / "a" / "deep" / "up").symlink_to("..")
    (root / "a" / "loop").symlink_to(target)
    (root / "a" / "self").symlink_to("self")
    (root / "a" / "top").symlink_to(tmp_path)
    listing = scan_folder(root)["all"]
    assert [Path(path).name for path in listing.paths if "/a/" in path] == ["1.jpg", "2.jpg"]


def test_a_link_to_itself_with_an_images_name(tmp_path):
    root = fill(tmp_path, "a/1.jpg", "b/3.jpg")
    (root / "a" / "2.jpg").symlink_to("2.jpg")
    assert "2.jpg: a link to a file that is missing" in refusal(root)


def test_broken_link(tmp_path):
    root = fill(tmp_path, "a/1.jpg", "b/3.jpg")
    (root / "b" / "2.jpg").symlink_to("gone.jpg")
    assert refusal(root) == f"{root}/b/2.jpg: a link to a file that is missing; restore or remove it"


def test_missing_root(tmp_path):
    assert refusal(tmp_path / "no") == (
        f"{tmp_path}/no: cannot read the folder (No such file or directory); check that it exists and its permissions"
    )


def test_root_is_a_file(tmp_path):
    fill(tmp_path, "list.csv")
    assert "list.csv: is a file; give the folder" in refusal(tmp_path / "list.csv")


@pytest.mark.parametrize("function", ["scandir", "stat"])
def test_unreadable_folder(tmp_path, monkeypatch, function):
    fill(tmp_path, "a/1.jpg", "b/sub/3.jpg")
    real = getattr(os, function)

    def guard(path, *args, **kwargs):
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied", path)
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, function, guard)
    assert refusal(tmp_path).startswith(f"{tmp_path}/b/sub: cannot read the folder (Permission denied); check")


@pytest.mark.parametrize("files", [(), ("a/x.txt", "b/y.txt"), ("notes.txt",), ("train/a/x.txt",)])
def test_no_images(tmp_path, files):
    message = refusal(fill(tmp_path, *files))
    assert ": no images (" in message
    assert ".bmp, .gif, " in message
    assert str(tmp_path) in message


@pytest.mark.parametrize("folder", ["", "train", "val"])
def test_no_class_folders(tmp_path, folder):
    if folder == "val":
        fill(tmp_path, "train/a/1.jpg", "train/b/1.jpg")
    fill(tmp_path / folder, "1.jpg", "2.jpg")
    assert refusal(tmp_path) == (
        f"{tmp_path / folder}: no class folders; put the images of every class in a folder of its own"
    )


@pytest.mark.parametrize(("folder", "place"), [("", ""), ("train", " in train")])
def test_single_class(tmp_path, folder, place):
    fill(tmp_path / folder, "cat/1.jpg", "cat/2.jpg")
    message = refusal(tmp_path)
    assert message.startswith(f"{tmp_path}: only one class{place} (cat), at least two are needed; if that folder")


def test_classes_that_train_lacks(tmp_path):
    fill(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "val/b/1.jpg", *(f"val/{name}/1.jpg" for name in "zyxw"))
    assert f"{tmp_path}: val has classes that train lacks: w, x, y and 1 more; rename" in refusal(tmp_path)


def test_empty_unknown_class_of_a_split_is_ignored(tmp_path):
    fill(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "val/b/1.jpg", "val/c/x.txt")
    assert len(scan_folder(tmp_path)["val"]) == 1


@pytest.mark.parametrize(("folder", "place"), [("", ""), ("train", " in train")])
def test_empty_classes(tmp_path, folder, place):
    fill(tmp_path / folder, "a/1.jpg", "b/1.jpg", *(f"{name}/x.txt" for name in "defgh"))
    assert f"{tmp_path}: classes without any image{place}: d, e, f and 2 more; add" in refusal(tmp_path)


def test_no_train_folder(tmp_path):
    fill(tmp_path, "val/a/1.jpg", "test/a/1.jpg")
    assert refusal(tmp_path) == f"{tmp_path}: has test, val but no train folder; add one with the training images"


def test_two_folders_for_one_split(tmp_path):
    fill(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "val/a/1.jpg", "valid/a/1.jpg")
    assert refusal(tmp_path) == f"{tmp_path}: val and valid both stand for val; keep one of them"


def test_videos_are_files_and_folders_of_images(tmp_path):
    fill(tmp_path, "run/a.mp4", "run/b/1.jpg", "run/b/2.jpg", "run/c.jpg.txt", "sit/2019/c.AVI", "sit/2019/d/1.png")
    listing = scan_folder(tmp_path, VIDEOS)["all"]
    assert listing.classes == ["run", "sit"]
    assert relative(listing, tmp_path) == ["run/a.mp4", "run/b", "sit/2019/c.AVI", "sit/2019/d"]
    assert samples_below(str(tmp_path / "run"), VIDEOS) == [str(tmp_path / "run/a.mp4"), str(tmp_path / "run/b")]


def test_splits_of_videos(tmp_path):
    fill(tmp_path, "train/run/a/1.jpg", "train/sit/b.mp4", "val/sit/c/1.jpg", "notes/plot.png")
    listings = scan_folder(tmp_path, VIDEOS)
    assert list(listings) == ["train", "val"]
    assert relative(listings["train"], tmp_path) == ["train/run/a", "train/sit/b.mp4"]


def test_an_image_beside_videos_makes_no_video_of_their_folder(tmp_path):
    fill(tmp_path, "run/a.mp4", "run/poster.jpg", "sit/._hidden.jpg", "sit/b/1.jpg", "sit/c.mp4")
    assert relative(scan_folder(tmp_path, VIDEOS)["all"], tmp_path) == ["run/a.mp4", "sit/b", "sit/c.mp4"]
    assert not is_sample(str(tmp_path / "run"), VIDEOS)
    assert is_sample(str(tmp_path / "sit" / "b"), VIDEOS)
    assert not is_sample(str(tmp_path / "sit" / "b"), IMAGES)


@pytest.mark.parametrize("folder", ["", "train"])
@pytest.mark.parametrize("files", [(), ("sit/b.mp4", "walk/c.mp4")])
def test_a_class_of_images_is_no_class_of_videos(tmp_path, folder, files):
    fill(tmp_path / folder, "run/1.jpg", "run/2.jpg", *(files or ("sit/1.jpg",)))
    assert f"{tmp_path / folder / 'run'}: its images are the frames of one video" in refusal(tmp_path, VIDEOS)


def test_messages_name_videos(tmp_path):
    assert "no videos (.avi, .flv, " in refusal(fill(tmp_path / "none", "run/a.txt", "sit/b.txt"), VIDEOS)
    assert "without any video: sit; add videos" in refusal(fill(tmp_path / "one", "run/a.mp4", "sit/b.txt"), VIDEOS)
    flat = refusal(fill(tmp_path / "flat", "a.mp4"), VIDEOS)
    assert flat.endswith("no class folders; put the videos of every class in a folder of its own")


def test_listing():
    listing = Listing(["a", "b", "c"], np.array([0, 2, 2]), ["x", "y", "z"])
    assert len(listing) == 3
    assert listing.class_counts().tolist() == [1, 0, 2]
    part = listing.subset(np.array([2, 0]))
    assert (part.paths, part.targets.tolist(), part.classes) == (["c", "a"], [2, 0], ["x", "y", "z"])
    assert listing.subset(np.array([], dtype=np.int64)).class_counts().tolist() == [0, 0, 0]


@pytest.mark.parametrize("targets", [np.array([0]), np.array([0, 2]), np.array([-1, 0]), np.array([0.0, 1.0])])
def test_listing_refuses_other_targets(targets):
    with pytest.raises(ValueError, match="targets must"):
        Listing(["a", "b"], targets, ["x", "y"])


def test_names_in_messages_stay_on_one_line():
    assert escape("a b/ü.jpg") == "a b/ü.jpg"
    assert escape("a\nb") == "'a\\nb'"
    assert some(["a", "b", "c"]) == "a, b, c"
    assert some(list("abcde")) == "a, b, c and 2 more"
