"""Images of 12 bits in PNGs of 16, in every grain: training, evaluation, pictures and prediction scale them alike."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from deep_images import RAMP, expected, write_png
from PIL import Image
from torch import nn

import longtail.inference.classification
import longtail.inference.detection
import longtail.inference.segmentation
from longtail.augment.instances import MultiScale
from longtail.augment.pixels import ScaleCropFlip
from longtail.data.base import LongTailData
from longtail.data.boxes.coco import COCO
from longtail.data.clips.folder import VideoFolder
from longtail.data.images.folder import Folder, Table
from longtail.data.pixels.folder import SegmentationFolder
from longtail.files.images.crops import prepare
from longtail.inference.classification import Classifier
from longtail.inference.detection import Detector
from longtail.inference.segmentation import Segmenter

OPTIONS: dict[str, Any] = {"bit_depth": 12, "num_workers": 0, "batch_size": 2}


def folder(root: Path) -> LongTailData:
    for name in ("a/0", "a/1", "b/0", "b/1"):
        write_png(root / f"{name}.png", RAMP)
    return Folder(root, val_fraction=0.5, image_size=56, **OPTIONS)


def table(root: Path) -> LongTailData:
    folder(root)
    rows = "".join(f"{name}.png,{name[0]}\n" for name in ("a/0", "a/1", "b/0", "b/1"))
    (root / "train.csv").write_text(f"path,label\n{rows}")
    return Table(root / "train.csv", val_fraction=0.5, image_size=56, **OPTIONS)


def clips(root: Path) -> LongTailData:
    for name in ("a/0", "a/1", "b/0", "b/1"):
        for frame in range(2):
            write_png(root / name / f"{frame}.png", RAMP)
    return VideoFolder(root=root, val_fraction=0.5, image_size=56, frames=2, **OPTIONS)


def boxes(root: Path) -> LongTailData:
    for number in range(4):
        write_png(root / f"{number}.png", RAMP)
    images = [{"id": i, "file_name": f"{i}.png", "width": 64, "height": 64} for i in range(4)]
    annotations = [{"id": i, "image_id": i, "category_id": 1 + i % 2, "bbox": [3, 3, 30, 30]} for i in range(4)]
    categories = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (root / "instances_train.json").write_text(json.dumps(content))
    return COCO(root, val_fraction=0.25, masks=False, view=MultiScale([64], 64, flip=0), **OPTIONS)


def pixels(root: Path) -> LongTailData:
    (root / "annotations").mkdir(parents=True)
    (root / "classes.txt").write_text("a\nb\n")
    for number in range(4):
        write_png(root / "images" / f"{number}.png", RAMP)
        Image.fromarray((RAMP % 2).astype(np.uint8)).save(root / "annotations" / f"{number}.png")
    return SegmentationFolder(root, val_fraction=0.25, view=ScaleCropFlip(64), **OPTIONS)


every_grain = pytest.mark.parametrize("make", [folder, table, clips, boxes, pixels], ids=lambda make: make.__name__)


@every_grain
def test_training_evaluation_and_pictures_have_all_levels(
    make: Callable[[Path], LongTailData], tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    torch.manual_seed(0)  # of the crops, whatever ran before: a small one of a ramp has few levels
    data = make(tmp_path / "set")
    assert data.splits.val is not None
    assert data.input["bit_depth"] == 12
    assert not [line for line in log.messages if "bit" in line]
    right = expected(RAMP, 4095)
    picture = np.asarray(data.picture("val", 0))
    assert np.array_equal(picture, right)
    batches = {"train": next(iter(data.train_dataloader())), "val": next(iter(data.val_dataloader()))}
    for name, batch in batches.items():
        levels = torch.stack(list(batch["images"])).flatten().unique()
        assert len(levels) > 150, f"{name}: 17 levels where the scale is that of 16 bits"
        assert levels.max() > 200
    sample = batches["val"]["images"][0]
    if make in (boxes, pixels):
        assert np.array_equal(sample.permute(1, 2, 0), right)
    else:
        central = prepare(Image.fromarray(right), 56)
        sample = sample[0, :, 0] if make is clips else sample[0]
        assert (sample.int() - central.int()).abs().max() <= 1


@every_grain
def test_a_set_that_is_only_evaluated_on_is_scaled_alike(make: Callable[[Path], LongTailData], tmp_path: Path) -> None:
    data = make(tmp_path / "set")
    sample = data.labelled("test", data.classes).images[0, 0]
    image = sample["image"] if make in (boxes, pixels) else sample[0]["images"]
    assert len(image.unique()) > 150, "17 levels where the scale is that of 16 bits"


def load(monkeypatch: pytest.MonkeyPatch, module: Any, predictor: Any, data: LongTailData) -> Any:
    """What a run on some data becomes for prediction, its network left out."""
    monkeypatch.setattr(module, "load_method", lambda *args: (nn.Identity(), Path("last.ckpt")))
    results = {"classes": data.classes, "train_counts": data.group_counts, "data": {"input": data.input}}
    return predictor.load(Path("run"), results)


def test_prediction_scales_as_training_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, right = str(write_png(tmp_path / "new.png", RAMP)), expected(RAMP, 4095)
    classifier = load(monkeypatch, longtail.inference.classification, Classifier, folder(tmp_path / "folder"))
    assert torch.equal(classifier.read(file), prepare(Image.fromarray(right), 56))
    of_clips = load(monkeypatch, longtail.inference.classification, Classifier, clips(tmp_path / "clips"))
    clip = of_clips.read(str(tmp_path / "clips" / "a" / "0"))
    assert clip.shape == (3, 2, 56, 56)
    assert (clip[:, 0].int() - prepare(Image.fromarray(right), 56).int()).abs().max() <= 1
    detector = load(monkeypatch, longtail.inference.detection, Detector, boxes(tmp_path / "boxes"))
    assert np.array_equal(detector.read(file), right)
    segmenter = load(monkeypatch, longtail.inference.segmentation, Segmenter, pixels(tmp_path / "pixels"))
    assert np.array_equal(segmenter.read(file), right)


@every_grain
def test_depth_that_is_not_given_is_told(
    make: Callable[[Path], LongTailData], tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    data = make(tmp_path / "set")
    data.bit_depth = None  # type: ignore[attr-defined]
    _ = data.splits
    assert "bit_depth" not in data.input
    assert [line for line in log.messages if "give --data.bit_depth 12 if that is their depth" in line]
