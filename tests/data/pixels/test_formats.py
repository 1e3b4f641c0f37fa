"""Sets for segmentation as the tools that people annotate with write them: masks of all kinds, and shapes."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from longtail.augment.pixels import ScaleCropFlip
from longtail.cli.data import data_options
from longtail.data.pixels.base import SegmentationData
from longtail.data.pixels.folder import SegmentationFolder
from longtail.data.pixels.polygons import PolygonFolder
from longtail.errors import InputError
from longtail.files.formats.recognise import recognise

OPTIONS: dict[str, Any] = {"num_workers": 0, "batch_size": 1, "val_fraction": 0, "view": ScaleCropFlip(8)}
LABELS = np.zeros((16, 24), np.uint8)
LABELS[4:12, 6:12] = 1


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (24, 16), (90, 120, 60)).save(path)


def mask(path: Path, values: Any, mode: str | None = None, palette: list[int] | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.asarray(values, np.uint8))
    if palette is not None:
        image = image.convert("P") if image.mode != "P" else image
        image.putpalette(palette)
    (image.convert(mode) if mode else image).save(path)


def text(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def annotations(data: SegmentationData, split: str = "train") -> list[Any]:
    _ = data.splits
    return [data.annotation(split, row) for row in range(data.size(split))]


# --- Masks of 0 and 255 -----------------------------------------------------------------------------------------------


@pytest.fixture
def binary(tmp_path: Path) -> Path:
    """Masks as image editors and Label Studio's brush write them."""
    for name in "ab":
        picture(tmp_path / "images" / f"{name}.jpg")
        mask(tmp_path / "masks" / f"{name}.png", LABELS * 255)
    text(tmp_path / "classes.txt", "background\nvessel\n")
    return tmp_path


def test_a_class_that_is_ignored_by_its_value_stops_with_the_way_out(binary: Path) -> None:
    with pytest.raises(InputError) as error:
        _ = SegmentationFolder(binary, **OPTIONS).splits
    assert "no pixel is vessel, and 96 pixels have the value 255, which is ignored" in str(error.value)
    assert str(error.value).endswith('--data.values "[0, 255]"')


def test_masks_of_0_and_255(binary: Path) -> None:
    data = SegmentationFolder(binary, values=[0, 255], **OPTIONS)
    assert all(np.array_equal(annotation, LABELS) for annotation in annotations(data))
    assert data.pixel_counts == [2 * 336, 2 * 48]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"values": [0]}, "values has 1 values, and there are 2 classes"),
        ({"values": [0, 256]}, r"values are those of pixels, from 0 to 255.* got \[0, 256\]"),
        ({"values": [7, 7]}, "another for each class"),
        ({"values": [0, 128]}, r"a\.png: has the label .*beyond the 2 classes|no pixel is"),
    ],
)
def test_values_that_cannot_be(options: dict[str, Any], message: str, binary: Path) -> None:
    mask(binary / "masks" / "a.png", LABELS * 64)
    with pytest.raises(InputError, match=message):
        _ = SegmentationFolder(binary, **options, **OPTIONS).splits


def test_a_class_without_pixels_beside_others_is_told_with_what_is_ignored(
    binary: Path, log: pytest.LogCaptureFixture
) -> None:
    text(binary / "classes.txt", "background\nvessel\nlens\n")
    labels = LABELS.copy()
    labels[0, 0] = 255
    mask(binary / "masks" / "a.png", labels)
    mask(binary / "masks" / "b.png", labels)
    assert len(annotations(SegmentationFolder(binary, **OPTIONS))) == 2
    assert any("no pixel is lens, and 2 pixels have the value 255" in line for line in log.messages)


# --- Colours ----------------------------------------------------------------------------------------------------------

CVAT = "# label:color_rgb:parts:actions\nbackground:0,0,0::\nroad sign:128,64,12::\n"
CLASS_DICT = "name,r,g,b\nbackground,0,0,0\nroad sign,128,64,12\n"
CAMVID = "0 0 0\tbackground\n128 64 12\troad sign\n"
COLOURED = np.array([[0, 0, 0], [128, 64, 12]], np.uint8)


@pytest.mark.parametrize(
    ("name", "content"), [("labelmap.txt", CVAT), ("class_dict.csv", CLASS_DICT), ("label_colors.txt", CAMVID)]
)
def test_colours_of_a_table(name: str, content: str, tmp_path: Path) -> None:
    for split in ("train", "val"):
        picture(tmp_path / split / "images/1.jpg")
        mask(tmp_path / split / "masks/1.png", COLOURED[LABELS])
        picture(tmp_path / split / "images/2.jpg")
        mask(tmp_path / split / "masks/2.png", LABELS, palette=COLOURED.ravel().tolist())
        picture(tmp_path / split / "images/3.jpg")
        mask(tmp_path / split / "masks/3.png", COLOURED[LABELS], "RGBA")
    text(tmp_path / name, content)
    data = SegmentationFolder(tmp_path, **OPTIONS)
    assert data.classes == ["background", "road sign"]
    for split in ("train", "val"):
        assert [np.array_equal(annotation, LABELS) for annotation in annotations(data, split)] == [True] * 3
    path = (tmp_path / name).rename(tmp_path.parent / "table.csv")
    assert SegmentationFolder(tmp_path, colours=path, **OPTIONS).pixel_counts == data.pixel_counts


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name,r,g,b\na,0,0,0\nb,1,2\n", r"line 3: not a name and a colour: b,1,2"),
        ("a,0,0,0\nb,1,2,300\n", r"line 2: not a name and a colour"),
        ("a,0,0,0\nb,0,0,0\n", r"line 2: b has the colour of a"),
        ("name,r,g,b\n", r"has no colour of a class"),
        ("a,0,0,0\nb,1,2,3\n", r"1\.png: has the colour \(128, 64, 12\), which is not in .*class_dict\.csv"),
    ],
)
def test_bad_tables_of_colours(content: str, message: str, tmp_path: Path) -> None:
    picture(tmp_path / "images/1.jpg")
    mask(tmp_path / "masks/1.png", COLOURED[LABELS])
    text(tmp_path / "class_dict.csv", content)
    with pytest.raises(InputError, match=message):
        _ = SegmentationFolder(tmp_path, **OPTIONS).splits


# --- Pascal VOC -------------------------------------------------------------------------------------------------------

# The first colours of the palette, as the development kit lists them.
FIRST = [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0, 0, 0, 128, 128, 0, 128, 0, 128, 128, 128, 128, 128, 64, 0, 0]


def pascal_palette() -> list[int]:
    """Written as in the development kit's VOClabelcolormap."""
    colours = []
    for i in range(256):
        number, r, g, b = i, 0, 0, 0
        for j in range(8):
            r |= (number & 1) << (7 - j)
            g |= (number >> 1 & 1) << (7 - j)
            b |= (number >> 2 & 1) << (7 - j)
            number >>= 3
        colours += [r, g, b]
    return colours


def test_pascal_voc_by_its_palette(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    palette = pascal_palette()
    assert palette[: len(FIRST)] == FIRST
    values = LABELS * 15
    values[3, 6:12] = 255
    for name in ("2007_1", "2007_2", "2007_3"):
        picture(tmp_path / "JPEGImages" / f"{name}.jpg")
        mask(tmp_path / "SegmentationClass" / f"{name}.png", values, palette=palette)
    picture(tmp_path / "JPEGImages/2007_4.jpg")
    text(tmp_path / "ImageSets/Segmentation/train.txt", "2007_1\n2007_3\n")
    text(tmp_path / "ImageSets/Segmentation/val.txt", "2007_2\n")
    data = SegmentationFolder(tmp_path, **OPTIONS)
    assert (data.size("train"), data.size("val"), len(data.classes)) == (2, 1, 21)
    assert data.classes[15] == "person"
    assert all(np.array_equal(annotation, values) for annotation in annotations(data))
    assert any("palette of Pascal VOC, so the classes are its 21" in line for line in log.messages)
    text(tmp_path / "ImageSets/Segmentation/train.txt", "2007_1\n2007_9\n")
    with pytest.raises(InputError, match=r"2007_9\.jpg: is not there, and .*train\.txt names it"):
        _ = SegmentationFolder(tmp_path, **OPTIONS).splits


def test_pascal_voc_has_classes_beside_objects(tmp_path: Path) -> None:
    """As the challenge lays it out, and CVAT with images in PNG: the numbers of objects are no classes."""
    for name, suffix in (("2007_1", ".jpg"), ("a/2007_2", ".png")):
        picture(tmp_path / "JPEGImages" / f"{name}{suffix}")
        (tmp_path / "JPEGImages" / f"{name}{suffix}").parent.mkdir(exist_ok=True)
        mask(tmp_path / "SegmentationClass" / f"{name}.png", LABELS * 15, palette=pascal_palette())
        mask(tmp_path / "SegmentationObject" / f"{name}.png", LABELS * 3, palette=pascal_palette())
    text(tmp_path / "Annotations/2007_1.xml", "<annotation><object><bndbox></bndbox></object></annotation>")
    text(tmp_path / "ImageSets/Segmentation/train.txt", "2007_1\na/2007_2\n")
    data = SegmentationFolder(tmp_path, **OPTIONS)
    assert data.classes[15] == "person"
    assert all(np.array_equal(annotation, LABELS * 15) for annotation in annotations(data))
    for name in ("Annotations", "SegmentationClass"):
        shutil.rmtree(tmp_path / name)
    text(tmp_path / "classes.txt", "background\ncat\n")
    with pytest.raises(InputError, match=r"has SegmentationObject/ alone, which tells objects apart: add Segmentation"):
        _ = SegmentationFolder(tmp_path, **OPTIONS).splits


@pytest.mark.parametrize("kind", ["camvid", "camvid default", "cityscapes", "kitti"])
def test_layouts_of_benchmarks_with_own_classes(kind: str, tmp_path: Path) -> None:
    """As CVAT and Datumaro write them."""
    names = {
        "camvid": ("train/ä b.png", "trainannot/ä b.png"),
        "camvid default": ("default/Tag/ä b.png", "defaultannot/Tag/ä b.png"),
        "cityscapes": ("leftImg8bit/train/ä b_leftImg8bit.png", "gtFine/train/ä b_gtFine_color.png"),
        "kitti": ("default/image_2/ä b.png", "default/semantic_rgb/ä b.png"),
    }
    for name in names[kind]:
        colours = np.array([[0, 0, 0], [250, 50, 83]], np.uint8)[LABELS]
        mask(tmp_path / name, colours)
    if kind == "cityscapes":
        mask(tmp_path / "gtFine/train/ä b_gtFine_labelIds.png", LABELS)
    text(tmp_path / "label_colors.txt", "0 0 0 background\n250 50 83 cat\n")
    assert SegmentationFolder.located(tmp_path).data is SegmentationFolder
    assert recognise(tmp_path).data == "SegmentationFolder"
    data = SegmentationFolder(tmp_path, **OPTIONS)
    ((labels),) = annotations(data)
    assert np.array_equal(labels, LABELS)
    assert data.classes == ["background", "cat"]


def test_pascal_voc_of_datumaro_without_colours_has_those_of_the_palette(tmp_path: Path) -> None:
    picture(tmp_path / "JPEGImages/ä b.png")
    mask(tmp_path / "SegmentationClass/ä b.png", np.array([[0, 0, 0], [0, 128, 0]], np.uint8)[LABELS])
    text(tmp_path / "ImageSets/Segmentation/train.txt", "ä b\n")
    text(tmp_path / "labelmap.txt", "# label:color_rgb:parts:actions\nbackground:::\ncat:::\nred panda:::\n")
    data = SegmentationFolder(tmp_path, **OPTIONS)
    ((labels),) = annotations(data)
    assert np.array_equal(labels, 2 * LABELS)
    assert data.classes == ["background", "cat", "red panda"]


def test_masks_of_roboflow_beside_the_images(tmp_path: Path) -> None:
    for split in ("train", "valid"):
        picture(tmp_path / split / "a_jpg.rf.0f.jpg")
        mask(tmp_path / split / "a_jpg.rf.0f_mask.png", LABELS)
    text(tmp_path / "classes.txt", "background\ncat\n")
    data = SegmentationFolder(tmp_path, **OPTIONS)
    assert np.array_equal(annotations(data)[0], LABELS)
    assert data.size("val") == 1


# --- Shapes -----------------------------------------------------------------------------------------------------------

RECTANGLE = [[6, 4], [12, 4], [12, 12], [6, 12]]
OVER = [[10, 4], [14, 4], [14, 12], [10, 12]]


def shape(label: str, points: list[list[float]]) -> dict[str, Any]:
    return {"label": label, "points": points, "group_id": None, "shape_type": "polygon", "flags": {}}


def labelme(root: Path) -> None:
    picture(root / "train/1.jpg")
    shapes = [shape("cat", RECTANGLE), shape("dog", OVER), shape("__ignore__", [[0, 0], [2, 0], [2, 2], [0, 2]])]
    content = {"version": "5.0.1", "flags": {}, "shapes": shapes, "imagePath": "1.jpg", "imageData": None}
    text(root / "train/1.json", json.dumps(content | {"imageHeight": 16, "imageWidth": 24}))


def coco(root: Path) -> None:
    picture(root / "train/1.jpg")
    flat = [
        [value for point in points for value in point] for points in (RECTANGLE, OVER, [[0, 0], [2, 0], [2, 2], [0, 2]])
    ]
    entries = [
        {"id": i, "image_id": 1, "category_id": (3, 7, 3)[i], "bbox": [0, 0, 9, 9], "segmentation": [points]}
        | {"iscrowd": int(i == 2), "area": 9}
        for i, points in enumerate(flat)
    ]
    kinds = [{"id": 3, "name": "cat"}, {"id": 7, "name": "dog"}]
    images = [{"id": 1, "file_name": "1.jpg", "width": 24, "height": 16}]
    text(
        root / "annotations/instances_train.json",
        json.dumps({"images": images, "annotations": entries, "categories": kinds}),
    )


def cvat(root: Path) -> None:
    """The upper shape comes first in the file, and is drawn last."""
    picture(root / "images/1.jpg")
    points = [";".join(f"{x}.0,{y}.00" for x, y in outline) for outline in (OVER, RECTANGLE)]
    text(
        root / "annotations.xml",
        f"""<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <image id="0" name="1.jpg" width="24" height="16">
    <polygon label="dog" source="manual" occluded="0" points="{points[0]}" z_order="1">
    </polygon>
    <polygon label="cat" source="manual" occluded="0" points="{points[1]}" z_order="0">
    </polygon>
    <mask label="__ignore__" source="manual" occluded="0" rle="0, 4" left="0" top="0" width="2" height="2" z_order="2">
    </mask>
  </image>
</annotations>
""",
    )


@pytest.mark.parametrize("write", [labelme, coco, cvat])
def test_shapes_are_drawn(write: Callable[[Path], None], tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    write(tmp_path)
    expected = LABELS.copy()
    expected[4:12, 10:14] = 2
    expected[:2, :2] = 255
    options = ["--data", "longtail.data.PolygonFolder", f"--data.root={tmp_path}"]
    assert data_options(str(tmp_path), "longtail.data.SegmentationFolder") == options
    data = PolygonFolder(tmp_path, **OPTIONS)
    assert data.classes == ["background", "cat", "dog"]
    assert any("its shapes are drawn" in line for line in log.messages)
    (annotation,) = annotations(data)
    assert np.array_equal(annotation, expected)
    sample = data.splits.train.images[0, 0]
    assert sample["target"].shape == (8, 8)
    assert data.pixel_counts == np.bincount(expected.ravel(), minlength=256)[:3].tolist()
    alone = PolygonFolder(tmp_path, background=False, **OPTIONS)
    assert alone.classes == ["cat", "dog"]
    assert (annotations(alone)[0] == 255).sum() == (expected == 0).sum() + 4


def test_counts_of_shapes_are_taken_anew_when_these_change(tmp_path: Path) -> None:
    coco(tmp_path)
    first = PolygonFolder(tmp_path, **OPTIONS).pixel_counts
    file = tmp_path / "annotations/instances_train.json"
    content = json.loads(file.read_text())
    content["annotations"][1]["category_id"] = 3
    file.write_text(json.dumps(content))
    second = PolygonFolder(tmp_path, **OPTIONS).pixel_counts
    assert second == [first[0], first[1] + first[2], 0]


def test_a_group_of_shapes_is_a_field_of_their_images(tmp_path: Path) -> None:
    coco(tmp_path)
    file = tmp_path / "annotations/instances_train.json"
    content = json.loads(file.read_text())
    (only,) = content["images"]
    content["images"] = [only | {"id": i, "location": "ab"[i // 3], "file_name": f"{i}.png"} for i in range(4)]
    entry = content["annotations"][0]
    content["annotations"] = [entry | {"id": i, "image_id": i} for i in range(4)]
    file.write_text(json.dumps(content))
    for i in range(4):
        picture(tmp_path / "train" / f"{i}.png")
    options = OPTIONS | {"val_fraction": 0.25}
    data = PolygonFolder(tmp_path, group="location", **options)
    _ = data.splits
    held_out = [data.file_name("val", row) for row in range(data.size("val"))]
    assert held_out in ([f"train/{i}.png" for i in range(3)], ["train/3.png"])
    with pytest.raises(InputError, match=r"no image has a place, they have .*location"):
        _ = PolygonFolder(tmp_path, group="place", **options).splits


def test_bad_shapes_name_the_option_of_pixels(tmp_path: Path) -> None:
    coco(tmp_path)
    file = tmp_path / "annotations/instances_train.json"
    content = json.loads(file.read_text())
    content["annotations"][1]["segmentation"] = [[1, 2]]
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"annotation 1 has a polygon that.*by --skip-bad-images$"):
        _ = PolygonFolder(tmp_path, **OPTIONS).splits
    data = PolygonFolder(tmp_path, skip_bad_images=True, **OPTIONS)
    assert data.pixel_counts[2] == 0
    assert data.left_out == {("train annotation", "that cannot be used"): 1}
