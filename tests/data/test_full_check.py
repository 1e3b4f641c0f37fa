"""Damage inside a file: found before training, in every grain, where all files are decoded, and else when it comes."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from longtail.data.base import LongTailData
from longtail.data.boxes.coco import COCO
from longtail.data.clips.folder import VideoFolder
from longtail.data.images.folder import Folder
from longtail.data.pixels.folder import SegmentationFolder
from longtail.errors import InputError

NOISE = np.random.default_rng(0).integers(0, 2, (64, 64), dtype=np.uint8)


def image(path: Path, values: Any = NOISE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def folder(root: Path) -> None:
    for name in ("a/0", "a/1", "b/0", "b/1"):
        image(root / f"{name}.png")


def clips(root: Path) -> None:
    for name in ("a/0", "a/1", "b/0", "b/1"):
        image(root / name / "0.png")


def boxes(root: Path) -> None:
    for number in range(4):
        image(root / f"{number}.png")
    images = [{"id": i, "file_name": f"{i}.png", "width": 64, "height": 64} for i in range(4)]
    annotations = [{"id": i, "image_id": i, "category_id": 1 + i % 2, "bbox": [3, 3, 30, 30]} for i in range(4)]
    categories = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (root / "instances_train.json").write_text(json.dumps(content))


def pixels(root: Path) -> None:
    for number in range(4):
        image(root / "images" / "train" / f"{number}.png")
        image(root / "annotations" / "train" / f"{number}.png")
    (root / "classes.txt").write_text("a\nb\n")


@pytest.mark.parametrize(
    ("write", "data", "name"),
    [
        (folder, Folder, "a/1.png"),
        (clips, VideoFolder, "a/1/0.png"),
        (boxes, partial(COCO, masks=False), "1.png"),
        (pixels, SegmentationFolder, "images/train/1.png"),
    ],
)
def test_damage_inside_a_file(
    write: Callable[[Path], None], data: Callable[..., LongTailData], name: str, tmp_path: Path
) -> None:
    write(tmp_path)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[:100] + b"damage" + content[106:])
    options: dict[str, Any] = {"root": tmp_path, "val_fraction": 0.5, "num_workers": 0, "batch_size": 2}
    assert data(**options).splits is not None
    with pytest.raises(InputError, match=r"(1|0)\.png: cannot be decoded \("):
        _ = data(full_check=True, **options).splits
