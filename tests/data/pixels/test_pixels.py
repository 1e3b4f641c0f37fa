"""Data modules for segmentation: layouts, label tables, counts and their cache, bad files, draws and batches."""

import csv
import io
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

from longtail.augment.pixels import ScaleCropFlip
from longtail.data.pixels.base import SegmentationData
from longtail.data.pixels.benchmarks import ADE20K, CamVid, Cityscapes
from longtail.data.pixels.folder import SegmentationFolder
from longtail.data.record import SplitRecord
from longtail.data.sampling import DifficultySampling, PowerSampling, RepeatFactorSampling, Sampling
from longtail.difficulty import ClassDifficulty
from longtail.errors import InputError
from longtail.files.pixels.labels import IndexLabels

COLOURS = np.array([[200, 30, 30], [30, 200, 30], [30, 30, 200], [220, 220, 0]], dtype=np.uint8)
OPTIONS: dict[str, Any] = {"num_workers": 0, "batch_size": 2, "view": ScaleCropFlip(16)}
TREE = ("train/a/0", "train/a/1", "train/b/0", "train/2", "train/3", "val/0", "val/1", "test/0")


def save(path: Path, values: Any, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = values if isinstance(values, Image.Image) else Image.fromarray(np.asarray(values, dtype=np.uint8))
    image.save(path, **options)


def pair(image: Path, annotation: Path, values: Any, suffix: str = ".png", **options: int) -> None:
    """An image whose colours tell the labels, and its annotation."""
    values = np.asarray(values)
    save(image.with_name(image.name + suffix), COLOURS[values % 4])
    save(annotation.with_name(annotation.name + ".png"), values)


def scene(number: int) -> Any:
    """Labels of 20 x 24 pixels: class 0 all over, class 1 in most, class 2 in one, class 3 in none; some ignored."""
    values = np.zeros((20, 24), dtype=np.uint8)
    values[: 4 + number, 10:] = 1 if number != 3 else 0
    values[-3:, :3] = 2 if number == 2 else 0
    values[8:10, : number + 1] = 255
    return values


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A set with five training images."""
    root = tmp_path / "set"
    for number, name in enumerate(TREE):
        pair(root / "images" / name, root / "annotations" / name, scene(number % 5))
    (root / "classes.txt").write_text("sky\nroad\ncar \nbird\n\n")
    return root


def naive(data: SegmentationData, name: str) -> tuple[list[int], list[int], list[tuple[int, int]]]:
    """Pixels and images of each class of a split, and its pairs of (row, class), by loops."""
    pixels, images, pairs = [0] * len(data.classes), [0] * len(data.classes), []
    for row in range(len(data.parts[name])):
        labels = data.annotation(name, row)
        for c in range(len(data.classes)):
            number = sum(int(value) == c for value in labels.flat)
            pixels[c] += number
            if number:
                images[c] += 1
                pairs.append((row, c))
    return pixels, images, pairs


def test_a_class_that_training_lacks_is_told_with_where_it_is(root: Path, log: pytest.LogCaptureFixture) -> None:
    birds = scene(0)
    birds[0, 0] = 3
    for split in ("val", "test"):
        pair(root / "images" / split / "bird", root / "annotations" / split / "bird", birds)
    data = SegmentationFolder(root, **OPTIONS)
    _ = data.splits
    assert sum(int((data.annotation("train", row) == 3).sum()) for row in range(len(data.parts["train"]))) == 0
    message = "1 of 4 classes have no training pixel and will not be found: bird (in val and test alone)"
    assert message in [record.message for record in log.records]


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_value_that_is_no_class_is_found_before_training(split: str, root: Path) -> None:
    values = scene(0)
    values[0, 0] = 9
    pair(root / "images" / split / "odd", root / "annotations" / split / "odd", values)
    with pytest.raises(InputError, match=r"odd\.png: has the label 9, beyond the 4 classes, and ignore_index is 255"):
        _ = SegmentationFolder(root, **OPTIONS).splits


def test_a_folder_is_read_and_counted(root: Path, log: pytest.LogCaptureFixture) -> None:
    data = SegmentationFolder(root, **OPTIONS)
    assert data.classes == ["sky", "road", "car", "bird"]
    names = [Path(path).relative_to(root / "images").as_posix() for path in data.parts["train"].images]
    assert names == ["train/2.png", "train/3.png", "train/a/0.png", "train/a/1.png", "train/b/0.png"]
    for name in ("train", "val", "test"):
        pixels, images, pairs = naive(data, name)
        split, part = data.split(name), data.parts[name]
        assert split is not None
        assert split.owners is not None
        assert list(zip(split.owners.tolist(), split.targets.tolist(), strict=True)) == pairs
        assert part.pixels.per_class(4).tolist() == pixels
        assert part.pixels.sizes.tolist() == [[24, 20]] * len(part)
        ignored = [int((data.annotation(name, row) == 255).sum()) for row in range(len(part))]
        assert part.pixels.ignored.tolist() == ignored
        assert (part.pixels.labelled() == 480 - np.array(ignored)).all()
        for c in range(4):
            counts = {row: int((data.annotation(name, row) == c).sum()) for row in range(len(part))}
            order = sorted((row for row in counts if counts[row]), key=lambda row: -counts[row])
            assert part.pixels.most(c, 2) == order[:2]
        if name == "train":
            assert (data.pixel_counts, data.group_counts, data.image_counts) == (pixels, pixels, images)
            assert images == [5, 4, 1, 0]
            assert all(isinstance(count, int) for count in data.pixel_counts)
    messages = "\n".join(record.message for record in log.records)
    assert f"counted the pixels of 5 annotations (train): {sum(data.pixel_counts):,} labelled" in messages
    assert "1 of 4 classes have no training pixel and will not be found: bird" in messages
    assert np.array_equal(data.picture("val", 1), Image.open(root / "images" / "val" / "1.png"))
    assert data.source == str(root)


def test_pixels_are_never_given_as_images(root: Path) -> None:
    """What a run of segmentation keeps of its classes are pixels, and a set that is evaluated has none of its own."""
    first = SegmentationFolder(root, **OPTIONS)
    record = SplitRecord.of(first)
    assert record is not None
    evaluation, rerun = SegmentationFolder(root, **OPTIONS), SegmentationFolder(root, **OPTIONS)
    evaluation.only_evaluate("test", record.trained)
    assert evaluation.label_counts == evaluation.group_counts == evaluation.pixel_counts == first.pixel_counts
    with pytest.raises(InputError, match="has kept the training pixels of each class, not its images"):
        _ = evaluation.image_counts
    rerun.keep_splits(record, measured_alone=True)
    assert (rerun.pixel_counts, rerun.image_counts) == (first.pixel_counts, [5, 4, 1, 0])


@pytest.mark.parametrize(
    ("names", "lengths"),
    [
        ({"train": "training", "val": "validation", "test": "testing"}, [5, 2, 1]),
        ({"val": "valid"}, [5, 2, 1]),
        ({"val": "train/c", "test": "train/d"}, [7, 1, None]),
        ({"train": "x", "val": "y", "test": "z"}, [7, 1, None]),
    ],
    ids=["long", "valid", "train alone", "flat"],
)
def test_layouts(root: Path, names: dict[str, str], lengths: list[int | None]) -> None:
    for kind in ("images", "annotations"):
        for old, new in names.items():
            (root / kind / old).rename(root / kind / new)
    data = SegmentationFolder(root, **OPTIONS)
    assert [None if data.split(name) is None else len(data.parts[name]) for name in ("train", "val", "test")] == lengths


def test_validation_images_are_held_out(root: Path) -> None:
    for kind in ("images", "annotations"):
        (root / kind / "val").rename(root / kind / "train" / "c")
    data = SegmentationFolder(root, val_fraction=0.4, **OPTIONS)
    train, val = (set(data.parts[name].images) for name in ("train", "val"))
    assert (len(train), len(val), len(train | val)) == (4, 3, 7)
    assert naive(data, "train")[0] == data.pixel_counts
    rerun = SegmentationFolder(root, val_fraction=0.4, **OPTIONS)
    rerun.seed += 1
    assert set(rerun.parts["val"].images) == val, "whatever the seed of the run"
    assert len({*SegmentationFolder(root, val_fraction=0.4, split_seed=1, **OPTIONS).parts["val"].images} - val) > 0
    assert SegmentationFolder(root, val_fraction=0, **OPTIONS).splits.val is None


def replace(name: str, values: Any, **options: Any) -> Callable[[Path], None]:
    return lambda root: save(root / name, values, **options)


def content(name: str, text: bytes) -> Callable[[Path], None]:
    return lambda root: (root / name).write_bytes(text) and None


def truncate(name: str) -> Callable[[Path], None]:
    return lambda root: content(name, (root / name).read_bytes()[:-30])(root)


def remove(name: str) -> Callable[[Path], None]:
    return lambda root: (root / name).unlink()


def link(name: str) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        (root / name).unlink()
        (root / name).symlink_to(root / "nowhere")

    return make


MASK, IMAGE = "annotations/train/a/1.png", "images/train/a/1.png"
BAD_PAIRS = {
    "no annotation": (remove(MASK), r"images/train/a/1\.png: has no annotation in .*annotations/train"),
    "no image": (remove(IMAGE), r"annotations/train/a/1\.png: has no image in .*images/train"),
    "two images": (replace("images/train/a/1.jpg", np.zeros((20, 24, 3))), r"1\.png: has the same name as .*1\.jpg"),
    "cut image": (truncate(IMAGE), r"images/train/a/1\.png: cannot be decoded"),
    "empty image": (content(IMAGE, b""), r"images/train/a/1\.png: empty file"),
    "broken link": (link(IMAGE), r"images/train/a/1\.png: no such file"),
    "cut mask": (truncate(MASK), r"annotations/train/a/1\.png: cannot be decoded"),
    "empty mask": (content(MASK, b""), r"annotations/train/a/1\.png: not a PNG image"),
    "JPEG mask": (replace(MASK, scene(1), format="JPEG"), r"annotations/train/a/1\.png: not a PNG image"),
    "broken mask link": (link(MASK), r"annotations/train/a/1\.png: no such file"),
    "colour mask": (replace(MASK, COLOURS[scene(1) % 4]), r"is a colour picture, not class indices"),
    "grey and alpha": (replace(MASK, Image.new("LA", (24, 20))), r"is a colour picture, not class indices"),
    "16 bits": (replace(MASK, Image.fromarray(np.full((20, 24), 300, np.uint16))), r"has the value 300"),
    "other size": (replace(MASK, np.zeros((24, 20))), r"1\.png: is 20 x 24 pixels, and .*images.* is 24 x 20"),
    "unknown label": (
        replace(MASK, np.full((20, 24), 4)),
        r"1\.png: has the label 4, beyond the 4 classes, and ignore_index is 255",
    ),
    "unknown labels": (replace(MASK, np.arange(480).reshape(20, 24) % 250), r"label 4, 5, 6 and 243 more, beyond"),
    "reserved label": (replace(MASK, np.full((20, 24), 254)), r"has the label 254, beyond the 4 classes"),
    "all ignored": (replace(MASK, np.full((20, 24), 255)), r"annotations/train/a/1\.png: no pixel has a class"),
}


@pytest.mark.parametrize(("spoil", "message"), BAD_PAIRS.values(), ids=BAD_PAIRS.keys())
def test_bad_files_are_refused_or_left_out(
    spoil: Callable[[Path], None], message: str, root: Path, log: pytest.LogCaptureFixture
) -> None:
    spoil(root)
    with pytest.raises(InputError, match=message) as error:
        SegmentationFolder(root, **OPTIONS).setup("fit")
    assert "\n" not in str(error.value)
    assert str(error.value).endswith("repair or remove it, or leave such files out by --skip-bad-images")
    for _ in range(2):  # counted, then from the cache
        log.clear()
        data = SegmentationFolder(root, skip_bad_images=True, **OPTIONS)
        pixels, images, _ = naive(data, "train")
        assert (data.pixel_counts, data.image_counts) == (pixels, images)
        assert len(data.parts["train"]) == (5 if "same name" in message else 4)
        messages = [record.message for record in log.records if "left out" in record.message]
        assert len(messages) == 1
        assert messages[0].startswith("left out 1 train file that cannot be used: ")


def test_several_bad_files_are_one_line(root: Path) -> None:
    for name in ("2", "3", "b/0"):
        content(f"images/train/{name}.png", b"text")(root)
    with pytest.raises(InputError, match=r"2\.png: not an image in a known format .* \(and 2 more bad files\); repair"):
        SegmentationFolder(root, **OPTIONS).setup("fit")
    for name in ("a/0", "a/1"):
        remove(f"images/train/{name}.png")(root)
    with pytest.raises(InputError, match="no train image can be used, such as"):
        SegmentationFolder(root, skip_bad_images=True, **OPTIONS).setup("fit")


def rename(old: str, new: str) -> Callable[[Path], None]:
    return lambda root: (root / old).rename(root / new) and None


BAD_SETS = {
    "no folder": (lambda root: root.rename(root.parent / "other"), {}, r"^no folder at .*set$"),
    "no images": (rename("images", "pictures"), {}, r"^no folder at .*images$"),
    "no annotations": (rename("annotations", "pngs"), {}, r"^no folder at .*annotations$"),
    "no train": (rename("images/train", "images/x"), {}, r"annotations/train has no counterpart in .*images"),
    "no val": (rename("annotations/val", "annotations/x"), {}, r"images/val has no counterpart in .*annotations"),
    "two vals": (lambda root: (root / "images/valid").mkdir(), {}, r"images/val and .*images/valid both stand for val"),
    "no classes": (remove("classes.txt"), {}, r"classes\.txt: no such file.*it has the names of the classes"),
    "other classes": (lambda root: None, {"classes": Path("none.txt")}, r"none\.txt: no such file"),
    "not text": (content("classes.txt", b"\xff\xfe\xfa"), {}, r"classes\.txt: not text in UTF-8"),
    "empty classes": (content("classes.txt", b"\n \n"), {}, r"has 0 class names, and needs at least two"),
    "a blank line": (content("classes.txt", b"a\n\nb\n"), {}, r"classes\.txt, line 2: a class without a name"),
    "one class": (content("classes.txt", b"sky\n"), {}, r"has 1 class names, and needs at least two"),
    "same names": (content("classes.txt", b"a\nb\na\n"), {}, r"the class names a come more than once"),
    "many classes": (content("classes.txt", "\n".join(map(str, range(255))).encode()), {}, r"255 class names; .* 254"),
    "ignore_index": (lambda root: None, {"ignore_index": 256}, r"ignore_index is a value of a pixel"),
    "val_fraction": (lambda root: None, {"val_fraction": 1.0}, r"val_fraction must be in \[0, 1\)"),
    "image_size": (lambda root: None, {"image_size": 0}, r"image_size must be at least 1 pixel"),
    "batch_size": (lambda root: None, {"batch_size": 6}, r"batch_size 6 is larger than the training set of 5 images"),
}


@pytest.mark.parametrize(("spoil", "options", "message"), BAD_SETS.values(), ids=BAD_SETS.keys())
def test_bad_sets_are_refused(spoil: Callable[[Path], None], options: dict[str, Any], message: str, root: Path) -> None:
    spoil(root)
    with pytest.raises(InputError, match=message) as error:
        SegmentationFolder(root, **{**OPTIONS, **options}).setup("fit")
    assert "\n" not in str(error.value)


def test_empty_folders_and_too_few_images_are_refused(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("a\nb")
    for kind in ("images", "annotations"):
        (tmp_path / kind / "val").mkdir(parents=True)
    with pytest.raises(InputError, match="images has no train folder"):
        SegmentationFolder(tmp_path, **OPTIONS).setup("fit")
    for kind in ("images", "annotations"):
        (tmp_path / kind / "val").rename(tmp_path / kind / "train")
    with pytest.raises(InputError, match="train has no image file"):
        SegmentationFolder(tmp_path, **OPTIONS).setup("fit")
    save(tmp_path / "images" / "train" / "0.png", COLOURS[scene(0) % 4])
    with pytest.raises(InputError, match=r"train has no \.png file"):
        SegmentationFolder(tmp_path, **OPTIONS).setup("fit")
    save(tmp_path / "annotations" / "train" / "0.png", scene(0))
    with pytest.raises(InputError, match="too few images to hold out"):
        SegmentationFolder(tmp_path, **OPTIONS).setup("fit")


def test_splits_without_a_labelled_pixel(root: Path, log: pytest.LogCaptureFixture) -> None:
    save(root / "annotations" / "val" / "0.png", np.full((20, 24), 255))
    assert len(SegmentationFolder(root, **OPTIONS).parts["val"]) == 2, "one such image counts nothing"
    save(root / "annotations" / "test" / "0.png", np.full((20, 24), 255))
    assert SegmentationFolder(root, **OPTIONS).splits.test is None
    assert any("so there is no test split" in record.message for record in log.records)
    save(root / "annotations" / "val" / "1.png", np.full((20, 24), 255))
    with pytest.raises(InputError, match="no pixel of the val images has a class"):
        SegmentationFolder(root, **OPTIONS).setup("fit")


def palette(values: Any, bits: int) -> tuple[Image.Image, dict[str, Any]]:
    image = Image.fromarray(np.asarray(values, dtype=np.uint8)).convert("P")
    image.putdata(np.asarray(values).flatten().tolist())
    image.putpalette([value for i in range(256) for value in (255 - i, 7, i // 2)])
    return image, {"bits": bits}


def grey(values: Any, bits: int) -> bytes:
    """A grey PNG of 2 or 4 bits, which Pillow reads and does not write: of a palette's PNG, the kind changed."""
    file = io.BytesIO()
    image, options = palette(values, bits)
    image.save(file, "PNG", **options)
    data, output, chunks = file.getvalue(), b"", 8
    while chunks < len(data):
        length = int.from_bytes(data[chunks : chunks + 4], "big")
        kind, body = data[chunks + 4 : chunks + 8], data[chunks + 8 : chunks + 8 + length]
        if kind == b"IHDR":
            body = body[:9] + b"\0" + body[10:]
        if kind != b"PLTE":
            output += length.to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")
        chunks += 12 + length
    return data[:8] + output


def test_every_kind_of_index_png_is_read(root: Path) -> None:
    values = (np.arange(480).reshape(20, 24) // 7) % 4
    path = root / MASK
    remainders = values % 2
    kinds: dict[str, tuple[Any, Any, dict[str, Any]]] = {
        "8 bits": (values, values, {}),
        "16 bits": (values, Image.fromarray(values.astype(np.uint16)), {}),
        "1 bit": (remainders, Image.fromarray(remainders.astype(bool)), {}),
        **{f"palette, {bits} bits": (values, *palette(values, bits)) for bits in (2, 4, 8)},
        "palette, 1 bit": (remainders, *palette(remainders, 1)),
        "transparent palette": (values, palette(values, 8)[0], {"transparency": 1}),
    }
    for kind, (expected, image, options) in kinds.items():
        save(path, image, **options)
        data = SegmentationFolder(root, **OPTIONS)
        row = data.parts["train"].annotations.index(str(path))
        assert np.array_equal(data.annotation("train", row), expected), kind
        counts = data.parts["train"].pixels.subset(np.array([row])).per_class(4)
        assert counts.tolist() == [(expected == c).sum() for c in range(4)], kind
    for bits in (2, 4):
        path.write_bytes(grey(values, bits))
        with Image.open(path) as image:
            assert image.mode == "L"
        data = SegmentationFolder(root, **OPTIONS)
        assert np.array_equal(data.annotation("train", row), values), f"grey, {bits} bits"


def test_the_ignored_value_can_be_another(root: Path) -> None:
    for path in (root / "annotations").rglob("*.png"):
        values = np.array(Image.open(path))
        save(path, np.where(values == 255, 9, values))
    with pytest.raises(InputError, match=r"has the label 9, .* ignore_index is 255"):
        SegmentationFolder(root, **OPTIONS).setup("fit")
    data = SegmentationFolder(root, ignore_index=9, **OPTIONS)
    assert data.parts["train"].pixels.ignored.tolist() == [2 * n for n in (4, 5, 1, 2, 3)]
    assert (data.annotation("train", 2) == 255).sum() == 2
    assert SegmentationFolder(root, ignore_index=9, **OPTIONS).input["ignore_index"] == 255


def test_images_turned_by_their_metadata_fit_the_mask_as_they_are_seen(root: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    for suffix in (".png", ".jpg", ".tif"):
        (root / IMAGE).unlink(missing_ok=True)
        path = (root / IMAGE).with_suffix(suffix)
        save(path, np.zeros((24, 20, 3)), exif=exif)
        assert len(SegmentationFolder(root, **OPTIONS).splits.train) == 5, suffix
        save(path, np.zeros((20, 24, 3)), exif=exif)
        with pytest.raises(InputError, match=r"is 24 x 20 pixels, and .* is 20 x 24"):
            SegmentationFolder(root, **OPTIONS).setup("fit")
        path.unlink()


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The annotations that are counted, as it happens."""
    paths: list[str] = []
    real = IndexLabels.read
    monkeypatch.setattr(IndexLabels, "read", lambda *args: (paths.append(args[2]), real(*args))[1])
    return paths


def open_set(root: Path, **options: Any) -> SegmentationFolder:
    data = SegmentationFolder(root, **{**OPTIONS, **options})
    data.setup("fit")
    return data


def test_counts_are_kept_until_anything_changes(root: Path, reads: list[str]) -> None:
    first = open_set(root)
    assert len(reads) == 8
    names = sorted(path.name for path in (root / ".longtail").iterdir())
    assert [name.rsplit("-", 1)[0] for name in names] == ["pixels-test", "pixels-train", "pixels-val"]
    assert open_set(root).pixel_counts == first.pixel_counts
    assert len(reads) == 8

    os.utime(root / MASK, ns=(1, 1))
    open_set(root)
    assert len(reads) == 8 + 5, "a file was touched, which concerns its split alone"
    save(root / IMAGE, np.zeros((20, 24, 3)))
    open_set(root)
    assert len(reads) == 8 + 10, "an image was replaced"
    pair(root / "images/train/new", root / "annotations/train/new", scene(1))
    assert sum(open_set(root).pixel_counts) > sum(first.pixel_counts)
    assert len(reads) == 8 + 16, "a pair was added"
    (root / "classes.txt").write_text("sky\nroad\ncar\nfish\n")
    open_set(root)
    assert len(reads) == 8 + 16 + 9, "a class has another name"
    with pytest.raises(InputError, match="has the label 255"):
        open_set(root, ignore_index=2)
    assert len(reads) == 8 + 16 + 9 + 6, "other labels count"
    assert len(list((root / ".longtail").iterdir())) == 3, "old counts are removed"


@pytest.mark.parametrize(
    "damage",
    [
        lambda old: b"",
        lambda old: old[:-40],
        lambda old: old[:90] + bytes(byte ^ 255 for byte in old[90:99]) + old[99:],
    ],
)
def test_damaged_counts_are_made_anew(damage: Callable[[bytes], bytes], root: Path, reads: list[str]) -> None:
    expected = open_set(root).pixel_counts
    (file,) = (root / ".longtail").glob("pixels-train-*.npz")
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert open_set(root).pixel_counts == expected
    assert len(reads) == 8 + 5
    open_set(root)
    assert len(reads) == 8 + 5, "and written again"


def test_counts_of_another_shape_are_made_anew(root: Path, reads: list[str]) -> None:
    expected = open_set(root).pixel_counts
    (file,) = (root / ".longtail").glob("pixels-train-*.npz")
    with np.load(file) as archive:
        arrays = dict(archive)
    for name, change in (
        ("sizes", lambda array: array[1:]),
        ("labels", lambda array: array + 4),
        ("owners", lambda array: array + 5),
        ("pixels", lambda array: array[:-1]),
    ):
        np.savez(file, **{**arrays, name: change(arrays[name])})
        reads.clear()
        assert open_set(root).pixel_counts == expected
        assert len(reads) == 5, name


def test_a_folder_that_cannot_be_written_is_told_once_for_each_split(
    root: Path, reads: list[str], log: pytest.LogCaptureFixture
) -> None:
    (root / ".longtail").write_text("a file in the way")
    expected = open_set(root).pixel_counts
    assert open_set(root).pixel_counts == expected
    assert len(reads) == 16
    messages = {record.message for record in log.records if "cannot be written" in record.message}
    assert len(messages) == 1
    assert messages.pop().endswith("so nothing is kept for next time")


def test_what_is_kept_is_written_whole(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(file: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        open_set(root)
    assert list((root / ".longtail").iterdir()) == []


def test_camvid_has_two_layouts(tmp_path: Path) -> None:
    values = np.arange(20).reshape(4, 5) % 12
    for split in ("train", "val", "test"):
        for number in range(3):
            pair(tmp_path / "a" / split / f"{number}", tmp_path / "a" / f"{split}annot" / f"{number}", values)
            labels = np.where(values == 11, 255, values)
            folders = (tmp_path / "b" / kind / split / f"{number}" for kind in ("images", "annotations"))
            pair(*folders, labels)
    for root in (tmp_path / "a", tmp_path / "b"):
        data = CamVid(root, **OPTIONS)
        assert len(data.classes) == 11
        assert data.classes[8:] == ["Car", "Pedestrian", "Bicyclist"]
        assert [len(data.parts[name]) for name in ("train", "val", "test")] == [3, 3, 3]
        assert np.array_equal(data.annotation("test", 2), np.where(values == 11, 255, values))
        assert data.pixel_counts == [3 * int((values == c).sum()) for c in range(11)]
    (tmp_path / "c").mkdir()
    with pytest.raises(InputError, match=r"neither images/ and annotations/ nor train/ and trainannot/"):
        CamVid(tmp_path / "c", **OPTIONS).setup("fit")


def write_info(root: Path, count: int = 150) -> None:
    with (root / "objectInfo150.txt").open("w", newline="") as file:
        writer = csv.writer(file, delimiter="\t")
        writer.writerow(["Idx", "Ratio", "Train", "Val", "Stuff", "Name"])
        writer.writerows([i + 1, 0.1, 9, 1, 0, f"thing {i}, object"] for i in range(count))


def test_ade20k(tmp_path: Path) -> None:
    values = (np.arange(208).reshape(13, 16)) % 151
    for split, count in (("training", 4), ("validation", 2)):
        for number in range(count):
            folders = (tmp_path / kind / split / f"ADE_{number}" for kind in ("images", "annotations"))
            pair(*folders, values)
    with pytest.raises(InputError, match=r"objectInfo150\.txt: no such file"):
        ADE20K(tmp_path, **OPTIONS).setup("fit")
    write_info(tmp_path, 149)
    with pytest.raises(InputError, match=r"objectInfo150\.txt: has no 150 names in a column Name"):
        ADE20K(tmp_path, **OPTIONS).setup("fit")
    write_info(tmp_path)
    data = ADE20K(tmp_path, **OPTIONS)
    assert (len(data.classes), data.classes[2]) == (150, "thing 2, object")
    expected = np.array([[255 if value == 0 else value - 1 for value in line] for line in values.tolist()])
    assert np.array_equal(data.annotation("val", 1), expected)
    assert data.pixel_counts == [4 * int((expected == c).sum()) for c in range(150)]
    assert [len(data.parts["train"]), len(data.parts["val"]), data.splits.test] == [4, 2, None]

    data = ADE20K(tmp_path, val_as_test=True, val_fraction=0.25, **OPTIONS)
    assert {name: len(part) for name, part in data.parts.items()} == {"train": 3, "val": 1, "test": 2}
    assert all("validation" in path for path in data.parts["test"].images)
    assert all("training" in path for path in data.parts["val"].images)

    save(tmp_path / "annotations" / "training" / "ADE_1.png", np.full((13, 16), 151))
    with pytest.raises(InputError, match=r"has the label 151, beyond the 150 classes, and ignore_index is 0"):
        ADE20K(tmp_path, **OPTIONS).setup("fit")
    for kind in ("images", "annotations"):
        (tmp_path / kind / "validation").rename(tmp_path / kind / "other")
    with pytest.raises(InputError, match=r"no validation images: leave out --data\.val_as_test"):
        ADE20K(tmp_path, val_as_test=True, **OPTIONS).setup("fit")


# id and train id of the evaluated classes, from the benchmark's list of labels
TRAIN_IDS = dict(
    zip((7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33), range(19), strict=True)
)


def write_cityscapes(root: Path, kind: str, values: Any, test: Any) -> None:
    for split, count in (("train", 4), ("val", 2), ("test", 1)):
        for number in range(count):
            name = f"{split}/ulm/ulm_00000{number}_000019"
            labels = test if split == "test" else values
            pair(root / "leftImg8bit" / f"{name}_leftImg8bit", root / "gtFine" / f"{name}_gtFine_{kind}", labels)
            save(root / "gtFine" / f"{name}_gtFine_color.png", COLOURS[np.asarray(labels) % 4])
            save(root / "gtFine" / f"{name}_gtFine_instanceIds.png", labels)


def test_cityscapes(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    values = np.arange(36).reshape(6, 6)
    values[values >= 34] = 255  # of licence plates
    write_cityscapes(tmp_path, "labelIds", values, np.full((6, 6), 3))
    data = Cityscapes(tmp_path, **OPTIONS)
    assert (len(data.classes), data.classes[0], data.classes[11], data.classes[18]) == (
        19,
        "road",
        "person",
        "bicycle",
    )
    expected = np.array([[TRAIN_IDS.get(value, 255) for value in line] for line in values.tolist()])
    assert np.array_equal(data.annotation("train", 0), expected)
    assert data.pixel_counts == [4] * 19
    assert [len(data.parts["train"]), len(data.parts["val"]), data.splits.test] == [4, 2, None]
    assert any("there is no test split" in record.message for record in log.records)
    data = Cityscapes(tmp_path, val_as_test=True, val_fraction=0.25, **OPTIONS)
    assert {name: len(part) for name, part in data.parts.items()} == {"train": 3, "val": 1, "test": 2}

    for annotation in (tmp_path / "gtFine" / "test").rglob("*_labelIds.png"):
        save(annotation, values)
    assert len(Cityscapes(tmp_path, **OPTIONS).parts["test"]) == 1, "with annotations it is one"
    save(annotation, np.full((6, 6), 40))
    with pytest.raises(InputError, match="has the label 40, beyond the 19 classes"):
        Cityscapes(tmp_path, **OPTIONS).setup("fit")


def test_cityscapes_by_train_ids(tmp_path: Path) -> None:
    values = np.arange(36).reshape(6, 6)
    values[values >= 19] = 255
    write_cityscapes(tmp_path, "labelTrainIds", values, np.full((6, 6), 255))
    data = Cityscapes(tmp_path, **OPTIONS)
    assert np.array_equal(data.annotation("val", 1), values)
    assert data.pixel_counts == [4] * 19
    (tmp_path / "leftImg8bit" / "train").rename(tmp_path / "leftImg8bit" / "other")
    with pytest.raises(InputError, match="has no leftImg8bit/train"):
        Cityscapes(tmp_path, **OPTIONS).setup("fit")


def test_training_batches(root: Path) -> None:
    data = SegmentationFolder(root, **{**OPTIONS, "view": ScaleCropFlip((12, 18)), "batch_size": 2})
    batches = list(data.train_dataloader())
    assert [len(batch["targets"]) for batch in batches] == [2, 2], "no batch of a single image"
    for batch in batches:
        assert batch.keys() == {"images", "targets", "rows"}
        assert (batch["images"].shape, batch["images"].dtype) == ((2, 3, 12, 18), torch.uint8)
        assert (batch["targets"].shape, batch["targets"].dtype) == ((2, 12, 18), torch.uint8)
        assert (batch["rows"].shape, batch["rows"].dtype) == ((2,), torch.int64)
        after = data.on_after_batch_transfer(dict(batch), 0)
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (data.normalise.mean, data.normalise.std))
        assert torch.allclose(after["images"], (batch["images"] / 255 - mean) / std, atol=1e-5)
        assert (after["images"].dtype, after["targets"].dtype) == (torch.float32, torch.int64)
        assert torch.equal(after["targets"], batch["targets"].long())
        assert torch.equal(after["rows"], batch["rows"])


def test_evaluation_measures_at_the_size_of_the_annotation(root: Path) -> None:
    wide = (np.arange(40 * 60).reshape(40, 60) // 100) % 3
    pair(root / "images/val/2", root / "annotations/val/2", wide)
    data = SegmentationFolder(root, image_size=10, **{**OPTIONS, "batch_size": 3})
    assert data.input == {
        "size": 10,
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
        "ignore_index": 255,
    }
    (batch,) = data.val_dataloader()
    assert [tuple(image.shape) for image in batch["images"]] == [(3, 10, 12), (3, 10, 12), (3, 10, 15)]
    assert [tuple(target.shape) for target in batch["targets"]] == [(20, 24), (20, 24), (40, 60)]
    assert (len(batch["targets"]), batch["rows"].tolist()) == (3, [0, 1, 2])
    after = data.on_after_batch_transfer(dict(batch), 0)
    assert all(image.dtype == torch.float32 and image.ndim == 3 for image in after["images"])
    assert all(target.dtype == torch.int64 for target in after["targets"])
    assert np.array_equal(after["targets"][2], wide)
    plain = SegmentationFolder(root, **{**OPTIONS, "batch_size": 3})
    assert "size" not in plain.input
    (batch,) = plain.val_dataloader()
    assert np.array_equal(batch["images"][2].permute(1, 2, 0), plain.picture("val", 2))
    larger = SegmentationFolder(root, image_size=100, **{**OPTIONS, "batch_size": 3})
    (batch,) = larger.val_dataloader()
    assert batch["images"][2].shape == (3, 40, 60), "never enlarged"


@pytest.mark.parametrize("size", [(250, 333), (512, 384), (601, 401), (64, 999)])
def test_a_jpeg_decoded_at_a_reduced_size_fits_its_mask(size: tuple[int, int], root: Path) -> None:
    width, height = size
    values = np.zeros((height, width), dtype=np.uint8)
    values[: height // 2, : width // 2] = 1
    pair(root / "images/val/2", root / "annotations/val/2", values, ".jpg")
    data = SegmentationFolder(root, image_size=40, **OPTIONS)
    image = data.parts["val"].images.index(str(root / "images/val/2.jpg"))
    split = data.splits.val
    assert split is not None
    picture = split.images[image, 0]["image"]
    assert min(picture.shape[1:]) == 40
    assert max(picture.shape[1:]) == pytest.approx(40 * max(size) / min(size), abs=2)
    greener = picture[1].int() > picture[0].int()
    assert abs(int(greener[2].sum()) - picture.shape[2] / 2) <= 1
    assert abs(int(greener[:, 2].sum()) - picture.shape[1] / 2) <= 1


def test_masks_of_training_are_resized_with_their_images(root: Path) -> None:
    view = ScaleCropFlip((20, 24), (1, 1), flip=0, max_share=1)
    small = SegmentationFolder(root, image_size=10, **{**OPTIONS, "view": view}).splits.train.images
    for row in range(5):
        sample = small[row, 7]
        labels = sample["target"]
        annotation = SegmentationFolder(root, **OPTIONS).annotation("train", row)
        assert 100 <= int((labels != 255).sum()) <= 120
        assert set(labels.unique().tolist()) <= set(np.unique(annotation).tolist()) | {255}


@pytest.mark.parametrize("workers", [1, 2])
def test_draws_depend_on_the_seed_alone(workers: int, root: Path) -> None:
    def batches(num_workers: int, seed: int) -> list[dict[str, torch.Tensor]]:
        data = SegmentationFolder(root, **{**OPTIONS, "num_workers": num_workers})
        data.seed = seed
        return list(data.train_dataloader())

    first, rerun, variant = batches(0, 1), batches(workers, 1), batches(0, 2)
    for batch, copy in zip(first, rerun, strict=True):
        assert all(torch.equal(batch[name], copy[name]) for name in ("images", "targets", "rows"))
    assert any(not torch.equal(batch["images"], copy["images"]) for batch, copy in zip(first, variant, strict=True))


def test_an_epoch_goes_on_at_the_next_batch(root: Path) -> None:
    def loader() -> Any:
        data = SegmentationFolder(root, **OPTIONS)
        data.seed = 5
        return data.train_dataloader()

    whole, first, rerun = list(loader()), loader(), loader()
    next(iter(first))
    rerun.load_state_dict(first.state_dict())
    (rest,) = rerun
    assert torch.equal(rest["images"], whole[1]["images"])
    assert torch.equal(rest["targets"], whole[1]["targets"])


def shares(data: SegmentationData, sampling: Sampling) -> np.ndarray[Any, Any]:
    """How often each image is drawn in an epoch, on average."""
    data.seed = 0
    batches, counts = data.batches("train"), np.zeros(5)
    for epoch in range(600):
        batches.set_epoch(epoch)
        for ((row, _),) in batches:
            counts[row] += 1
    return counts / 600


def test_images_are_drawn_by_the_classes_in_them(root: Path) -> None:
    """Class 2 is in the last of five images alone; class 1 in all but the first."""
    options = {**OPTIONS, "batch_size": 1}

    def frequencies(sampling: Sampling) -> Any:
        data = SegmentationFolder(root, sampling=sampling, **options)
        difficulty = ClassDifficulty(4, tau=1)
        difficulty.update([1.0, 0.75, 0.25, 0.0])
        data.difficulty = difficulty
        return shares(data, sampling)

    labels = SegmentationFolder(root, **options).splits.train.labels
    assert (labels.size, labels.images is not None) == (5, True)
    assert np.abs(frequencies(RepeatFactorSampling(0.8)) - [1, 1, 1, 1, (0.8 / 0.2) ** 0.5]).max() < 0.1
    # Images belong to their hardest class: class 2 the last, class 1 three, class 0 the first.
    by_difficulty = np.array([0, 0.25 / 3, 0.25 / 3, 0.25 / 3, 0.75])
    assert np.abs(frequencies(DifficultySampling()) - 5 * by_difficulty).max() < 0.15
    by_class = np.array([1 / 5, 1 / 5 + 1 / 4, 1 / 5 + 1 / 4, 1 / 5 + 1 / 4, 1 / 5 + 1 / 4 + 1]) / 3
    assert np.abs(frequencies(PowerSampling(0)) - 5 * by_class).max() < 0.15
