"""Which recipe a set of another kind is for, by its layout."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command import fails
from PIL import Image

import longtail
from longtail.cli.options import pairs
from longtail.data.boxes.coco import COCO
from longtail.data.images.folder import Folder
from longtail.data.names import find_class, shipped, short_names
from longtail.data.pixels.folder import SegmentationFolder
from longtail.errors import InputError
from longtail.files.formats import layouts
from longtail.files.formats.layouts import find_layouts
from longtail.files.formats.readers import Reader, reader_of
from longtail.recipes import recipe_names

VOC = "<annotation><object><name>cat</name><bndbox><xmin>1</xmin></bndbox></object></annotation>"


def image(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(path)


def text(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def boxes(segmentation: object = None) -> str:
    entry = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 3, 3]}
    entry |= {} if segmentation is None else {"segmentation": segmentation}
    images = [{"id": 1, "file_name": "1.png", "width": 8, "height": 8}]
    return json.dumps({"images": images, "annotations": [entry], "categories": [{"id": 1, "name": "cat"}]})


POLYGON = [[1, 1, 4, 1, 4, 4]]
FASTER = "fasterrcnn_ce"


def coco(root: Path) -> None:
    image(root / "images" / "1.png", root / "images" / "2.png")
    text(root / "annotations" / "instances_train.json", boxes(POLYGON))


def coco_of_robots(root: Path) -> None:
    image(root / "train" / "1.png", root / "valid" / "2.png")
    text(root / "train" / "_annotations.coco.json", boxes([]))


def voc(root: Path) -> None:
    image(root / "JPEGImages" / "1.jpg", root / "SegmentationClass" / "1.png")
    text(root / "Annotations" / "1.xml", VOC)
    text(root / "ImageSets" / "Main" / "train.txt", "1\n")


def voc_beside(root: Path) -> None:
    image(root / "train" / "1.jpg", root / "test" / "1.jpg")
    text(root / "train" / "1.xml", VOC)


def yolo(root: Path) -> None:
    image(root / "images" / "train" / "1.jpg", root / "images" / "val" / "2.jpg")
    text(root / "labels" / "train" / "0.txt", "")
    text(root / "labels" / "train" / "1.txt", "0 0.5 0.5 0.25 1e-1\n2 0.1 0.1 0.2 0.2\n")
    text(root / "data.yaml", "names: [cat]\n")


def yolo_split_first(root: Path) -> None:
    image(root / "train" / "images" / "1.jpg", root / "valid" / "images" / "2.jpg")
    text(root / "train" / "labels" / "1.txt", "0 0.5 0.5 0.25 0.25")


def pixels(root: Path) -> None:
    image(root / "images" / "train" / "1.png", root / "annotations" / "train" / "1.png")
    text(root / "classes.txt", "a\nb\n")


def masks(root: Path) -> None:
    image(root / "images" / "1.jpg", root / "masks" / "1.png")


def cityscapes(root: Path) -> None:
    image(root / "leftImg8bit" / "train" / "ulm" / "1_leftImg8bit.png", root / "gtFine" / "train" / "ulm" / "1.png")


def camvid(root: Path) -> None:
    image(root / "train" / "1.png", root / "trainannot" / "1.png", root / "val" / "1.png", root / "valannot" / "1.png")


OTHERS = [
    *((coco, "maskrcnn_ce"), (coco_of_robots, FASTER)),
    *((voc, FASTER), (voc_beside, FASTER), (yolo, FASTER), (yolo_split_first, FASTER)),
    *((pixels, "segmentation/ce"), (masks, "segmentation/ce"), (cityscapes, "cityscapes/ce")),
    (camvid, "segmentation/ce --data camvid --data.root FOLDER"),
]


@pytest.mark.parametrize(("make", "recipe"), OTHERS, ids=lambda value: getattr(value, "__name__", None))
def test_images_name_the_recipe_of_another_grain(make: Callable[[Path], None], recipe: str, tmp_path: Path) -> None:
    make(tmp_path)
    with pytest.raises(InputError) as error:
        Folder(tmp_path).list_images()
    assert str(error.value).startswith(f"{tmp_path} holds ")
    assert str(error.value).endswith(f": give --recipe {recipe}")


def photos(root: Path) -> None:
    image(*(root / name / "1.jpg" for name in ("cat", "dog")))


def photos_split(root: Path) -> None:
    image(*(root / split / name / "1.jpg" for split in ("train", "val") for name in ("cat", "dog")))


def photos_with_boxes(root: Path) -> None:
    photos(root)
    text(root / "annotations.json", boxes())
    text(root / "1.txt", "0 0.5 0.5 0.25 0.25")


def photos_with_splits_as_classes(root: Path) -> None:
    image(*(root / name / "1.jpg" for name in ("train", "bus", "test")))


@pytest.mark.parametrize("make", [photos, photos_split, photos_with_boxes, photos_with_splits_as_classes])
def test_class_folders_are_left_alone(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path)
    assert Folder(tmp_path).list_images()
    assert [layout.grain for layout in find_layouts(tmp_path)] == ["images"]


def test_class_folders_whose_names_are_those_of_no_class_are_left_alone(tmp_path: Path) -> None:
    image(*(tmp_path / name / "1.jpg" for name in ("masks", "labels")))
    text(tmp_path / "labels" / "readme.txt", "of 2019, 12 images\n")
    text(tmp_path / "about.json", '{"images": 2}')
    assert find_layouts(tmp_path) == []
    assert Folder(tmp_path).list_images()["all"].classes == ["labels", "masks"]


@pytest.mark.parametrize(("make", "recipe"), [(photos, "ce"), (coco, "maskrcnn_ce"), (yolo, FASTER)])
def test_pixels_name_the_recipe_of_another_grain(make: Callable[[Path], None], recipe: str, tmp_path: Path) -> None:
    make(tmp_path)
    with pytest.raises(InputError, match=f": give --recipe {recipe}$"):
        _ = SegmentationFolder(tmp_path).splits


def test_pixels_with_boxes_beside_them_are_left_alone(tmp_path: Path) -> None:
    pixels(tmp_path)
    text(tmp_path / "annotations" / "boxes.json", boxes())
    assert SegmentationFolder(tmp_path).read_classes() == ["a", "b"]


@pytest.mark.parametrize(("make", "name"), [(yolo, "yolo"), (voc, "voc")])
def test_boxes_of_another_format_name_it(make: Callable[[Path], None], name: str, tmp_path: Path) -> None:
    make(tmp_path)
    with pytest.raises(InputError, match=f": give --data {name} --data.root {tmp_path}$"):
        _ = COCO(tmp_path).splits


@pytest.mark.parametrize(("make", "recipe"), [(photos, "ce"), (pixels, "segmentation/ce")])
def test_boxes_name_the_recipe_of_another_grain(make: Callable[[Path], None], recipe: str, tmp_path: Path) -> None:
    make(tmp_path)
    with pytest.raises(InputError, match=f": give --recipe {recipe}$"):
        _ = COCO(tmp_path).splits


@pytest.mark.parametrize(
    ("recipe", "segmentation", "fitting"),
    [
        *(("ce", POLYGON, "maskrcnn_ce"), ("bcl", [], FASTER), ("clips/ce", {"size": [8, 8]}, "maskrcnn_ce")),
        ("segmentation/ce", None, FASTER),
    ],
)
def test_a_file_of_boxes_names_the_recipe(
    recipe: str, segmentation: object, fitting: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "x.json"
    text(file, boxes(segmentation))
    line = fails(capsys, "fit", "--recipe", recipe, "--data", str(file), "--run", str(tmp_path / "run"))
    assert f"give --recipe {fitting} --data FOLDER, that of the images, and --data.train {file}" in line
    assert not (tmp_path / "run").exists()


def test_the_command_names_the_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    coco(tmp_path / "set")
    line = fails(capsys, "fit", "--recipe", "ce", "--data", str(tmp_path / "set"), "--run", str(tmp_path / "run"))
    assert "holds boxes in COCO's format, with masks: give --recipe maskrcnn_ce" in line
    assert not (tmp_path / "run").exists()


def test_classes_of_the_package_are_named_in_one_place() -> None:
    """Whoever imports none takes its name from ``Reader``; and what a layout tells people to type is there."""
    assert {reader.value for reader in Reader} <= shipped().keys()
    for reader in Reader:
        assert reader_of(reader.path) is reader_of(reader.value) is reader
        assert find_class(reader.path) is find_class(reader)
    assert reader_of("my_sets.Folder") is None
    package = Path(longtail.__file__).parent
    strings = re.compile(rf"""(['"])(longtail\.data\.)?({"|".join(shipped())})\1""")
    naming = {file.relative_to(package) for file in package.rglob("*.py") if strings.search(file.read_text())}
    assert {file for file in naming if file.parts[0] != "reports"} == {Path("files", "formats", "readers.py")}, (
        "heads of tables"
    )
    for layout in (value for value in vars(layouts).values() if isinstance(value, layouts.Layout)):
        options = dict(pairs(layout.way_out.removeprefix("give ").split()))
        assert options["--recipe"] in recipe_names()
        assert options.get("--data", "coco") in short_names()
        assert layout.shapes == options["--recipe"].startswith("maskrcnn")
