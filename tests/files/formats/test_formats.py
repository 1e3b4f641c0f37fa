"""Files about images with classes, as the tools write them."""

import json
from pathlib import Path
from typing import Any

import pytest
from refusal import refusal

from longtail.files.formats.known import is_labels, read_file, read_folder
from longtail.files.images.passed_over import Why
from longtail.files.listing import Listing
from longtail.files.tables.columns import Columns
from longtail.files.tables.entries import Reading


def fill(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def write(file: Path, content: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def pairs(listing: Listing, root: Path) -> list[tuple[str, str]]:
    """Each path with its class."""
    names = [Path(path).relative_to(root).as_posix() for path in listing.paths]
    return [(name, listing.classes[target]) for name, target in zip(names, listing.targets, strict=True)]


def test_ids_without_suffix_and_numbers_as_classes(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    """As in the competition on diabetic retinopathy of APTOS."""
    fill(tmp_path, "train_images/000c.png", "train_images/1.2.png", "test_images/000d.png")
    write(tmp_path / "train.csv", "id_code,diagnosis\n000c,4\n1.2,2\n")
    write(tmp_path / "sample_submission.csv", "id_code,diagnosis\n000d,0\n")
    listings = read_folder(tmp_path, Reading())
    assert pairs(listings["train"], tmp_path) == [("train_images/000c.png", "4"), ("train_images/1.2.png", "2")]
    assert "read as a table: train in train.csv" in log.text
    assert "paths in column id_code, classes in column diagnosis" in log.text
    assert "labels are 2 numbers from 2 to 4, which are the names of the classes in this order" in log.text


def test_a_column_for_each_class(tmp_path: Path) -> None:
    """As in the challenges of ISIC, with a column that is none of a class."""
    fill(tmp_path, *(f"images/ISIC_{i}.jpg" for i in range(3)))
    file = write(tmp_path / "truth.csv", "image,MEL,NV,BCC,age\nISIC_0,1.0,0.0,0.0,3\nISIC_1,0.0,1.0,0.0,4\n")
    assert pairs(read_file(file, None, Reading())["all"], tmp_path) == [
        ("images/ISIC_0.jpg", "MEL"),
        ("images/ISIC_1.jpg", "NV"),
    ]
    with file.open("a") as stream:
        stream.write("ISIC_2,1.0,1.0,0.0,5\n")
    message = refusal(file)
    assert (
        f"{file}, line 4: ISIC_2 has several classes, MEL, NV; each needs one: give --recipe multilabel/bce" in message
    )
    assert "or correct it, or leave such rows out by --skip-bad-images" in message
    reading = Reading(skip=True)
    assert len(read_file(file, None, reading)["all"]) == 2
    assert reading.passed_over.counts("image") == [(1, "image", "of several classes in truth.csv", Why.FAULTY)]


def test_semicolons_no_header_and_a_column_of_splits(tmp_path: Path) -> None:
    fill(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    file = write(tmp_path / "t.csv", "image;class;split\na.jpg;x;Training\nb.jpg;y;train\nc.jpg;y;valid\n")
    listings = read_file(file, None, Reading())
    assert {name: pairs(listing, tmp_path) for name, listing in listings.items()} == {
        "train": [("a.jpg", "x"), ("b.jpg", "y")],
        "val": [("c.jpg", "y")],
    }
    for text in ("a.jpg 0\nb.jpg 1\n", "a.jpg,0\nb.jpg,1\n"):
        listing = read_file(write(tmp_path / "t.csv", text), None, Reading())["all"]
        assert pairs(listing, tmp_path) == [("a.jpg", "0"), ("b.jpg", "1")]


def test_names_that_lie_twice(tmp_path: Path) -> None:
    fill(tmp_path, "train/1.jpg", "test/1.jpg", "train/2.jpg")
    write(tmp_path / "train.csv", "id,label\n1,x\n2,y\n")
    assert pairs(read_folder(tmp_path, Reading())["train"], tmp_path) == [("train/1.jpg", "x"), ("train/2.jpg", "y")]
    assert "train.csv, line 2: 1 may be " in refusal(tmp_path / "train.csv")


def test_a_table_beside_folders_that_are_no_classes(tmp_path: Path) -> None:
    """As HAM10000 has it, whose two folders are parts of one set."""
    fill(tmp_path, "part_1/a.jpg", "part_2/b.jpg")
    write(tmp_path / "meta.csv", "lesion_id,image_id,dx,age\n1,a,nv,4\n2,b,mel,5\n")
    assert "has folders of images, part_1, part_2, and meta.csv with other classes: give --data " in refusal(tmp_path)
    write(tmp_path / "meta.csv", "image_id,dx\na,part_1\nb,part_2\n")
    assert read_folder(tmp_path, Reading()) == {}, "the folders are the classes"


INATURALIST = {
    "info": {"year": 2019},
    "images": [
        {"id": 5, "width": 8, "height": 8, "file_name": "train_val2019/Birds/1/a.jpg", "license": 1},
        {"id": 7, "width": 8, "height": 8, "file_name": "train_val2019/Birds/2/b.jpg", "license": 1},
    ],
    "categories": [
        {"id": 1, "name": "Larus", "supercategory": "Birds"},
        {"id": 0, "name": "Corvus"},
        {"id": 2, "name": "Pica"},
    ],
    "annotations": [{"id": 5, "image_id": 5, "category_id": 1}, {"id": 7, "image_id": 7, "category_id": 0}],
}


def test_inaturalist(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    fill(tmp_path, "train_val2019/Birds/1/a.jpg", "train_val2019/Birds/2/b.jpg", "train_val2019/Birds/2/c.jpg")
    write(tmp_path / "train2019.json", INATURALIST)
    val = {**INATURALIST, "images": [{"id": 9, "file_name": "train_val2019/Birds/2/c.jpg"}]}
    write(tmp_path / "val2019.json", {**val, "annotations": [{"id": 1, "image_id": 9, "category_id": 0}]})
    listings = read_folder(tmp_path, Reading())
    assert listings["train"].classes == ["Corvus", "Larus"]
    assert pairs(listings["train"], tmp_path) == [
        ("train_val2019/Birds/1/a.jpg", "Larus"),
        ("train_val2019/Birds/2/b.jpg", "Corvus"),
    ]
    assert pairs(listings["val"], tmp_path) == [("train_val2019/Birds/2/c.jpg", "Corvus")]
    words = "read as classes of images in COCO's form: train in train2019.json, val in val2019.json"
    assert words in log.text
    assert "left out 1 class without an image: Pica" in log.text
    write(tmp_path / "train_more.json", INATURALIST)
    assert "has several files for train, train2019.json, train_more.json: give one" in refusal(tmp_path)


def camera_traps(root: Path) -> Path:
    images = [
        {"id": f"{i:x}-a", "file_name": f"{i}.jpg", "location": place, "seq_id": f"s{i // 2}", "frame_num": i % 2 + 1}
        for i, place in enumerate(["26", "26", "33", "33", "40"])
    ]
    images.append({"id": "bad", "file_name": "bad.jpg", "location": "40", "corrupt": True})
    labels = [(0, 1), (1, 1), (1, 1), (2, 30), (3, 1), (4, 30)]
    annotations = [{"id": f"n{n}", "image_id": f"{i:x}-a", "category_id": c} for n, (i, c) in enumerate(labels)]
    names = [{"id": 1, "name": "opossum"}, {"id": 30, "name": "empty"}]
    fill(root / "cct_images", *(f"{i}.jpg" for i in range(5)))
    return write(root / "cct.json", {"images": images, "annotations": annotations, "categories": names})


def test_camera_traps(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    file = camera_traps(tmp_path)
    listing = read_file(file, None, Reading(columns=Columns(group="location")))["all"]
    assert listing.classes == ["opossum", "empty"]
    assert listing.targets.tolist() == [0, 0, 1, 0, 1]
    assert listing.groups == ["26", "26", "33", "33", "40"]
    assert "left out 1 image that it calls corrupt" in log.text
    assert "--data.group location keeps" not in log.text
    read_file(file, None, Reading())
    assert "--data.group location keeps those of one on one side" in log.text
    message = refusal(file, Reading(columns=Columns(group="place")))
    assert "no image has a place, they have file_name, frame_num, id, location, seq_id" in message


def test_lists_of_places(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    """As LILA has them beside its sets."""
    camera_traps(tmp_path)
    write(tmp_path / "cct_splits.json", {"info": {}, "splits": {"train": ["26", "33"], "val": ["40"]}})
    listings = read_folder(tmp_path, Reading())
    assert {name: len(listing) for name, listing in listings.items()} == {"train": 4, "val": 1}
    assert "splits by location are those of " in log.text


TASKS = [
    {
        "id": 1,
        "annotations": [
            {
                "id": 11,
                "completed_by": 1,
                "result": [
                    {
                        "value": {"choices": [label]},
                        "id": "x",
                        "from_name": "choice",
                        "to_name": "image",
                        "type": "choices",
                        "origin": "manual",
                    }
                ],
                "was_cancelled": skip,
                "lead_time": 2.5,
            }
        ],
        "file_upload": "0a1b2c3d-a.jpg",
        "predictions": [],
        "data": {"image": place},
    }
    for label, place, skip in [
        ("Cat", "/data/upload/1/0a1b2c3d-a.jpg", False),
        ("Dog", "/data/local-files/?d=pets/b%20c.jpg", False),
        ("Dog", "s3://bucket/pets/d.jpg", True),
    ]
]
SMALL = [
    {
        **{"image": task["data"]["image"], "id": 1, "choice": label, "annotator": 1, "annotation_id": 11},  # type: ignore[index]
        **{"created_at": "2024-01-01T00:00:00Z", "updated_at": "2024-01-01T00:00:00Z", "lead_time": 2.5},
    }
    for task, label in zip(TASKS, ["Cat", "Dog", {"choices": ["Cat", "Dog"]}], strict=True)
]
LABEL_STUDIO_CSV = (
    "image,id,choice,annotator,annotation_id,created_at,updated_at,lead_time\n"
    "/data/upload/1/0a1b2c3d-a.jpg,1,Cat,1,11,2024-01-01T00:00:00Z,2024-01-01T00:00:00Z,2.5\n"
    "/data/local-files/?d=pets/b%20c.jpg,2,Dog,1,12,2024-01-01T00:00:00Z,2024-01-01T00:00:00Z,2.5\n"
)


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("project-1.json", TASKS, "Label Studio's export"),
        ("project-1-min.json", SMALL[:2], "Label Studio's export"),
        ("project-1.csv", LABEL_STUDIO_CSV, "Label Studio's CSV"),
    ],
)
def test_label_studio(tmp_path: Path, log: pytest.LogCaptureFixture, name: str, content: Any, kind: str) -> None:
    fill(tmp_path, "images/a.jpg", "pets/b c.jpg")
    file = write(tmp_path / name, content)
    assert is_labels(file)
    reading = Reading()
    expected = [("images/a.jpg", "Cat"), ("pets/b c.jpg", "Dog")]
    assert pairs(read_folder(tmp_path, reading)["all"], tmp_path) == expected
    assert pairs(read_file(file, None, Reading())["all"], tmp_path) == expected
    assert f"read as {kind}" in log.text
    skips = [(1, "image", "without a class in project-1.json", Why.OTHER)] if content is TASKS else []
    assert reading.passed_over.counts("image") == skips, "a task that was skipped has none"


def test_several_choices(tmp_path: Path) -> None:
    fill(tmp_path, "images/a.jpg", "pets/b c.jpg", "d.jpg")
    file = write(tmp_path / "min.json", SMALL)
    assert f"{file}, task 3: bucket" not in refusal(file)
    assert "has several classes, Cat, Dog; each needs one" in refusal(file)


@pytest.mark.parametrize("classes", [["cat", "dog", "owl"], None])
def test_fiftyone(tmp_path: Path, log: pytest.LogCaptureFixture, classes: list[str] | None) -> None:
    fill(tmp_path, "data/a.1.jpg", "data/b.jpg", "data/c.png")
    labels: dict[str, Any] = {"a.1": 1, "b": {"label": 0, "confidence": 0.5}, "c": None}
    if classes is None:
        labels = {"a.1": "dog", "b": "cat", "c": None}
    write(tmp_path / "labels.json", {"classes": classes, "labels": labels})
    reading = Reading()
    assert pairs(read_folder(tmp_path, reading)["all"], tmp_path) == [("data/a.1.jpg", "dog"), ("data/b.jpg", "cat")]
    assert "read as FiftyOne's export: all in labels.json" in log.text
    assert reading.passed_over.counts("image") == [(1, "image", "without a class in labels.json", Why.OTHER)]
    write(tmp_path / "labels.json", {"classes": ["cat"], "labels": {"b": 1}})
    assert "labels.json, image 1: b has the class 1, there are 1" in refusal(tmp_path)


def test_roboflow(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    for split, names in (("train", "ab"), ("valid", "c"), ("test", "d")):
        fill(tmp_path / split, *(f"{name}_jpg.rf.0a.jpg" for name in names))
        lines = [f"{name}_jpg.rf.0a.jpg, {int(name != 'b')}, {int(name == 'b')}" for name in names]
        write(tmp_path / split / "_classes.csv", "\n".join(["filename, cat, dog", *lines]))
    listings = read_folder(tmp_path, Reading())
    assert {name: pairs(listing, tmp_path) for name, listing in listings.items()} == {
        "train": [("train/a_jpg.rf.0a.jpg", "cat"), ("train/b_jpg.rf.0a.jpg", "dog")],
        "val": [("valid/c_jpg.rf.0a.jpg", "cat")],
        "test": [("test/d_jpg.rf.0a.jpg", "cat")],
    }
    words = "read as a table: test in test/_classes.csv, train in train/_classes.csv, val in valid/_classes.csv"
    assert words in log.text


def test_open_images(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    fill(tmp_path, "train/0a.jpg", "train/0b.jpg", "validation/0c.jpg")
    head = "ImageID,Source,LabelName,Confidence\n"
    lines = ["0a,verification,/m/1,1", "0a,verification,/m/2,0", "0b,verification,/m/2,1"]
    write(tmp_path / "train-annotations-human-imagelabels.csv", head + "\n".join(lines))
    write(tmp_path / "validation-annotations-human-imagelabels.csv", head + "0c,verification,/m/1,1\n")
    write(tmp_path / "class-descriptions.csv", "/m/1,Tortoise\n/m/2,Container\n")
    listings = read_folder(tmp_path, Reading())
    assert pairs(listings["train"], tmp_path) == [("train/0a.jpg", "Tortoise"), ("train/0b.jpg", "Container")]
    assert pairs(listings["val"], tmp_path) == [("validation/0c.jpg", "Tortoise")]
    assert "left out 1 label of confidence 0, of what an image does not show" in log.text
    write(tmp_path / "validation-annotations-human-imagelabels.csv", head + "0c,verification,/m/1,x\n")
    assert "imagelabels.csv, line 2: could not convert string to float: 'x'; correct the row" in refusal(tmp_path)


def test_two_formats_in_a_folder(tmp_path: Path) -> None:
    fill(tmp_path, "data/a.jpg")
    write(tmp_path / "labels.json", {"classes": ["cat"], "labels": {"a": 0}})
    write(tmp_path / "project.json", TASKS)
    assert "holds FiftyOne's export and Label Studio's export: give the file, by --data FILE" in refusal(tmp_path)


def test_no_json(tmp_path: Path) -> None:
    file = write(tmp_path / "a.json", '{"images": [{"file_name": "a"},\n "annotations"')
    assert f"{file}, line 2: no JSON (" in refusal(file)
    write(file, {"images": [{"file_name": "a"}], "annotations": [{"category_id": 1}]})
    assert "a.json: no images with classes in COCO's form (no 'categories'); correct it" in refusal(file)
    write(file, {"images": [], "annotations": [{"image_id": 1, "category_id": 1}], "categories": []})
    assert "a.json, annotation 1: there is no category 1" in refusal(file)


def test_tags_of_cvat(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    """As CVAT writes them with subsets, and Datumaro and FiftyOne with a file for each split."""

    def xml(*images: tuple[str, str, str]) -> str:
        tags = {name: "".join(f'<tag label="{label}"></tag>' for label in labels.split()) for name, labels, _ in images}
        entries = (
            f'<image name="{name}" width="8" height="8" {subset}>{tags[name]}</image>' for name, _, subset in images
        )
        return f"<annotations><version>1.1</version>{''.join(entries)}</annotations>"

    fill(tmp_path, "images/ä 1.png", "images/2.png", "images/3.png", "images/4.png")
    train, val = 'subset="Train"', 'subset="Validation"'
    content = xml(("ä 1.png", "cat", train), ("2.png", "dog", train), ("3.png", "", train), ("4.png", "cat", val))
    write(tmp_path / "annotations.xml", content)
    listings = read_folder(tmp_path, Reading())
    assert pairs(listings["train"], tmp_path) == [("images/ä 1.png", "cat"), ("images/2.png", "dog")]
    assert pairs(listings["val"], tmp_path) == [("images/4.png", "cat")]
    assert "read as tags in CVAT's XML: all in annotations.xml" in log.text
    (tmp_path / "annotations.xml").unlink()
    write(tmp_path / "train.xml", xml(("ä 1.png", "cat", ""), ("2.png", "dog", "")))
    write(tmp_path / "val.xml", xml(("4.png", "cat", "")))
    listings = read_folder(tmp_path, Reading())
    assert {split: len(listing.paths) for split, listing in listings.items()} == {"train": 2, "val": 1}
    write(
        tmp_path / "train.xml", xml(("ä 1.png", "cat", train), ("2.png", "dog", train), ("3.png", "dog", 'subset="x"'))
    )
    assert len(read_file(tmp_path / "train.xml", None, Reading())["train"].paths) == 2
    assert "left out 1 tag of a subset that is no split" in log.text
    write(tmp_path / "train.xml", xml(("ä 1.png", "cat dog", ""))[:-5])
    assert "train.xml: cannot be read as XML" in refusal(tmp_path / "train.xml")
