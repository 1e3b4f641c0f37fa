"""What lies at a path: told for every grain, and one line where that cannot be."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from longtail.data.names import shipped
from longtail.errors import InputError
from longtail.files.formats.recognise import Recognition, recognise
from longtail.files.layouts import find_layouts

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
            lambda root: write(root, "a.xml", text="<annotations><image id=1></image></annotations>"),
            "",
            "holds XML of CVAT: export it",
        ),
    ],
)
def test_what_is_no_set_gets_one_line(tmp_path: Path, make: Callable[[Path], None], name: str, message: str) -> None:
    make(tmp_path)
    with pytest.raises(InputError, match=message) as error:
        recognise(tmp_path / name)
    assert "\n" not in str(error.value)


def test_a_folder_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: object) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(InputError, match=r"cannot read the folder \(Permission denied\); check"):
        recognise(tmp_path)
