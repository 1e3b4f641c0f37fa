"""The record of which files are in which split: every grain, before and after its files change."""

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from longtail.augment.instances import MultiScale
from longtail.augment.pixels import ScaleCropFlip
from longtail.data import COCO, DigitsLT, Folder, SegmentationFolder, Table, VideoFolder
from longtail.data import record as record_module
from longtail.data.base import LongTailData
from longtail.data.record import FILE_NAME, SplitFiles, SplitRecord
from longtail.data.trained import Trained
from longtail.errors import InputError
from tests.data.test_modules import make_photos

FEW: dict[str, Any] = {"num_workers": 0, "batch_size": 2}
CLIPS = {"frames": 2, "image_size": 16}


def photos(root: Path, **options: Any) -> Folder:
    return Folder(root, val_fraction=0.25, test_fraction=0.25, image_size=16, **FEW, **options)


def table(root: Path) -> Table:
    rows = [f"{path.relative_to(root).as_posix()},{path.parent.name}" for path in sorted(root.rglob("*.png"))]
    (root / "all.csv").write_text("\n".join(["path,label", *rows]))
    return Table(root / "all.csv", val_fraction=0.25, test_fraction=0.25, image_size=16, **FEW)


def clips(root: Path) -> VideoFolder:
    return VideoFolder(root=root, val_fraction=0.25, test_fraction=0.25, **CLIPS, **FEW)


def boxes(root: Path, **options: Any) -> COCO:
    return COCO(root, val_fraction=0.25, masks=False, view=MultiScale([16], 64), **FEW, **options)


def pixels(root: Path, **options: Any) -> SegmentationFolder:
    return SegmentationFolder(root, val_fraction=0.25, view=ScaleCropFlip(16), **FEW, **options)


def noise(path: Path, seed: int, side: int = 16) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)).save(path)


def make(root: Path, count: int = 12) -> None:
    """Images of two classes for every reader: class folders, frames of clips, COCO's JSON, masks."""
    for i in range(count):
        noise(root / "photos" / "ab"[i % 2] / f"{i}.png", i)
        for frame in range(3):
            noise(root / "clips" / "ab"[i % 2] / str(i) / f"{frame}.png", 10 * i + frame)
        noise(root / "boxes" / "train" / f"{i}.png", i)
        noise(root / "pixels" / "images" / f"{i}.png", i)
        mask = np.zeros((16, 16), np.uint8)
        mask[: i + 1] = 1
        (root / "pixels" / "annotations").mkdir(exist_ok=True)
        Image.fromarray(mask).save(root / "pixels" / "annotations" / f"{i}.png")
    (root / "pixels" / "classes.txt").write_text("sky\nroad\n")
    annotate(root / "boxes", dict.fromkeys(range(count), 4))


def annotate(root: Path, widths: dict[int, int]) -> None:
    images = [{"id": i, "file_name": f"{i}.png", "width": 16, "height": 16} for i in widths]
    annotations = [
        {"id": i, "image_id": i, "category_id": i % 2 + 1, "bbox": [1, 1, width, 5], "area": 5 * width, "iscrowd": 0}
        for i, width in widths.items()
    ]
    categories = [{"id": 1, "name": "ant"}, {"id": 2, "name": "bee"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (root / "instances_train.json").write_text(json.dumps(content))


def files(data: LongTailData) -> dict[str, list[str]]:
    record = SplitRecord.of(data)
    assert record is not None
    return {split: entry.names for split, entry in record.files.items()}


def number(name: str) -> str:
    return Path(name).stem


Reader = Callable[[Path], LongTailData]
GRAINS: dict[str, Reader] = {"photos": photos, "table": table, "clips": clips, "boxes": boxes, "pixels": pixels}


def remove(root: Path, stem: str, grain: str) -> None:
    for path in [path for path in root.rglob("*") if path.stem == stem and ".longtail" not in path.parts]:
        if path.is_dir():
            shutil.rmtree(path)
        elif grain != "clips" and path.exists():
            path.unlink()


@pytest.mark.parametrize("grain", GRAINS)
def test_every_file_stays_in_its_split(grain: str, tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    make(tmp_path)
    reader, root = GRAINS[grain], tmp_path / {"table": "photos"}.get(grain, grain)
    first = reader(root)
    before, counts = files(first), first.group_counts
    record = SplitRecord.of(first)
    assert record is not None
    record.write(tmp_path)

    copy = tmp_path / "elsewhere" / "set"  # copied: other times, another folder
    shutil.copytree(root, copy, copy_function=shutil.copyfile, ignore=shutil.ignore_patterns(".longtail"))
    removal, edit = before["train"][0], before["val"][0]
    new = dict.fromkeys((100, 101, 102, 103), 4)
    numbers = {int(number(name)): 4 for names in before.values() for name in names if name != removal}
    for i in new:
        noise(copy / "ab"[i % 2] / f"{i}.png", i) if grain in ("photos", "table") else None
        noise(copy / "ab"[i % 2] / str(i) / "0.png", i) if grain == "clips" else None
        noise(copy / "train" / f"{i}.png", i) if grain == "boxes" else None
        noise(copy / "images" / f"{i}.png", i) if grain == "pixels" else None
        if grain == "pixels":
            Image.fromarray(np.ones((16, 16), np.uint8)).save(copy / "annotations" / f"{i}.png")
    remove(copy, number(removal), grain)
    if grain == "boxes":  # an annotation changed, its image did not
        annotate(copy, {**numbers, **new, int(number(edit)): 5})
    elif grain == "pixels":
        Image.fromarray(np.eye(16, dtype=np.uint8)).save(copy / "annotations" / f"{number(edit)}.png")
    else:
        noise(copy / edit / "0.png" if grain == "clips" else copy / edit, 1000)

    read_back = SplitRecord.read(tmp_path)
    assert read_back is not None
    rerun = reader(copy)
    rerun.keep_splits(read_back, measured_alone=True)
    log.clear()
    after = files(rerun)
    assert after == {split: [name for name in names if name not in (removal, edit)] for split, names in before.items()}
    assert rerun.group_counts == counts  # the groups stay as they were
    assert f"1 of the {len(before['train'])} training {rerun.noun}s of the run is gone, left out: {removal}" in log.text
    assert f"validation {rerun.noun}s of the run has changed, left out: {edit}" in log.text
    assert f"4 {rerun.noun}s in no split of the run, left out" in log.text
    assert rerun.left_out[rerun.noun, "in no split of the run"] == 4


def test_a_file_that_goes_from_validation_to_training_is_in_neither(tmp_path: Path) -> None:
    make(tmp_path)
    root = tmp_path / "photos"
    data = photos(root)
    val, trained = files(data)["val"][0], files(data)["train"]
    record = SplitRecord.of(data)
    assert record is not None
    train = next(name for name in trained if name[0] == val[0])
    (root / val).rename(root / "swap.png")
    (root / train).rename(root / val)
    (root / "swap.png").rename(root / train)
    rerun = photos(root)
    rerun.keep_splits(record, measured_alone=False)
    assert {val, train}.isdisjoint([*files(rerun)["train"], *files(rerun)["val"]])


def test_a_new_class_is_left_out_and_a_class_that_is_gone_does_not_stop_a_test(tmp_path: Path) -> None:
    root = make_photos(tmp_path / "p", {"a": 8, "b": 8, "c": 4})
    data = photos(root)
    record = SplitRecord.of(data)
    assert record is not None
    shutil.rmtree(root / "b")
    make_photos(root, {"0 new": 4})
    rerun = photos(root)
    rerun.keep_splits(record, measured_alone=True)
    assert (rerun.classes, rerun.group_counts) == (["a", "b", "c"], [4, 4, 2])
    assert rerun.splits.test is not None
    assert np.bincount(rerun.splits.test.targets).tolist() == [2, 0, 1]
    run = photos(root)
    run.keep_splits(record, measured_alone=False)
    with pytest.raises(InputError, match="no training image of b"):
        _ = run.splits


def test_a_table_may_name_files_that_are_gone(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    make(tmp_path)
    data = table(tmp_path / "photos")
    record = SplitRecord.of(data)
    assert record is not None
    removal = Path(files(data)["train"][0])
    (tmp_path / "photos" / removal).unlink()
    later = Table(tmp_path / "photos/all.csv", image_size=16, **FEW)
    later.keep_splits(record, measured_alone=False)
    _ = later.splits
    assert later.left_out == {("training image", "gone"): 1}
    with pytest.raises(InputError, match=r"all\.csv, line \d+: no such file"):
        _ = Table(tmp_path / "photos/all.csv", image_size=16, **FEW).splits


@pytest.mark.parametrize("reader", [boxes, pixels])
def test_groups_of_boxes_and_pixels(
    reader: Callable[..., LongTailData], tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    make(tmp_path)
    root = tmp_path / reader.__name__
    data = reader(root, group=r"/(\d)\d?\.png$")
    names = {name: {Path(file).stem[0] for file in paths} for name, paths in files(data).items()}
    assert not names["train"] & names["val"]
    sizes = {name: len(paths) for name, paths in files(data).items()}
    assert f"val: {sizes['val']} image" in log.text
    messages = {
        boxes: "no image has a patient, they have file_name",
        pixels: "as a regular expression of the path it needs one group in brackets",
    }
    with pytest.raises(InputError, match=messages[reader]):
        _ = reader(root, group="patient").splits


def test_new_classes_of_boxes_and_pixels_are_named(tmp_path: Path) -> None:
    make(tmp_path)
    for reader in (boxes, pixels):
        root = tmp_path / reader.__name__
        record = SplitRecord.of(reader(root))
        assert record is not None
        if reader is pixels:
            (root / "classes.txt").write_text("sky\nroad\ncrow\n")
        else:
            content = json.loads((root / "instances_train.json").read_text())
            content["categories"].append({"id": 3, "name": "crow"})
            content["annotations"][0]["category_id"] = 3
            (root / "instances_train.json").write_text(json.dumps(content))
        later = reader(root)
        later.keep_splits(record, measured_alone=False)
        with pytest.raises(InputError, match="crow"):
            _ = later.splits


def test_another_folder_is_refused_and_a_damaged_record_too(tmp_path: Path) -> None:
    data = photos(make_photos(tmp_path / "p", {"a": 8, "b": 8}))
    record = SplitRecord.of(data)
    assert record is not None
    for kind in ("a", "b"):
        for i in range(4):
            noise(tmp_path / "q" / kind / f"other {i}.png", i)
    run = photos(tmp_path / "q")
    run.keep_splits(record, measured_alone=True)
    with pytest.raises(InputError, match=r"none of the 16 images of the run is there as it was.*--data\.root"):
        _ = run.splits
    assert SplitRecord.read(tmp_path) is None
    record.write(tmp_path)
    whole = (tmp_path / FILE_NAME).read_bytes()
    for content in (whole[:-20], b"", gzip.compress(b"{}"), gzip.compress(b'{"format": 1, "classes": 3}')):
        (tmp_path / FILE_NAME).write_bytes(content)
        with pytest.raises(InputError, match=r"splits\.json\.gz: cannot be read"):
            SplitRecord.read(tmp_path)


def test_a_set_without_files_needs_no_record() -> None:
    assert SplitRecord.of(DigitsLT()) is None


def test_the_record_is_written_as_one_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_module, "_CHUNK", 2)
    names, counts = ["a/ä.jpg", 'b"\udcff.jpg', "c", "d", "e"], np.arange(5)
    empty = counts[:0]
    files = {
        "train": SplitFiles(names, counts, lambda: (counts + 7, None)),
        "val": SplitFiles([], empty, lambda: (empty, empty)),
    }
    SplitRecord(Trained(["x"], [5], [5], {"size": 3}), files).write(tmp_path)
    of_train = {"names": names, "labels": [0, 1, 2, 3, 4], "sizes": [7, 8, 9, 10, 11], "ends": None}
    of_val: dict[str, list[int]] = {"names": [], "labels": [], "sizes": [], "ends": []}
    header = {"format": 1, "classes": ["x"], "label_counts": [5], "group_counts": [5], "input": {"size": 3}}
    text = json.dumps({**header, "files": {"train": of_train, "val": of_val}}, separators=(",", ":"))
    assert gzip.decompress((tmp_path / FILE_NAME).read_bytes()).decode() == text
