"""Sets of boxes and shapes as the tools that people annotate with write them."""

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import fails
from PIL import Image

from longtail.augment.instances import MultiScale
from longtail.cli.data import data_options
from longtail.data.boxes.base import DetectionData
from longtail.data.boxes.coco import COCO
from longtail.data.boxes.other_formats import CVAT, YOLO, LabelMe, PascalVOC
from longtail.errors import InputError
from longtail.files.formats.layouts import box_readers

OPTIONS: dict[str, Any] = {"num_workers": 0, "batch_size": 1, "val_fraction": 0, "view": MultiScale([16], 32)}
BOXES = OPTIONS | {"masks": False}


def image(*paths: Path, size: tuple[int, int] = (24, 16)) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (90, 120, 60)).save(path)


def text(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode())


def boxes(data: DetectionData, split: str = "train") -> dict[str, list[tuple[str, list[float]]]]:
    """The class and the corners of each object, by the name of the image."""
    _ = data.splits
    objects = {}
    for row in range(data.size(split)):
        instances = data.instances(split, row)
        pairs = zip(instances.labels.tolist(), instances.boxes.tolist(), strict=True)
        objects[Path(data.file_name(split, row)).name] = [(data.classes[label], corners) for label, corners in pairs]
    return objects


# --- Pascal VOC -------------------------------------------------------------------------------------------------------

LABELIMG = """<annotation>
\t<folder>fotos</folder>
\t<filename>{name}</filename>
\t<path>C:\\Users\\ann\\fotos\\{name}</path>
\t<source>
\t\t<database>Unknown</database>
\t</source>
\t<size>
\t\t<width>{width}</width>
\t\t<height>{height}</height>
\t\t<depth>3</depth>
\t</size>
\t<segmented>0</segmented>
{objects}</annotation>
"""


def voc_object(name: str, x1: float, y1: float, x2: float, y2: float, difficult: int = 0, more: str = "") -> str:
    return f"""\t<object>
\t\t<name>{name}</name>
\t\t<pose>Unspecified</pose>
\t\t<truncated>0</truncated>
\t\t<difficult>{difficult}</difficult>
\t\t<bndbox>
\t\t\t<xmin>{x1}</xmin>
\t\t\t<ymin>{y1}</ymin>
\t\t\t<xmax>{x2}</xmax>
\t\t\t<ymax>{y2}</ymax>
\t\t</bndbox>{more}
\t</object>
"""


def xml(*objects: str, name: str = "1.jpg", size: tuple[int, int] = (24, 16)) -> str:
    return LABELIMG.format(name=name, objects="".join(objects), width=size[0], height=size[1])


def voc(root: Path) -> None:
    """As the challenge lays it out, with lists of classes beside those of the splits."""
    for name in ("2007_000001", "2007_000002", "2007_000003"):
        image(root / "JPEGImages" / f"{name}.jpg")
    text(root / "Annotations/2007_000001.xml", xml(voc_object("cat", 1, 1, 24, 16), voc_object("dog", 3, 4, 9, 12, 1)))
    text(root / "Annotations/2007_000002.xml", xml(voc_object("bird", 5.5, 6, 7, 8)))
    text(root / "Annotations/2007_000003.xml", xml())
    text(root / "ImageSets/Main/train.txt", "2007_000001\n2007_000003\n")
    text(root / "ImageSets/Main/val.txt", "2007_000002\n")
    text(root / "ImageSets/Main/cat_train.txt", "2007_000001  1\n2007_000003 -1\n")


def test_pascal_voc_with_lists(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    voc(tmp_path)
    data = PascalVOC(tmp_path, **BOXES)
    assert boxes(data) == {"2007_000001.jpg": [("cat", [0, 0, 24, 16])], "2007_000003.jpg": []}
    assert boxes(data, "val") == {"2007_000002.jpg": [("bird", [4.5, 5, 7, 8])]}
    assert data.classes == ["bird", "cat", "dog"]
    truth = data.truth("train", masks=False)["annotations"]
    assert [(entry["bbox"], entry["iscrowd"]) for entry in truth] == [([0, 0, 24, 16], 0), ([2, 3, 7, 9], 1)]
    lines = "\n".join(log.messages)
    assert "read as Pascal VOC's format: train in ImageSets/Main/train.txt, val in ImageSets/Main/val.txt" in lines
    assert "2 of 3 classes have no training instance and will not be found: bird (in val alone), dog" in lines


def test_pascal_voc_of_labelimg_beside_the_images(tmp_path: Path) -> None:
    image(tmp_path / "a b.jpg", tmp_path / "c.PNG")
    text(tmp_path / "a b.xml", xml(voc_object("cat", 1, 2, 3, 4), name="old name.jpg"))
    text(tmp_path / "c.xml", xml(voc_object("dog", 1, 2, 3, 4), size=(0, 0)))
    assert boxes(PascalVOC(tmp_path, **BOXES)) == {"a b.jpg": [("cat", [0, 1, 3, 4])], "c.PNG": [("dog", [0, 1, 3, 4])]}


def test_pascal_voc_has_the_masks_of_its_objects(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    voc(tmp_path)
    values = np.zeros((16, 24), np.uint8)
    values[2:5, 3:9], values[2, 3], values[8:12, 4:6] = 1, 255, 2
    (tmp_path / "SegmentationObject").mkdir()
    for name, array in (("2007_000001", values), ("2007_000002", values == 1)):
        Image.fromarray(array.astype(np.uint8)).save(tmp_path / "SegmentationObject" / f"{name}.png")
    data = PascalVOC(tmp_path, **OPTIONS)
    assert boxes(data) == {"2007_000001.jpg": [("cat", [0, 0, 24, 16])]}
    assert np.array_equal(data.mask("train", data.instances("train", 0).numbers[0]), values == 1)
    assert "train: masks are those of SegmentationObject/, left out 1 image without" in log.messages
    Image.new("L", (3, 3)).save(tmp_path / "SegmentationObject/2007_000002.png")
    with pytest.raises(InputError, match=r"SegmentationObject/2007_000002\.png: is no PNG of 24 x 16 values"):
        _ = PascalVOC(tmp_path, **OPTIONS).splits


def test_pascal_voc_of_datumaro_and_cvat(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    """Names with blanks, corners counted from 0, no XML file for an image without an object, numbers as colours."""
    for name in ("ä b 1", "Tag/ä b 2", "Tag/ä b 3"):
        image(tmp_path / "JPEGImages" / f"{name}.png")
    text(tmp_path / "Annotations/ä b 1.xml", xml(voc_object("cat", 0, 2, 6, 9)))
    text(tmp_path / "Annotations/Tag/ä b 2.xml", xml(voc_object("cat", 3, 4, 9, 12), voc_object("dog", 5.5, 6, 7, 8)))
    text(tmp_path / "ImageSets/Main/train.txt", "ä b 1\nTag/ä b 2\nTag/ä b 3\n")
    data = PascalVOC(tmp_path, **BOXES)
    assert boxes(data) == {
        "ä b 1.png": [("cat", [0, 2, 6, 9])],
        "ä b 2.png": [("cat", [3, 4, 9, 12]), ("dog", [5.5, 6, 7, 8])],
        "ä b 3.png": [],
    }
    assert "1 train image without a .xml file: counted as without an object" in log.messages
    colours = np.zeros((16, 24, 3), np.uint8)
    colours[4:12, 3:9], colours[6:8, 5:7], colours[0, 0] = (128, 0, 0), (0, 128, 0), (1, 2, 3)
    (tmp_path / "SegmentationObject/Tag").mkdir(parents=True)
    Image.fromarray(colours).save(tmp_path / "SegmentationObject/Tag/ä b 2.png")
    data = PascalVOC(tmp_path, **OPTIONS)
    _ = data.splits
    cat, dog = (data.mask("train", number) > 0 for number in data.instances("train", 0).numbers)
    assert np.array_equal(cat, (colours == (128, 0, 0)).all(-1))
    assert np.array_equal(dog, (colours == (0, 128, 0)).all(-1))


def test_a_list_of_pascal_voc_that_is_of_other_files(tmp_path: Path) -> None:
    voc(tmp_path)
    text(tmp_path / "ImageSets/Main/val.txt", "2007_000004\n")
    image(tmp_path / "JPEGImages/2007_000004.jpg")
    with pytest.raises(InputError, match=r"val\.txt: none of what it names has a \.xml file"):
        _ = PascalVOC(tmp_path, **BOXES).splits


@pytest.mark.parametrize("kind", ["coco", "voc", "yolo", "cvat"])
def test_fiftyone_puts_images_into_data(kind: str, tmp_path: Path) -> None:
    for split in ("train", "val"):
        image(tmp_path / split / "data/ä b.png")
        if kind == "coco":
            text(tmp_path / split / "labels.json", json.dumps(coco(["ä b.png"])))
        elif kind == "voc":
            text(tmp_path / split / "labels/ä b.xml", xml(voc_object("cat", 3, 4, 8, 11)))
        elif kind == "yolo":
            text(tmp_path / split / "obj.names", "cat\n")
            text(tmp_path / split / "images.txt", "data/ä b.png\n")
            text(tmp_path / split / "data/ä b.txt", f"0 {5 / 24} {7 / 16} {6 / 24} {8 / 16}\n")
        else:
            text(tmp_path / split / "labels.xml", CVAT_META.format(images=cvat_image("ä b.png", CVAT_GOOD)))
    ((name, _),) = box_readers(tmp_path).items()
    data = {"COCO": COCO, "PascalVOC": PascalVOC, "YOLO": YOLO, "CVAT": CVAT}[name](tmp_path, **BOXES)
    right = 7.5 if kind == "cvat" else 8
    bottom = 9 if kind == "cvat" else 11
    for split in ("train", "val"):
        ((_, ((label, corners),)),) = boxes(data, split).items()
        assert label == "cat"
        assert np.allclose(corners, [2, 3, right, bottom], atol=1e-5)


def test_pascal_voc_of_roboflow_has_polygons(tmp_path: Path) -> None:
    polygon = "<polygon><x1>2</x1><y1>2</y1><x2>8</x2><y2>2</y2><x3>8</x3><y3>10</y3></polygon>"
    for split in ("train", "valid"):
        image(tmp_path / split / "a_jpg.rf.0f3.jpg")
        text(tmp_path / split / "a_jpg.rf.0f3.xml", xml(voc_object("cat", 2, 2, 8, 10, more=polygon)))
    data = PascalVOC(tmp_path, **OPTIONS)
    assert (data.size("train"), data.size("val")) == (1, 1)
    mask = data.mask("train", 0)
    assert mask[4, 7]
    assert not mask[9, 3]
    assert 15 <= mask.sum() <= 33


# --- YOLO -------------------------------------------------------------------------------------------------------------

ROBOFLOW_YAML = """train: ../train/images
val: ../valid/images
test: ../test/images

nc: 2
names: ['cat', 'dog']

roboflow:
  workspace: ann
"""
ULTRALYTICS_YAML = """path: ../datasets/pets # dataset root dir
train: images/train # train images (relative to 'path')
val: images/val
test: # test images (optional)

names:
  0: cat
  1: dog
"""


def yolo_roboflow(root: Path) -> None:
    for split in ("train", "valid"):
        image(root / split / "images/1.jpg", root / split / "images/2.jpg")
        text(root / split / "labels/1.txt", "0 0.5 0.5 0.25 0.5\n1 0.25 0.25 0.5 0.5")
        text(root / split / "labels/2.txt", "")
    text(root / "data.yaml", ROBOFLOW_YAML)
    text(root / "README.roboflow.txt", "\npets - v1\n")


def yolo_ultralytics(root: Path) -> None:
    for split in ("train", "val"):
        image(root / "images" / split / "1.jpg", root / "images" / split / "2.jpg")
        text(root / "labels" / split / "1.txt", "0 0.5 0.5 0.25 0.5\r\n1 0.25 0.25 0.5 0.5\r\n")
    text(root / "pets.yaml", ULTRALYTICS_YAML)


def yolo_beside(root: Path) -> None:
    """As LabelImg writes it."""
    for split in ("train", "val"):
        image(root / split / "1.jpg", root / split / "2.jpg")
        text(root / split / "1.txt", "0 0.500000 0.500000 0.250000 0.500000\n1 0.25 0.25 0.5 0.5\n")
    text(root / "train/classes.txt", "cat\ndog\n")


def yolo_lists(root: Path) -> None:
    """As CVAT writes it."""
    for split in ("train", "valid"):
        image(root / f"obj_{split}_data/1.jpg", root / f"obj_{split}_data/2.jpg")
        text(root / f"obj_{split}_data/1.txt", "0 0.5 0.5 0.25 0.5\n1 0.25 0.25 0.5 0.5\n")
        text(root / f"{split}.txt", f"data/obj_{split}_data/1.jpg\ndata/obj_{split}_data/2.jpg\n")
    text(root / "obj.names", "cat\ndog\n")
    text(root / "obj.data", "classes = 2\ntrain = data/train.txt\nnames = data/obj.names\nbackup = backup/\n")


@pytest.mark.parametrize("write", [yolo_roboflow, yolo_ultralytics, yolo_beside, yolo_lists])
def test_yolo(write: Callable[[Path], None], tmp_path: Path) -> None:
    write(tmp_path)
    assert data_options(str(tmp_path), "longtail.data.COCO") == [
        "--data",
        "longtail.data.YOLO",
        f"--data.root={tmp_path}",
    ]
    data = YOLO(tmp_path, **BOXES)
    for split in ("train", "val"):
        assert boxes(data, split) == {"1.jpg": [("cat", [9, 4, 15, 12]), ("dog", [0, 0, 12, 8])], "2.jpg": []}
    assert data.classes == ["cat", "dog"]
    assert data.splits.test is None
    assert data.left_out == {}


def test_label_studio_quotes_the_names_of_text_files(tmp_path: Path) -> None:
    image(tmp_path / "images/ä 1.png")
    text(tmp_path / "labels/%C3%A4%201.txt", "0 .5 .5 .5 .5")
    text(tmp_path / "classes.txt", "cat")
    assert boxes(YOLO(tmp_path, **BOXES)) == {"ä 1.png": [("cat", [6, 4, 18, 12])]}


def test_the_yaml_of_yolo_is_given_by_its_folder(tmp_path: Path) -> None:
    yolo_roboflow(tmp_path)
    with pytest.raises(InputError, match=rf"data\.yaml: give --data {tmp_path};"):
        data_options(str(tmp_path / "data.yaml"), "longtail.data.COCO")


def test_yolo_polygons_have_masks(tmp_path: Path) -> None:
    image(tmp_path / "images/1.png")
    text(tmp_path / "labels/1.txt", "1 0 0 0.5 0 0.5 0.5 0 0.5\n0 0.5 0.5 1 0.5 1 1\n")
    data = YOLO(tmp_path, **OPTIONS)
    assert boxes(data) == {"1.png": [("1", [0, 0, 12, 8]), ("0", [12, 8, 24, 16])]}
    assert np.flatnonzero(data.mask("train", 0).any(0)).tolist() == list(range(12))
    image_of, target = data.splits.train.images[0, 0]["image"], data.splits.train.images[0, 0]["target"]
    assert target["masks"].shape[1:] == image_of.shape[1:]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("7 0.5 0.5 0.2 0.2", "has class 7, and there are 2 names, from 0 on"),
        ("0 0.5 0.5 0.2", "has 3 numbers after its class"),
        ("0 12 8 6 6", "has numbers beyond 0 to 1"),
        ("cat 0.5 0.5 0.2 0.2", "is not a class and numbers: cat 0.5 0.5 0.2 0.2"),
        ("0 0.5 0.5 0 0.2", "has a box without area"),
        ("0 1.3 0.5 0.2 0.2", "has a box outside its image"),
    ],
)
def test_a_bad_line_of_yolo(line: str, reason: str, tmp_path: Path) -> None:
    yolo_roboflow(tmp_path)
    file = tmp_path / "train/labels/1.txt"
    text(file, f"{file.read_text()}\n{line}\n")
    with pytest.raises(InputError) as error:
        _ = YOLO(tmp_path, **BOXES).splits
    assert f"train/labels/1.txt, line 3 {reason}" in str(error.value)
    assert "--data.skip_bad_annotations true" in str(error.value)
    data = YOLO(tmp_path, skip_bad_annotations=True, **BOXES)
    assert len(boxes(data)["1.jpg"]) == 2
    assert data.left_out == {("train annotation", "that cannot be used"): 1}


def test_yolo_boxes_beyond_their_image_are_clipped_and_told(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    yolo_roboflow(tmp_path)
    text(tmp_path / "train/labels/1.txt", "0 0.9 0.5 0.5 0.5\n")
    assert boxes(YOLO(tmp_path, **BOXES))["1.jpg"] == [("cat", [pytest.approx(15.6), 4, 24, 12])]
    assert any("clipped 1 box that reaches beyond its image" in line for line in log.messages)


def test_a_text_file_without_an_image(tmp_path: Path) -> None:
    yolo_roboflow(tmp_path)
    text(tmp_path / "train/labels/9.txt", "0 0.5 0.5 0.2 0.2\n")
    with pytest.raises(InputError, match=r"train/labels/9\.txt has no image of its name"):
        _ = YOLO(tmp_path, **BOXES).splits
    data = YOLO(tmp_path, skip_bad_annotations=True, **BOXES)
    assert data.size("train") == 2
    assert data.left_out == {("train annotation", "that cannot be used"): 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("nc: 2", "nc: 3"), r"data\.yaml: nc is 3, and there are 2 names"),
        (("['cat', 'dog']", "['cat', 'cat']"), r"2 categories are called cat"),
        (("../train/images", "../pictures"), r"data\.yaml, train: no folder or list at \.\./pictures"),
        (("['cat', 'dog']", "['cat', "), r"data\.yaml, line \d+: not YAML"),
        (("['cat', 'dog']", "{0: cat, 2: dog}"), r"the numbers of the classes are not 0, 1, 2"),
    ],
)
def test_a_bad_yaml_of_yolo(change: tuple[str, str], message: str, tmp_path: Path) -> None:
    yolo_roboflow(tmp_path)
    text(tmp_path / "data.yaml", ROBOFLOW_YAML.replace(*change))
    with pytest.raises(InputError, match=message):
        _ = YOLO(tmp_path, **BOXES).splits


def test_yolo_where_validation_is_training_holds_images_out(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    yolo_ultralytics(tmp_path)
    text(tmp_path / "pets.yaml", ULTRALYTICS_YAML.replace("val: images/val", "val: images/train"))
    text(tmp_path / "labels/train/2.txt", "0 0.5 0.5 0.25 0.5\n")
    data = YOLO(tmp_path, **BOXES | {"val_fraction": 0.5})
    assert (data.size("train"), data.size("val")) == (1, 1)
    assert any("the images of val are those of train, so it is left out" in line for line in log.messages)


# --- COCO's format, as tools write it ---------------------------------------------------------------------------------


def roboflow(names: list[str], categories: list[int]) -> str:
    images = [
        {
            "id": i,
            "license": 1,
            "file_name": name,
            "height": 16,
            "width": 24,
            "date_captured": "2024-05-02T10:00:00+00:00",
        }
        for i, name in enumerate(names)
    ]
    annotations = [
        {"id": i, "image_id": 0, "category_id": c, "bbox": [2, 3, 6.5, 8], "area": 52, "segmentation": [], "iscrowd": 0}
        for i, c in enumerate(categories)
    ]
    kinds = [
        {"id": 0, "name": "pets", "supercategory": "none"},
        {"id": 1, "name": "cat", "supercategory": "pets"},
        {"id": 2, "name": "dog", "supercategory": "pets"},
        {"id": 3, "name": "cat", "supercategory": "pets"},
    ]
    head = {"info": {"year": "2024"}, "licenses": [{"id": 1, "url": "", "name": "MIT"}], "categories": kinds}
    return json.dumps(head | {"images": images, "annotations": annotations})


def test_coco_of_roboflow(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    for split in ("train", "valid", "test"):
        image(tmp_path / split / "1_jpg.rf.2a.jpg")
        text(
            tmp_path / split / "_annotations.coco.json",
            roboflow(["1_jpg.rf.2a.jpg"], [1, 2] if split == "train" else [2]),
        )
    text(tmp_path / "README.dataset.txt", "# pets\n")
    assert data_options(str(tmp_path), "longtail.data.COCO") == [f"--data.root={tmp_path}"]
    data = COCO(tmp_path, **BOXES)
    assert boxes(data) == {"1_jpg.rf.2a.jpg": [("cat", [2, 3, 8.5, 11]), ("dog", [2, 3, 8.5, 11])]}
    assert boxes(data, "test") == {"1_jpg.rf.2a.jpg": [("dog", [2, 3, 8.5, 11])]}
    assert data.category_ids == [1, 2]
    assert data.parts["val"].path(0) == str(tmp_path / "valid/1_jpg.rf.2a.jpg")
    lines = "\n".join(log.messages)
    assert "no annotation is of the categories pets (0), cat (3); they are left out" in lines
    assert "train in train/_annotations.coco.json, val in valid/_annotations.coco.json" in lines


def test_images_of_another_split_are_never_taken(tmp_path: Path) -> None:
    image(tmp_path / "train/1.jpg", tmp_path / "valid/2.jpg", tmp_path / "valid/1.jpg")
    text(tmp_path / "train/_annotations.coco.json", roboflow(["1.jpg", "2.jpg"], [1, 2]))
    text(tmp_path / "valid/_annotations.coco.json", roboflow(["2.jpg"], [1, 2]))
    with pytest.raises(InputError, match=r"train/2\.jpg; 1 of 2 images are missing"):
        _ = COCO(tmp_path, **BOXES).splits
    data = COCO(tmp_path, skip_bad_annotations=True, **BOXES)
    assert (data.size("train"), data.size("val")) == (1, 1)
    assert data.left_out == {
        ("train image", "that is not there"): 1,
        ("image", "without an annotation"): 1,
    }


def coco(names: list[str], **fields: Any) -> dict[str, Any]:
    images = [{"id": i + 1, "file_name": name, "width": 24, "height": 16} for i, name in enumerate(names)]
    square = [2, 3, 8, 3, 8, 11, 2, 11]
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [2, 3, 6, 8], "segmentation": [square], "iscrowd": 0}
    categories = [{"id": 1, "name": "cat", "supercategory": ""}, {"id": 2, "name": "dog", "supercategory": ""}]
    return {"images": images, "annotations": [box | fields], "categories": categories}


def test_coco_of_cvat(tmp_path: Path) -> None:
    for split, name in (("train", "train"), ("Validation", "Validation")):
        image(tmp_path / "images" / name / "a/1.jpg")
        text(
            tmp_path / f"annotations/instances_{split}.json",
            json.dumps(coco(["a/1.jpg"], attributes={"occluded": False})),
        )
    data = COCO(tmp_path, **OPTIONS)
    assert boxes(data) == boxes(data, "val") == {"1.jpg": [("cat", [2, 3, 8, 11])]}
    assert data.parts["val"].path(0) == str(tmp_path / "images/Validation/a/1.jpg")


def test_coco_of_label_studio_has_no_size_of_an_image_without_an_object(tmp_path: Path) -> None:
    image(tmp_path / "images/0a1b2c3d-ä_1.png", tmp_path / "images/0a1b2c3d-ä_2.png")
    content = coco(["/data/upload/3/0a1b2c3d-%C3%A4_1.png", "/data/upload/3/0a1b2c3d-%C3%A4_2.png"])
    content["images"][1] |= {"width": None, "height": None}
    text(tmp_path / "result.json", json.dumps(content))
    data = COCO(tmp_path, **BOXES)
    assert boxes(data) == {"0a1b2c3d-ä_1.png": [("cat", [2, 3, 8, 11])], "0a1b2c3d-ä_2.png": []}
    assert data.parts["train"].annotations.sizes.tolist() == [[16, 24]] * 2
    content["images"][0] |= {"width": None, "height": None}
    text(tmp_path / "result.json", json.dumps(content))
    with pytest.raises(InputError, match="annotation 1 is in an image without height and width"):
        _ = COCO(tmp_path, **BOXES).splits


@pytest.mark.parametrize(
    "name",
    [
        "images\\1.jpg",
        "..\\..\\media\\upload\\3\\1.jpg",
        "C:\\Users\\ann\\1.jpg",
        "/data/pets/images/1.jpg",
        "pets/1.jpg",
    ],
)
def test_paths_of_label_studio_and_windows(name: str, tmp_path: Path) -> None:
    image(tmp_path / "images/1.jpg")
    text(tmp_path / "result.json", json.dumps(coco([name])))
    data = COCO(tmp_path, **OPTIONS)
    assert boxes(data) == {"1.jpg": [("cat", [2, 3, 8, 11])]}
    assert data.splits.train.images[0, 0]["image"].shape[0] == 3


def test_a_task_of_cvat_without_subsets(tmp_path: Path) -> None:
    image(tmp_path / "images/default/1.jpg")
    text(tmp_path / "annotations/instances_default.json", json.dumps(coco(["1.jpg"])))
    assert boxes(COCO(tmp_path, **OPTIONS)) == {"1.jpg": [("cat", [2, 3, 8, 11])]}


def test_ids_and_numbers_in_all_forms(tmp_path: Path) -> None:
    image(tmp_path / "train/1.jpg", tmp_path / "train/2.jpg")
    content = coco(["1.jpg", "2.jpg"])
    content["images"][0] |= {"id": "a-1", "width": 24.0}
    content["images"][1] |= {"id": "a-2"}
    content["categories"][0]["id"] = "1"
    first = content["annotations"][0] | {"id": "x", "image_id": "a-2", "iscrowd": None}
    second = first | {"id": "y", "image_id": "a-1", "category_id": 2.0, "iscrowd": 0.0}
    third = second | {"id": "z", "iscrowd": 1.0}
    content["annotations"] = [first, second, third]
    text(tmp_path / "instances_train.json", json.dumps(content))
    data = COCO(tmp_path, **OPTIONS)
    corners = [2, 3, 8, 11]
    assert boxes(data) == {"1.jpg": [("dog", corners)], "2.jpg": [("cat", corners)]}
    assert len(set(data.image_ids("train").tolist())) == 2
    content["annotations"].append(third | {"image_id": "a-9", "id": "w"})
    text(tmp_path / "instances_train.json", json.dumps(content))
    with pytest.raises(InputError, match='annotation w has image a-9, which is not in "images"'):
        _ = COCO(tmp_path, **OPTIONS).splits


@pytest.mark.parametrize("box", [None, [], "none"])
def test_boxes_are_those_of_the_shapes_where_only_these_are_given(box: object, tmp_path: Path) -> None:
    image(tmp_path / "train/1.jpg")
    content = coco(["1.jpg"])
    counts = [16 * 3 + 4, 5, 11, 5, 16 * 19 + 7]
    run_lengths = {"size": [16, 24], "counts": counts}
    content["annotations"].append(content["annotations"][0] | {"id": 2, "segmentation": run_lengths})
    for annotation in content["annotations"]:
        annotation["bbox"] = box
        if box == "none":
            del annotation["bbox"]
    text(tmp_path / "instances_train.json", json.dumps(content))
    data = COCO(tmp_path, **BOXES)
    assert boxes(data) == {"1.jpg": [("cat", [2, 3, 8, 11]), ("cat", [3, 4, 5, 9])]}


# --- LabelMe ----------------------------------------------------------------------------------------------------------


def labelme(name: str, *shapes: dict[str, Any]) -> str:
    whole = {"version": "5.4.1", "flags": {}, "shapes": list(shapes), "imagePath": name, "imageData": None}
    return json.dumps(whole | {"imageHeight": 16, "imageWidth": 24}, indent=2)


def shape(label: str, points: list[list[float]], kind: str = "polygon", **fields: Any) -> dict[str, Any]:
    base = {"label": label, "points": points, "group_id": None, "description": "", "shape_type": kind, "flags": {}}
    return base | {"mask": None} | fields


def drawn_mask() -> str:
    file = io.BytesIO()
    Image.fromarray(np.array([[1, 0, 1], [1, 1, 1]], bool)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def test_labelme(tmp_path: Path) -> None:
    image(tmp_path / "1.jpg", tmp_path / "images/2.jpg")
    text(
        tmp_path / "1.json",
        labelme(
            "1.jpg",
            shape("cat", [[2, 3], [8, 3], [8, 11], [2, 11]]),
            shape("dog", [[20, 14], [10, 2]], "rectangle"),
            shape("cat", [[12, 8], [12, 12]], "circle"),
            shape("bird", [[4, 5], [6, 6]], "mask", mask=drawn_mask()),
            shape("dog", [[0, 0], [2, 0], [2, 2]], group_id=1),
            shape("dog", [[5, 5], [7, 5], [7, 7]], group_id=1),
            shape("_background_", [[0, 0], [24, 0], [24, 16]]),
        ),
    )
    text(tmp_path / "annotations/2.json", labelme("..\\images\\2.jpg"))
    data = LabelMe(tmp_path, **OPTIONS)
    objects = boxes(data)
    assert objects["2.jpg"] == []
    shapes = [(name, np.round(corners, 3).tolist()) for name, corners in objects["1.jpg"]]
    assert shapes == [
        ("cat", [2, 3, 8, 11]),
        ("dog", [10, 2, 20, 14]),
        ("cat", [8, 4, 16, 12]),
        ("bird", [4, 5, 7, 7]),
        ("dog", [0, 0, 7, 7]),
    ]
    mask = data.mask("train", 3)
    assert np.argwhere(mask).tolist() == [[5, 4], [5, 6], [6, 4], [6, 5], [6, 6]]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (shape("cat", [[1, 1], [4, 4]], "line"), "shape 2 is a line, which has no area"),
        (shape("cat", [[1, 1], [4, 4]]), "shape 2 has a polygon of 2 points"),
        (shape("cat", [[1, 1]], "circle"), "shape 2 has a circle of 1 point"),
        ({"label": "cat"}, "shape 2 is not as LabelMe writes them"),
        (shape("cat", [[30, 1], [34, 4], [30, 9]]), r"shape 2 \(cat\) has a box outside its image"),
    ],
)
def test_a_bad_shape_of_labelme(fault: dict[str, Any], reason: str, tmp_path: Path) -> None:
    image(tmp_path / "1.jpg")
    text(tmp_path / "1.json", labelme("1.jpg", shape("cat", [[2, 3], [8, 3], [8, 11]]), fault))
    with pytest.raises(InputError, match=rf"1\.json, {reason}"):
        _ = LabelMe(tmp_path, **OPTIONS).splits
    data = LabelMe(tmp_path, skip_bad_annotations=True, **OPTIONS)
    assert len(boxes(data)["1.jpg"]) == 1
    assert data.left_out == {("train annotation", "that cannot be used"): 1}


# --- Bad input of any of them -----------------------------------------------------------------------------------------


def labelme_set(root: Path) -> None:
    image(root / "1.jpg")
    text(root / "1.json", labelme("1.jpg", shape("cat", [[2, 3], [8, 3], [8, 11]])))


def test_labelme_has_turned_rectangles_and_folders_of_its_own(tmp_path: Path) -> None:
    image(tmp_path / "Tag/1.jpg", tmp_path / "Nacht/1.jpg")
    rectangle = shape("cat", [[6, 2], [9, 5], [6, 8], [3, 5]], "oriented_rectangle")
    for folder in ("Tag", "Nacht"):
        text(tmp_path / folder / "1.json", labelme("1.jpg", rectangle))
    assert list(box_readers(tmp_path)) == ["LabelMe"]
    data = LabelMe(tmp_path, **OPTIONS)
    _ = data.splits
    assert data.instances("train", 0).boxes.tolist() == data.instances("train", 1).boxes.tolist() == [[3, 2, 9, 8]]


# --- CVAT -------------------------------------------------------------------------------------------------------------

CVAT_META = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta>
    <project>
      <id>7</id>
      <name>pets</name>
      <labels>
        <label>
          <name>cat</name>
          <color>#33ddff</color>
          <type>any</type>
          <attributes>
          </attributes>
        </label>
      </labels>
    </project>
    <dumped>2024-05-01 10:00:00.000000+00:00</dumped>
  </meta>
{images}</annotations>
"""
CVAT_BOX = """    <box label="{label}" occluded="0" xtl="2.00" ytl="3.00" xbr="{right}" ybr="9.00" z_order="0">
      <attribute name="age">3</attribute>
    </box>
"""
CVAT_GOOD = CVAT_BOX.format(label="cat", right="7.50")
CVAT_MORE = """    <box label="cat" occluded="0" xtl="8" ytl="4" xbr="12" ybr="12" rotation="90.00" z_order="0">
    </box>
    <points label="cat" source="manual" occluded="0" points="2.00,3.00" z_order="0">
    </points>
    <polyline label="cat" source="manual" occluded="0" points="2.00,3.00;4.00,5.00" z_order="0">
    </polyline>
    <tag label="indoors" source="manual">
    </tag>
    <ellipse label="dog" source="manual" occluded="0" cx="10.00" cy="8.00" rx="4.00" ry="2.00" z_order="0">
    </ellipse>
    <mask label="owl" source="semi-auto" occluded="0" rle="1, 2, 3" left="20" top="4" width="3" height="2" z_order="0">
    </mask>
"""


def cvat_image(name: str, content: str, subset: str = "") -> str:
    subset = f' subset="{subset}"' if subset else ""
    return f'  <image id="0" name="{name}"{subset} width="24" height="16">\n{content}  </image>\n'


def cvat_set(root: Path) -> None:
    """A project with subsets, exported with its images."""
    image(root / "images/Train/1.png", root / "images/Train/2.png", root / "images/Validation/1.png")
    images = cvat_image("1.png", CVAT_GOOD + CVAT_MORE, "Train") + cvat_image("2.png", "", "Train")
    images += cvat_image("1.png", CVAT_GOOD, "Validation")
    text(root / "annotations.xml", CVAT_META.format(images=images))


def test_cvat(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    cvat_set(tmp_path)
    data = CVAT(tmp_path, **BOXES)
    objects = boxes(data)
    assert [name for name, _ in objects["1.png"]] == ["cat", "cat", "dog", "owl"]
    expected = [[2, 3, 7.5, 9], [6, 6, 14, 10], [6, 6, 14, 10], [21, 4, 23, 5]]
    assert np.allclose([corners for _, corners in objects["1.png"]], expected)
    assert objects["2.png"] == []
    assert boxes(data, "val") == {"1.png": [("cat", [2, 3, 7.5, 9])]}
    assert data.classes == ["cat", "dog", "owl"]
    lines = "\n".join(log.messages)
    assert "read as CVAT's XML: train in annotations.xml, val in annotations.xml" in lines
    assert "left out what has no area: 1 line, 1 point, 1 tag" in lines


def test_cvat_of_datumaro_has_a_file_for_each_split(tmp_path: Path) -> None:
    image(tmp_path / "images/1.png", tmp_path / "images/2.png")
    text(tmp_path / "train.xml", CVAT_META.format(images=cvat_image("1.png", CVAT_GOOD)))
    text(tmp_path / "val.xml", CVAT_META.format(images=cvat_image("2.png", CVAT_GOOD)))
    data = CVAT(tmp_path, **BOXES)
    assert boxes(data) == {"1.png": [("cat", [2, 3, 7.5, 9])]}
    assert boxes(data, "val") == {"2.png": [("cat", [2, 3, 7.5, 9])]}


def test_cvat_without_subsets_has_masks(tmp_path: Path) -> None:
    image(tmp_path / "a/1.png")
    text(tmp_path / "annotations.xml", CVAT_META.format(images=cvat_image("a/1.png", CVAT_MORE)))
    data = CVAT(tmp_path, **OPTIONS)
    _ = data.splits
    numbers = data.instances("train", 0).numbers
    owl = np.zeros((16, 24), bool)
    owl[4, 21:23] = True
    assert np.array_equal(data.mask("train", numbers[2]) > 0, owl)
    mask = np.zeros((16, 24), bool)
    mask[6:10, 6:14] = True
    assert np.array_equal(data.mask("train", numbers[0]) > 0, mask)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<annotations><track id='0'></track></annotations>", "has tracks, as of a video; export it from CVAT as CVAT"),
        (CVAT_META.format(images=cvat_image("9.png", CVAT_GOOD)), r"no such file: .*9\.png"),
        (CVAT_META.format(images="<image name='1.png'></image>"), "1.png: has no width and height; export it again"),
        ("<annotations><image", "cannot be read as XML"),
        (
            CVAT_META.format(images=cvat_image("1.png", CVAT_GOOD + CVAT_BOX.format(label="cat", right="far"))),
            "annotations.xml: 1.png, object 2 is no box as CVAT writes it",
        ),
        (
            CVAT_META.format(images=cvat_image("1.png", CVAT_BOX.format(label="cat", right="1.00"))),
            r"annotations.xml: 1.png, object 1 \(cat\) has a box without area",
        ),
    ],
)
def test_bad_files_of_cvat(content: str, message: str, tmp_path: Path) -> None:
    image(tmp_path / "images/1.png")
    text(tmp_path / "annotations.xml", content)
    with pytest.raises(InputError, match=message):
        boxes(CVAT(tmp_path, **BOXES))


@pytest.mark.parametrize(("write", "name"), [(voc, "PascalVOC"), (labelme_set, "LabelMe"), (cvat_set, "CVAT")])
def test_a_folder_is_given_to_the_class_that_reads_it(write: Callable[[Path], None], name: str, tmp_path: Path) -> None:
    write(tmp_path)
    expected = ["--data", f"longtail.data.{name}", f"--data.root={tmp_path}"]
    assert data_options(str(tmp_path), "longtail.data.COCO") == expected


def test_an_xml_file_without_an_image_and_an_image_without_an_xml_file(tmp_path: Path) -> None:
    voc(tmp_path)
    (tmp_path / "JPEGImages/2007_000003.jpg").rename(tmp_path / "JPEGImages/other.jpg")
    with pytest.raises(InputError, match=r"2007_000003\.xml has no image of its name, nor is there 1\.jpg"):
        _ = PascalVOC(tmp_path, **BOXES).splits
    data = PascalVOC(tmp_path, skip_bad_annotations=True, **BOXES)
    assert data.size("train") == 1
    assert data.left_out == {
        ("train annotation", "that cannot be used"): 1,
        ("train annotation", "of a crowd"): 1,
        ("image", "without an annotation"): 1,
    }


def broken_xml(root: Path) -> None:
    text(root / "Annotations/2007_000001.xml", xml()[:100])


def without_a_name(root: Path) -> None:
    nameless, flat = voc_object("", 1, 1, 4, 4), voc_object("cat", 9, 1, 4, 16)
    text(root / "Annotations/2007_000001.xml", xml(nameless, flat))


def without_a_box(root: Path) -> None:
    text(root / "Annotations/2007_000001.xml", xml(voc_object("cat", 1, 1, 4, 4).replace("xmin", "left")))


def listed_and_not_there(root: Path) -> None:
    text(root / "ImageSets/Main/train.txt", "2007_000001\n2007_000009\n")


def flat_box(root: Path) -> None:
    text(root / "Annotations/2007_000001.xml", xml(voc_object("cat", 9, 1, 4, 16)))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (broken_xml, r"2007_000001\.xml: cannot be read as XML"),
        (without_a_name, r"2007_000001\.xml, object 1 has no name \(and 1 bad in other ways\)"),
        (without_a_box, r"2007_000001\.xml, object 1 has no bndbox of four numbers"),
        (listed_and_not_there, r"train\.txt: .*2007_000009\.xml is not there, nor is an image of its name"),
        (flat_box, r"2007_000001\.xml, object 1 \(cat\) has a box without area, width -4 and height 16"),
    ],
)
def test_bad_files_of_pascal_voc(spoil: Callable[[Path], None], message: str, tmp_path: Path) -> None:
    voc(tmp_path)
    spoil(tmp_path)
    with pytest.raises(InputError, match=message):
        _ = PascalVOC(tmp_path, **BOXES).splits


def test_boxes_for_a_recipe_with_masks_name_one_without(tmp_path: Path) -> None:
    yolo_roboflow(tmp_path)
    with pytest.raises(
        InputError, match="gives boxes without shapes: give a recipe that needs none, such as --recipe f"
    ):
        _ = YOLO(tmp_path, **OPTIONS).splits


def test_two_files_for_one_split(tmp_path: Path) -> None:
    image(tmp_path / "train/1.jpg")
    text(tmp_path / "train/_annotations.coco.json", roboflow(["1.jpg"], [1]))
    text(tmp_path / "annotations/instances_train.json", roboflow(["1.jpg"], [1]))
    with pytest.raises(InputError, match=r"several files for train, .*: give --data\.train FILE"):
        _ = COCO(tmp_path, **BOXES).splits


def test_mixed_formats_are_told_apart_by_the_user(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "set"
    yolo_roboflow(root)
    text(root / "train/_annotations.coco.json", roboflow(["1.jpg"], [1, 2]))
    line = fails(capsys, "fit", "--recipe", "fasterrcnn_ce", "--data", str(root), "--run", str(tmp_path / "run"))
    assert "holds boxes in COCO's format and boxes in YOLO's format" in line
    assert f"give --data coco --data.root {root} or --data yolo --data.root {root}" in line


@pytest.mark.parametrize("recipe", ["maskrcnn_ce", "segmentation/ce", "ce"])
def test_an_archive_is_to_be_unpacked(recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "pets.ZIP"
    file.write_bytes(b"PK\x03\x04")
    line = fails(capsys, "fit", "--recipe", recipe, "--data", str(file), "--run", str(tmp_path / "run"))
    assert "pets.ZIP is an archive: unpack it, and give the folder" in line


def test_a_folder_of_archives_is_to_be_unpacked(tmp_path: Path) -> None:
    (tmp_path / "train.zip").write_bytes(b"PK\x03\x04")
    with pytest.raises(InputError, match=r"holds archives, train\.zip: unpack them there"):
        _ = COCO(tmp_path, **BOXES).splits


def test_yolo_in_which_no_image_shows_an_object_is_known_by_its_yaml(tmp_path: Path) -> None:
    """As Datumaro writes shapes as YOLO-Ultralytics: none of them."""
    image(tmp_path / "images/train/1.png")
    text(tmp_path / "labels/train/1.txt", "")
    text(tmp_path / "data.yaml", "names:\n  0: cat\npath: .\ntrain: images/train\n")
    assert list(box_readers(tmp_path)) == ["YOLO"]
    with pytest.raises(InputError, match="has no instance to train on"):
        _ = YOLO(tmp_path, **BOXES).splits
