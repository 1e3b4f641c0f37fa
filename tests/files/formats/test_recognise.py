"""What lies at a path: told for every grain, and one line where that cannot be."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from longtail.data.names import shipped
from longtail.errors import InputError
from longtail.files.formats.layouts import check_layout, find_layouts
from longtail.files.formats.recognise import Recognition, recognise

CLASSES = "images in a folder for each class"
ONE = "images with one class each"


def write(root: Path, *names: str, text: str = "") -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in (".jpg", ".png") and not text:
            Image.new("L", (8, 8)).save(path)
        else:
            path.write_text(text)


def coco(root: Path) -> None:
    images = [{"id": 1, "file_name": "1.png", "width": 8, "height": 8}]
    entry = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 3, 3], "segmentation": [[1, 1, 4, 1, 4, 4]]}
    content = {"images": images, "annotations": [entry], "categories": [{"id": 1, "name": "cat"}]}
    write(root, "train/1.png")
    write(root, "annotations/instances_train.json", text=json.dumps(content))


def yolo(root: Path) -> None:
    write(root, "images/train/1.jpg")
    write(root, "labels/train/1.txt", text="0 0.5 0.5 0.2 0.2\n")


def voc(root: Path) -> None:
    write(root, "JPEGImages/1.jpg")
    write(root, "Annotations/1.xml", text="<annotation><bndbox></bndbox></annotation>")


def masks(root: Path) -> None:
    write(root, "images/train/1.jpg", "annotations/train/1.png")


def camvid(root: Path) -> None:
    write(root, "train/1.png", "trainannot/1.png")


@pytest.mark.parametrize(
    ("make", "recognition"),
    [
        (lambda root: write(root, "cat/1.jpg", "dog/2.png"), Recognition("Folder", CLASSES)),
        (lambda root: write(root, "train/cat/1.jpg", "val/cat/2.png"), Recognition("Folder", CLASSES)),
        (lambda root: write(root, "cat/2019/1.jpg", "dog/2019/2.jpg"), Recognition("Folder", ONE)),
        (lambda root: write(root, "run/1.mp4", "walk/2.avi"), Recognition("VideoFolder", "videos with one class each")),
        (lambda root: write(root, "cat/1.jpg", "cat/2.jpg", "dog/3.mp4"), Recognition("Folder", CLASSES)),
        (coco, Recognition("COCO", "boxes in COCO's format, with masks")),
        (yolo, Recognition("YOLO", "boxes in YOLO's format")),
        (voc, Recognition("PascalVOC", "boxes in Pascal VOC's format")),
        (masks, Recognition("SegmentationFolder", "images with a class for each pixel")),
        (camvid, Recognition("CamVid", "images with a class for each pixel")),
    ],
)
def test_folders(tmp_path: Path, make: Callable[[Path], None], recognition: Recognition) -> None:
    make(tmp_path)
    assert recognise(tmp_path) == recognition
    assert {layout.reader for layout in find_layouts(tmp_path)} <= shipped().keys()


@pytest.mark.parametrize(
    ("name", "text", "recognition"),
    [
        ("a.csv", "path,label\na.jpg,cat\n", Recognition("Table", "a table of images")),
        ("a.csv", "path,label\na.mp4,run\n", Recognition("VideoTable", "a table of videos")),
        ("a.txt", "a.jpg 0\nb.gif 1\n", Recognition("Table", "a table of images")),
        (
            "a.json",
            '{"images": [{"id": 1, "file_name": "1.jpg"}], "annotations": [{"image_id": 1, "category_id": 1}]}',
            Recognition("Table", "classes of images in COCO's form"),
        ),
    ],
)
def test_files(tmp_path: Path, name: str, text: str, recognition: Recognition) -> None:
    (tmp_path / name).write_text(text)
    assert recognise(tmp_path / name) == recognition


def both(root: Path) -> None:
    voc(root)
    write(root, "SegmentationClass/1.png")


@pytest.mark.parametrize(
    ("make", "name", "message"),
    [
        (lambda root: write(root, ".hidden"), "", "is empty: give a folder"),
        (lambda root: write(root, "photos.ZIP", text="-"), "photos.ZIP", "is an archive: unpack it"),
        (lambda root: write(root, "photos.tar", text="-"), "", "holds archives, photos.tar: unpack them there"),
        (lambda root: write(root, "notes.docx", text="-"), "notes.docx", "is no table and no file of a known tool"),
        (lambda root: write(root, "data.yaml", text="-"), "data.yaml", "give .*; names and splits are read from it"),
        (coco, "annotations/instances_train.json", "COCO's format, with masks: give the folder of the images, and "),
        (
            both,
            "",
            "boxes in Pascal VOC's format and images with a class for each pixel: choose by longtail data PascalVOC "
            "--data.root .* or longtail data SegmentationFolder --data.root ",
        ),
        (
            lambda root: write(root, "a.xml", text="<annotations><track id=1></track></annotations>"),
            "",
            "holds CVAT's XML for video: export it",
        ),
    ],
)
def test_what_is_no_set_gets_one_line(tmp_path: Path, make: Callable[[Path], None], name: str, message: str) -> None:
    make(tmp_path)
    with pytest.raises(InputError, match=message) as error:
        recognise(tmp_path / name)
    assert "\n" not in str(error.value)


KITTI = "cat 0.0 0 -1 6.0 6.0 27.0 21.0 -1 -1 -1 -1 -1 -1 -1 1.0\n"
DOTA = "23.84 20.67 41.16 30.67 36.16 39.33 18.84 29.33 red panda 0\n"
TASKS = (
    '[{"id": 1, "annotations": [{"result": [{"value": {"rectanglelabels": ["cat"]}}]}], "data": {"image": "1.png"}}]'
)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("train/label_2/1.txt", KITTI, "KITTI"),
        ("train/labelTxt/1.txt", DOTA, "DOTA"),
        ("wider_face_split/wider_face_train_bbx_gt.txt", "a/1.jpg\n1\n5.0 6.0 20.0 15.0 cat\n", "WIDER FACE"),
        ("annotations/train.json", '{"dm_format_version":"1.0","items":[]}', "Datumaro"),
        ("annotations/panoptic_train.json", '{"annotations":[{"image_id":1,"segments_info":[]}]}', "panoptic"),
        (
            "Annotations/train/1.xml",
            "<annotation><object><polygon>\n<pt><x>6.00</x></pt></polygon>",
            "LabelMe's web tool",
        ),
        ("annotations/train-annotations-bbox.csv", "ImageID,Source,LabelName,Confidence,XMin,XMax\n", "Open Images"),
        ("_annotations.createml.json", '[{"image": "1.png", "annotations": [{"coordinates": {"x": 1}}]}]', "CreateML"),
        ("via.json", '{"1.png9": {"regions": [{"shape_attributes": {"name": "rect"}}]}}', "VGG Image Annotator"),
        ("train/labels.json", '{"classes": [], "labels": {"1": [{"bounding_box": [0.1]}]}}', "FiftyOne"),
        ("result.json", TASKS, "shapes in Label Studio's JSON"),
        (
            "result.csv",
            'annotation_id,annotator,image,label,lead_time\n1,1,1.png,"[{""rectanglelabels"":[""cat""]}]",3\n',
            "Label Studio's CSV",
        ),
        ("ImageSets/Main/cat_train.txt", "img 1  1\nimg 2 -1\n", "list of images for each class"),
    ],
)
def test_what_tools_write_and_is_not_read_is_named(name: str, content: str, words: str, tmp_path: Path) -> None:
    write(tmp_path, "images/train/1.png")
    write(tmp_path, name, text=content)
    for place in (tmp_path, tmp_path / name):
        with pytest.raises(InputError, match=f"holds .*{words}.*: export it as COCO or YOLO, or classes of images"):
            recognise(place)
    with pytest.raises(InputError, match=words):
        check_layout(tmp_path, "boxes")
    coco(tmp_path)
    assert recognise(tmp_path).data == "COCO"


def test_boxes_of_open_images_do_not_hide_its_classes(tmp_path: Path) -> None:
    write(tmp_path, "images/train/1.png")
    write(tmp_path, "annotations/train-annotations-bbox.csv", text="ImageID,Source,LabelName,Confidence,XMin,XMax\n")
    write(tmp_path, "annotations/train-annotations-human-imagelabels.csv", text="ImageID,Source,LabelName,Confidence\n")
    assert recognise(tmp_path) == Recognition("Folder", ONE)


def test_a_folder_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: object) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(InputError, match=r"cannot read the folder \(Permission denied\); check"):
        recognise(tmp_path)
