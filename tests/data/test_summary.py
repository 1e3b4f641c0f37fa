"""What a set says of itself before a training, counted by hand."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from longtail.data.boxes.coco import COCO
from longtail.data.clips.folder import VideoFolder
from longtail.data.images.folder import Folder
from longtail.data.pixels.folder import SegmentationFolder
from longtail.reports.grains import BOXES, IMAGES, PIXELS
from longtail.reports.wording import empty_groups, group_summary


def image(path: Path, size: tuple[int, int] = (16, 16)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)


def test_images(tmp_path: Path) -> None:
    for name, number in (("cat", 4), ("owl", 2)):
        for i in range(number):
            image(tmp_path / name / f"{i}.png")
    (tmp_path / "cat" / "bad.png").write_text("no image")
    for name in ("cat/a.nef", "cat/b.NEF", "owl/notes.txt", "owl/.hidden", "readme.md"):
        (tmp_path / name).touch()
    data = Folder(tmp_path, val_fraction=0, skip_bad_images=True, batch_size=2, image_size=16)
    assert data.summary() == [
        ("data", f"{tmp_path}: 6 images of 2 classes"),
        ("splits", "6 train, no val, no test"),
        ("classes", "largest cat with 4 training images; smallest owl with 2 training images"),
        (
            "left out",
            "3 files of another kind (.nef, .txt; raw data of cameras, .nef, has to be developed), "
            "1 image file that cannot be read",
        ),
    ]
    assert data.time_options == ["a smaller --image-size (now 16)"]


def test_boxes(tmp_path: Path) -> None:
    """Class a in three images with two, one and one instances, of which one is a crowd; b in one; one has no area."""
    for i in range(4):
        image(tmp_path / f"{i}.png")
    images = [{"id": i, "file_name": f"{i}.png", "width": 16, "height": 16} for i in range(4)]
    rows = [(0, 1, 0), (0, 1, 0), (1, 1, 0), (2, 1, 1), (2, 2, 0)]
    annotations = [
        {"id": i, "image_id": owner, "category_id": category, "bbox": [2, 2, 5, 5], "iscrowd": crowd, "area": 25}
        for i, (owner, category, crowd) in enumerate(rows)
    ]
    annotations.append({"id": 9, "image_id": 3, "category_id": 2, "bbox": [2, 2, -1, 5], "iscrowd": 0, "area": 25})
    categories = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (tmp_path / "instances_train.json").write_text(json.dumps(content))
    data = COCO(tmp_path, masks=False, val_fraction=0, skip_bad_annotations=True, num_workers=0)
    assert data.summary() == [
        ("data", f"{tmp_path}: 4 images of 2 classes"),
        ("splits", "4 train, no val, no test"),
        (
            "classes",
            "largest a with 2 training images, 3 instances; smallest b with 1 training image, 1 instance",
        ),
        ("left out", "1 train annotation that cannot be used, 1 train annotation of a crowd"),
    ]
    assert data.time_options == ["a smaller --data.view.min_sizes"]


def test_pixels(tmp_path: Path) -> None:
    """Three images of 256 pixels: sky everywhere, road in 64 pixels of one; one is no image."""
    for i in range(4):
        image(tmp_path / "images" / "train" / f"{i}.png")
        labels = np.zeros((16, 16), dtype=np.uint8)
        labels[:8, :8] = 1 if i == 2 else 0
        path = tmp_path / "annotations" / "train" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(labels).save(path)
    (tmp_path / "images" / "train" / "3.png").write_text("no image")
    (tmp_path / "classes.txt").write_text("sky\nroad")
    data = SegmentationFolder(tmp_path, val_fraction=0, skip_bad_images=True, batch_size=2, num_workers=0)
    assert data.summary() == [
        ("data", f"{tmp_path}: 3 images of 2 classes"),
        ("splits", "3 train, no val, no test"),
        ("classes", "largest sky with 704 training pixels (91.67%); smallest road with 64 training pixels (8.33%)"),
        ("left out", "1 train file that cannot be used"),
    ]
    assert data.time_options == ["a smaller --data.view.size"]


def test_clips(tmp_path: Path) -> None:
    """Folders of frames are videos as well."""
    for name, number in (("run", 3), ("walk", 2)):
        for i in range(number):
            for frame in range(4):
                image(tmp_path / name / str(i) / f"{frame}.png")
    data = VideoFolder(root=tmp_path, frames=4, val_fraction=0, batch_size=2, image_size=16)
    assert data.summary() == [
        ("data", f"{tmp_path}: 5 videos of 2 classes"),
        ("splits", "5 train, no val, no test"),
        ("classes", "largest run with 3 training videos; smallest walk with 2 training videos"),
        ("left out", "nothing"),
    ]
    assert data.time_options == ["a smaller --image-size (now 16)", "fewer --data.frames (now 4)"]


def test_groups_in_the_words_of_each_grain() -> None:
    limits = {"many": 100, "few": 20}
    assert group_summary([500, 100, 20, 19], limits, IMAGES, "video") == (  # type: ignore[arg-type]
        "1 many-shot (more than 100 training videos), 2 medium-shot, 1 few-shot (fewer than 20)"
    )
    assert group_summary([500, 400], limits, BOXES, "image") == (  # type: ignore[arg-type]
        "2 frequent (more than 100 training images), 0 common, 0 rare (fewer than 20); other limits by --model.many N "
        "and --model.few N"
    )
    assert group_summary([500, 5], limits, PIXELS, "pixel").endswith(  # type: ignore[arg-type]
        "--model.many X and --model.few X, in parts of the mean number of pixels of a class"
    )


@pytest.mark.parametrize(
    ("counts", "note"),
    [
        ([500, 50, 5], None),
        ([50, 5], "no class has more than 100 training images (many)."),
        ([500], "no class has 20 to 100 training images (medium) or fewer than 20 training images (few)."),
    ],
)
def test_a_group_without_classes_says_how_limits_are_set(counts: list[int], note: str | None) -> None:
    text = empty_groups(counts, {"many": 100, "few": 20}, IMAGES)
    if note is None:
        assert text is None
    else:
        assert text is not None
        assert note in text
        assert text.endswith("Train with other limits by --model.many N and --model.few N.")
