"""Images of several labels: how they are read, split and recalled."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from refusal import refusal_of

from longtail.data.images.folder import Table
from longtail.data.images.several_labels import MultiLabelFolder, MultiLabelTable
from longtail.data.record import SplitRecord
from longtail.errors import InputError

FEW: dict[str, Any] = {"batch_size": 2, "num_workers": 0, "image_size": 8}
SETS = ["cat|dog", "dog", "", "cat", "bird | dog", "cat|bird|dog", "dog|dog", "bird"]
CLASSES = ["bird", "cat", "dog"]


def write(file: Path, header: str, rows: list[str]) -> Path:
    file.write_text("\n".join([header, *rows]), encoding="utf-8")
    return file


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Eight images."""
    for i in range(len(SETS)):
        Image.new("RGB", (8, 8), (20 * i, 0, 0)).save(tmp_path / f"{i}.png")
    return tmp_path


def sets_of(data: MultiLabelTable | MultiLabelFolder, split: str = "train") -> dict[str, list[str]]:
    """The labels of each image of a split."""
    part = data.split(split)
    assert part is not None
    table = part.table(len(data.classes))
    return {
        data.file_name(split, row): [data.classes[c] for c in np.flatnonzero(table[row])] for row in range(len(part))
    }


EXPECTED = {
    f"{i}.png": [name for name in CLASSES if name in {part.strip() for part in text.split("|")}]
    for i, text in enumerate(SETS)
}


def names(place: Path) -> Path:
    return write(place / "t.csv", "path,labels", [f"{i}.png,{text}" for i, text in enumerate(SETS)])


def flags(place: Path) -> Path:
    rows = [f"{i}.png," + ",".join(str(int(c in EXPECTED[f"{i}.png"])) for c in CLASSES) for i in range(len(SETS))]
    return write(place / "t.csv", "image,bird,cat,dog", rows)


def lines(place: Path) -> Path:
    rows = [f"{i}.png,{name}" for i in range(len(SETS)) for name in EXPECTED[f"{i}.png"] or [""]]
    return write(place / "t.csv", "path,label", rows)


@pytest.mark.parametrize("make", [names, flags, lines], ids=lambda make: make.__name__)
def test_a_table_says_the_labels_of_each_image(place: Path, make: Any) -> None:
    data = MultiLabelTable(table=make(place), val_fraction=0, **FEW)
    assert data.classes == CLASSES
    assert sets_of(data) == EXPECTED
    assert data.image_counts == data.label_counts == [3, 3, 5]
    batch = next(iter(data.train_dataloader()))
    assert batch["targets"].dtype == torch.bool
    assert batch["targets"].shape == (2, 3)


def test_a_column_of_0_and_1_is_a_class_whatever_its_name(place: Path) -> None:
    table = write(place / "t.csv", "Id,Action,Comedy,Drama", ["0.png,0,1,1", "1.png,1,0,0", "2.png,0,0,0"])
    data = MultiLabelTable(table=table, val_fraction=0, **FEW)
    assert data.classes == ["Action", "Comedy", "Drama"]
    assert sets_of(data) == {"0.png": ["Comedy", "Drama"], "1.png": ["Action"], "2.png": []}


@pytest.mark.parametrize("field", ["", "-1", "-1.0"])
def test_columns_of_0_and_1_that_do_not_say_it_for_each_image_are_refused(place: Path, field: str) -> None:
    rows = [f"0.png,Male,1.0,{field},0.0", f"1.png,Female,{field},1.0,1.0", "2.png,Male,0.0,0.0,1.0"]
    table = write(place / "t.csv", "Path,Sex,Edema,Fracture,Pneumonia", rows)
    with pytest.raises(InputError, match=r"t\.csv, line 1: fields that are blank or -1 .* Edema, Fracture: write 0 or"):
        _ = MultiLabelTable(table=table, **FEW).classes
    rows = [f"0.png,cat|dog,0,{field}", f"1.png,cat,{field},1"]
    table = write(place / "t.csv", "path,labels,blurred,indoors", rows)
    assert MultiLabelTable(table=table, val_fraction=0, **FEW).classes == ["cat", "dog"]


@pytest.mark.parametrize("name", ["t.txt", "t.lst"])
def test_a_list_file_says_them_as_well(place: Path, name: str) -> None:
    table = write(place / name, "0.png cat|dog", ["1.png |", "2.png bird"])
    data = MultiLabelTable(table=table, val_fraction=0, **FEW)
    assert sets_of(data) == {"0.png": ["cat", "dog"], "1.png": [], "2.png": ["bird"]}


def objects(place: Path, name: str, *labels: Any) -> Path:
    rows = [json.dumps({"image": f"{i}.png", name: texts, "width": 8, "at": [0, 0]}) for i, texts in enumerate(labels)]
    return write(place / "t.jsonl", rows[0], rows[1:])


@pytest.mark.parametrize("name", ["labels", "tags"])
def test_lists_in_lines_of_json_say_them_as_well(place: Path, name: str) -> None:
    table = objects(place, name, ["cat", "dog"], [], None, "bird|cat")
    data = MultiLabelTable(table=table, label_column=name, val_fraction=0, **FEW)
    assert sets_of(data) == {"0.png": ["cat", "dog"], "1.png": [], "2.png": [], "3.png": ["bird", "cat"]}
    for options in ({}, {"label_column": "labels"}) if name == "labels" else ():
        with pytest.raises(InputError, match=r"t\.jsonl, line 1: labels has lists; give --recipe multilabel/bce"):
            _ = Table(table, **options, **FEW).classes
    if name == "tags":
        with pytest.raises(InputError, match="which column has the classes"):
            _ = MultiLabelTable(table=table, **FEW).classes


def test_lists_of_what_are_no_labels_are_refused(place: Path) -> None:
    with pytest.raises(InputError, match=r"t\.jsonl, line 1: labels is not a list of names in each line"):
        _ = MultiLabelTable(table=objects(place, "labels", [{"name": "cat"}], []), **FEW).classes
    with pytest.raises(InputError, match=r"t\.jsonl, line 2: label a\|b has a \|, which separates labels; rename"):
        _ = MultiLabelTable(table=objects(place, "labels", ["cat"], ["dog", "a|b"]), **FEW).classes
    assert MultiLabelTable(table=objects(place, "labels", [0, 2], [1]), val_fraction=0, **FEW).classes == list("012")


def test_parquet_says_them_as_well(place: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    arrow = pytest.importorskip("pyarrow")
    table = arrow.table({"path": [f"{i}.png" for i in range(len(SETS))], "labels": SETS})
    parquet.write_table(table, place / "t.parquet")
    assert sets_of(MultiLabelTable(table=place / "t.parquet", val_fraction=0, **FEW)) == EXPECTED


def coco(place: Path, file: str, images: range, names: list[str]) -> Path:
    annotations = [
        {"id": 10 * i + j, "image_id": i, "category_id": CLASSES.index(name) + 1, "bbox": [0, 0, 2, 2], "area": 4}
        for i in images
        for j, name in enumerate([*EXPECTED[f"{i}.png"], *EXPECTED[f"{i}.png"]])
        if name in names
    ]
    content = {
        "images": [{"id": i, "file_name": f"{i}.png", "width": 8, "height": 8} for i in images],
        "annotations": annotations,
        "categories": [{"id": c + 1, "name": name} for c, name in enumerate(CLASSES)],
    }
    (place / file).write_text(json.dumps(content))
    return place / file


def test_the_classes_of_objects_are_labels(place: Path, log: pytest.LogCaptureFixture) -> None:
    train = coco(place, "instances_train.json", range(4), ["cat", "dog"])
    val = coco(place, "instances_val.json", range(4, 8), CLASSES)
    expected = {name: [c for c in classes if c != "bird"] for name, classes in EXPECTED.items()}
    for data in (MultiLabelTable(table=train, val=val, **FEW), MultiLabelFolder(root=place, **FEW)):
        assert data.classes == ["cat", "dog"]
        assert sets_of(data) == {f"{i}.png": expected[f"{i}.png"] for i in range(4)}
        assert sets_of(data, "val") == {f"{i}.png": expected[f"{i}.png"] for i in range(4, 8)}
        assert "left out 3 labels of 1 class that training lacks: bird" in log.text
        log.clear()


def test_classes_that_are_given_are_taken_in_their_order(place: Path) -> None:
    data = MultiLabelTable(table=names(place), classes=["dog", "cat", "bird"], val_fraction=0, **FEW)
    assert data.classes == ["dog", "cat", "bird"]
    assert data.image_counts == [5, 3, 3]
    with pytest.raises(InputError, match=r"t\.csv, line 6: label bird is not one of the 2 known classes"):
        _ = MultiLabelTable(table=names(place), classes=["dog", "cat"], **FEW).classes
    with pytest.raises(InputError, match=r"no training image of fox"):
        _ = MultiLabelTable(table=names(place), classes=[*CLASSES, "fox"], val_fraction=0, **FEW).classes
    with pytest.raises(InputError, match="classes has a name twice"):
        MultiLabelTable(table=names(place), classes=["dog", "dog"], **FEW)


def test_what_is_held_out_is_label_by_label_and_whole_groups(place: Path) -> None:
    data = MultiLabelTable(table=names(place), val_fraction=0.4, **FEW)
    for split in ("train", "val"):
        assert {c for labels in sets_of(data, split).values() for c in labels} == set(CLASSES)
    for i in range(len(SETS)):
        (place / f"{i % 2}").mkdir(exist_ok=True)
        (place / f"{i}.png").rename(place / f"{i % 2}" / f"{i}.png")
    rows = [f"{i % 2}/{i}.png,{text},{i % 2}" for i, text in enumerate(SETS)]
    table = write(place / "g.csv", "path,labels,place", rows)
    for group in ("place", r"([0-9])/[^/]*$"):
        data = MultiLabelTable(table=table, val_fraction=0.4, group=group, **FEW)
        assert len(sets_of(data, "val")) >= 2
        assert len({int(name[0]) % 2 for name in sets_of(data)}) == 1


def test_rows_of_an_image_that_differ_in_group_or_split_are_refused(place: Path) -> None:
    rows = ["0.png,cat,A", "1.png,dog,B", "0.png,dog,A", "1.png,cat,A"]
    table = write(place / "g.csv", "path,label,patient", rows)
    with pytest.raises(InputError, match=r"g\.csv, line 5: the group of 1\.png is A, and B in line 3; give all rows"):
        _ = MultiLabelTable(table=table, group="patient", **FEW).classes
    rows = ["0.png,cat,train", "1.png,dog,train", "2.png,dog,val", "1.png,cat,val"]
    table = write(place / "s.csv", "path,label,split", rows)
    with pytest.raises(InputError, match=r"s\.csv: rows of .*1\.png are of train and of val; give all the same split"):
        _ = MultiLabelTable(table=table, **FEW).classes


def test_a_run_finds_its_splits_again(place: Path, log: pytest.LogCaptureFixture) -> None:
    record = SplitRecord.of(MultiLabelTable(table=names(place), val_fraction=0.4, **FEW))
    assert record is not None
    before = MultiLabelTable(table=names(place), val_fraction=0.4, **FEW)
    rerun = MultiLabelTable(table=names(place), val_fraction=0.1, **FEW)
    rerun.keep_splits(record, measured_alone=True)
    for split in ("train", "val"):
        assert sets_of(rerun, split) == sets_of(before, split)
    first = next(iter(sets_of(before)))
    rows = [f"{i}.png,{'fox' if f'{i}.png' == first else text}" for i, text in enumerate(SETS)]
    write(place / "t.csv", "path,labels", rows)
    data = MultiLabelTable(table=place / "t.csv", **FEW)
    data.keep_splits(record, measured_alone=True)
    assert sets_of(data).keys() == sets_of(before).keys() - {first}
    assert f"training images of the run has changed, left out: {first}" in log.text


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["0.png,", "1.png,"], "t.csv: no image has a class; fill in the labels"),
        (["0.png,cat", "1.png,cat|cat"], "all rows have the label cat; at least two classes are needed"),
        (["0.png,cat", "9.png,dog"], "t.csv, line 3: no such file"),
        ([], "the table is empty"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(place: Path, rows: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message.replace(".", r"\.")):
        _ = MultiLabelTable(table=write(place / "t.csv", "path,labels", rows), **FEW).classes


def test_a_label_that_training_lacks_is_refused_in_a_table(place: Path) -> None:
    val = write(place / "v.csv", "path,labels", ["0.png,cat|catt"])
    with pytest.raises(InputError, match=r"v\.csv, line 2: label catt is not one of the 3 known classes"):
        _ = MultiLabelTable(table=names(place), val=val, **FEW).classes


def test_folders_of_classes_are_refused(place: Path) -> None:
    for name in ("cat", "dog"):
        (place / "photos" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(place / "photos" / name / "a.png")
    for data in (
        MultiLabelFolder(root=place / "photos", **FEW),
        MultiLabelTable(table=names(place), val=place / "photos", **FEW),
    ):
        with pytest.raises(InputError, match="photos has folders for classes, and each image one label: give --data"):
            _ = data.classes
    with pytest.raises(InputError, match="photos has folders for classes, and each image one label: give --data"):
        MultiLabelFolder(root=place / "photos", **FEW).labelled("test", ["cat", "dog"])


@pytest.mark.parametrize("majority", [True, False])
def test_a_table_of_single_labels_with_several_names_the_recipes(place: Path, majority: bool) -> None:
    rows = ["0.png,1,1", "1.png,1,1", "2.png,0,1"] if majority else ["0.png,1,0", "1.png,1,1", "2.png,0,1"]
    table = write(place / "t.csv", "path,cat,dog", rows)
    assert "give --recipe multilabel/bce" in refusal_of(lambda: Table(table, **FEW).classes)
