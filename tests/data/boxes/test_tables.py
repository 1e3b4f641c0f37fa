"""Boxes in tables, as Hugging Face's ``datasets`` 5 writes them and as the schema of older versions has them: a
structure of lists, as its ``Sequence`` of a structure is stored, and a list of structures, as its ``List`` is."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from refusal import refusal_of
from tables import IMAGE, encoded, pa, parquet, with_features

from longtail.augment.instances import MultiScale
from longtail.cli.data import data_options
from longtail.cli.main import main
from longtail.data import COCO, BoxTables, Folder, PolygonFolder, SegmentationFolder, Table
from longtail.data.record import Recall, SplitRecord
from longtail.errors import InputError
from longtail.files.boxes.forms import box_form
from longtail.files.formats.layouts import find_layouts
from longtail.files.formats.recognise import recognise

SET, SIZE = Path("set"), (24, 16)
NAMES = ["cat", "dog", "owl"]
OPTIONS: dict[str, Any] = {
    "num_workers": 0,
    "batch_size": 1,
    "val_fraction": 0,
    "masks": False,
    "view": MultiScale([16], 32),
}
BOX = pa.list_(pa.float32(), 4)
LISTS = pa.struct({"bbox": pa.list_(BOX), "category": pa.list_(pa.int64()), "iscrowd": pa.list_(pa.int64())})
STRUCTURES = pa.list_(pa.struct({"area": pa.float64(), "bbox": BOX, "category": pa.int64()}))
LABEL = {"names": NAMES, "_type": "ClassLabel"}
# What the schema says of the two, and how older versions say it.
NEW_LISTS = {name: {"feature": part, "_type": "List"} for name, part in (("bbox", {}), ("category", LABEL))}
OLD_LISTS = {"feature": {"bbox": {}, "category": LABEL}, "length": -1, "_type": "Sequence"}
NEW_STRUCTURES = {"feature": {"bbox": {}, "category": LABEL}, "_type": "List"}
OLD_STRUCTURES = [{"bbox": {}, "category": LABEL}]

Boxes = Sequence[tuple[Sequence[float], int]]


def picture(grey: int) -> bytes:
    return encoded(np.full((*SIZE[::-1], 3), grey))


def table(
    rows: Sequence[Boxes], kind: Any = STRUCTURES, feature: Any = NEW_STRUCTURES, first: int = 1, **extra: Any
) -> Any:
    """A table of plain images, grey as their number, with boxes and classes."""
    images = [{"bytes": picture(first + i), "path": f"{first + i}.png"} for i in range(len(rows))]
    objects = [
        {"bbox": [box for box, _ in row], "category": [c for _, c in row], "iscrowd": [0] * len(row)}
        if pa.types.is_struct(kind)
        else [{"area": 7.0, "bbox": box, "category": c} for box, c in row]
        for row in rows
    ]
    columns = {"image": pa.array(images, IMAGE), "objects": pa.array(objects, kind)}
    content = pa.table(columns | {name: pa.array(values) for name, values in extra.items()})
    features = {"image": {"_type": "Image"}, "objects": feature}
    return with_features(content, features)


def boxes(data: BoxTables, split: str = "train") -> list[list[tuple[str, list[float]]]]:
    """The class and the corners of the objects of each image."""
    _ = data.splits
    instances = [data.instances(split, row) for row in range(data.size(split))]
    return [
        [
            (data.classes[label], corners)
            for label, corners in zip(image.labels.tolist(), image.boxes.tolist(), strict=True)
        ]
        for image in instances
    ]


TRAIN: list[Boxes] = [[([10, 4, 6, 8], 1), ([0, 0, 2, 3], 0)], [], [([12, 10, 12, 6], 1)]]
READ = [[("dog", [10, 4, 16, 12]), ("cat", [0, 0, 2, 3])], [], [("dog", [12, 10, 24, 16])]]


@pytest.mark.parametrize(
    ("kind", "feature"),
    [(LISTS, NEW_LISTS), (LISTS, OLD_LISTS), (STRUCTURES, NEW_STRUCTURES), (STRUCTURES, OLD_STRUCTURES)],
    ids=["lists", "old lists", "structures", "old structures"],
)
def test_objects(tmp_path: Path, kind: Any, feature: Any, log: pytest.LogCaptureFixture) -> None:
    parquet(tmp_path / "data/train-00000-of-00002.parquet", table(TRAIN[:2], kind, feature))
    parquet(tmp_path / "data/train-00001-of-00002.parquet", table(TRAIN[2:], kind, feature, first=3))
    parquet(tmp_path / "data/validation-00000-of-00001.parquet", table([[([1, 1, 5, 5], 2)]], kind, feature, first=9))
    data = BoxTables(tmp_path, **OPTIONS)
    assert boxes(data) == READ
    assert boxes(data, "val") == [[("owl", [1, 1, 6, 6])]]
    assert data.classes == NAMES
    assert data.file_name("train", 2) == "data/train-00001-of-00002.parquet/row1-3.png"
    areas = [entry["area"] for entry in data.truth("train", False)["annotations"]]
    assert areas == ([48, 6, 72] if kind == LISTS else [7, 7, 7])
    files = "train in data/train-00000-of-00002.parquet and 1 more file, val in data/validation-00000-of-00001.parquet"
    assert f"read as boxes in tables: {files}; boxes read as x, y, width, height" in log.text
    assert [layout.words for layout in find_layouts(tmp_path)] == ["boxes in tables"]
    assert data_options(str(tmp_path), "longtail.data.COCO")[1] == "longtail.data.BoxTables"


def test_metadata_beside_the_images(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    """As ``imagefolder`` reads it, with names as text."""
    for split, categories in (("train", ["dog", "cat"]), ("test", ["cat"])):
        folder = tmp_path / split
        folder.mkdir()
        lines = []
        for number, category in enumerate(categories):
            (folder / f"{number}.png").write_bytes(picture(number))
            objects = {"bbox": [[4, 4, 6, 8]], "categories": [category]}
            lines.append(json.dumps({"file_name": f"{number}.png", "objects": objects}))
        (folder / "metadata.jsonl").write_text("\n".join(lines))
    data = BoxTables(tmp_path, **OPTIONS)
    assert boxes(data) == [[("dog", [4, 4, 10, 12])], [("cat", [4, 4, 10, 12])]]
    assert boxes(data, "test") == [[("cat", [4, 4, 10, 12])]]
    assert data.file_name("test", 0) == "test/0.png"
    assert "train in train/metadata.jsonl, test in test/metadata.jsonl" in log.text
    with (tmp_path / "train" / "metadata.jsonl").open("a") as file:
        file.write('\n{"file_name": "1.png", "objects": 5}')
    with pytest.raises(InputError, match=r"train/metadata\.jsonl, row 3 has 5 in the place of objects"):
        BoxTables(tmp_path, **OPTIONS).setup("fit")
    (tmp_path / "train" / "0.png").unlink()
    with pytest.raises(InputError, match=r"train/metadata\.jsonl, row 1 has no image, or one that is not there"):
        BoxTables(tmp_path, **OPTIONS).setup("fit")
    data = BoxTables(tmp_path, **OPTIONS, skip_bad_annotations=True)
    assert boxes(data) == [[("cat", [4, 4, 10, 12])], []]


def test_columns_without_a_structure_and_numbers_without_names(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    content = table(TRAIN).drop_columns(["objects"])
    content = content.append_column("bboxes", pa.array([[[1.0, 1.0, 4.0, 4.0]], [], None]))
    content = content.append_column("labels", pa.array([[17], [], None]))
    file = parquet(tmp_path / "train.parquet", content)
    data = BoxTables(tmp_path, **OPTIONS)
    assert boxes(data) == [[("17", [1, 1, 5, 5])], [], []]
    assert "no names, so classes are numbers" in log.text
    options = data_options(str(file), "longtail.data.COCO")
    assert options == ["--data", "longtail.data.BoxTables", f"--data.root={tmp_path}", f"--data.train={file}"]


CORNERS: list[Boxes] = [[([10, 4, 16, 12], 1), ([0, 0, 2, 3], 0)], [], [([12, 10, 24, 16], 1)]]
PARTS: list[Boxes] = [
    [([10 / 24, 0.25, 0.25, 0.5], 1), ([0, 0, 2 / 24, 3 / 16], 0)],
    [],
    [([0.5, 10 / 16, 0.5, 6 / 16], 1)],
]
CENTRES: list[Boxes] = [[([13, 8, 6, 8], 1), ([1, 1.5, 2, 3], 0)], [], [([18, 13, 12, 6], 1)]]


@pytest.mark.parametrize(
    ("rows", "form", "words"),
    [
        (TRAIN, None, "boxes read as x, y, width, height"),
        (TRAIN, "xywh", "boxes read as x, y, width, height, as given"),
        (
            CORNERS,
            None,
            "boxes read as corners x1, y1, x2, y2: as x, y, width, height 2 of 3 boxes do not fit their "
            "images, in this form 0 (--data.box_form xywh takes them as such)",
        ),
        (CORNERS, "xyxy", "boxes read as corners x1, y1, x2, y2, as given"),
        (PARTS, None, "boxes read as x, y, width, height in parts of the image"),
        (
            CENTRES,
            None,
            "boxes read as centre x, y, width, height: as x, y, width, height 1 of 3 boxes do not fit their "
            "images, in this form 0 (--data.box_form xywh takes them as such)",
        ),
        (CENTRES, "cxcywh", "boxes read as centre x, y, width, height, as given"),
    ],
)
def test_what_the_numbers_of_a_box_are(
    tmp_path: Path, rows: list[Boxes], form: Any, words: str, log: pytest.LogCaptureFixture
) -> None:
    parquet(tmp_path / "train.parquet", table(rows))
    objects = boxes(BoxTables(tmp_path, box_form=form, **OPTIONS))
    assert [[name for name, _ in row] for row in objects] == [[name for name, _ in row] for row in READ]
    corners = [[value for row in part for _, box in row for value in box] for part in (objects, READ)]
    np.testing.assert_allclose(*corners, atol=1e-5)
    assert f"train in train.parquet; {words}\n" in f"{log.messages[0]}\n"


def test_what_cannot_be_told_of_boxes_is_said() -> None:
    form = box_form(SET, [[1, 1, 8, 8]], [SIZE])
    assert (form.form, form.parts) == ("xywh", False)
    assert form.words.endswith(", though nothing tells them from corners (--data.box_form xyxy)")
    form = box_form(SET, [[20, 12, 8, 8], *[[4, 4, 6, 8]] * 9], [SIZE] * 10)
    assert form.form == "xywh", "one is a mistake"
    rest = "as centre x, y, width, height 0 (--data.box_form cxcywh)"
    assert form.words.endswith(f", of which 1 of 10 have no area or reach beyond their images; {rest}")
    with pytest.raises(InputError, match=r"^set: 1 of 1 box are not x, y, width, height, and nothing tells what they"):
        box_form(SET, [[12, 8, 20, 14]], [SIZE])
    form = box_form(SET, [[20, 12, 5, 4.9], [8, 4, 6, 3]], [SIZE] * 2)
    assert form.words == "boxes read as x, y, width, height", "a pixel beyond the image tells nothing"
    large = [[1, 1, 20, 14]] * 9
    form = box_form(SET, [*large, [1, 1, 22, 17]], [SIZE] * 10)
    assert form.form == "xywh", "one mistake does not make corners of boxes that fill their images"
    assert "of which 1 of 10 have no area or reach beyond their images; as " in form.words
    form = box_form(SET, [[10, 4, 16, 12]] * 20 + [[3, 3, 3, 3]], [SIZE] * 21)
    assert form.form == "xyxy", "nor does one mistake make something else of corners"
    guess = box_form(SET, [], [])
    assert (guess.form, guess.parts, guess.words) == ("xywh", False, "boxes read as x, y, width, height")
    assert box_form(SET, [[float("nan")] * 4], [SIZE]).form == "xywh"


BAD: list[tuple[Any, str]] = [
    ({"bbox": [[1, 1, 4, 4]], "category": [3]}, "row 1, object 1 has class 3, which is none of the 3 names, from 0 on"),
    ({"bbox": [[1, 1, 4, 4]], "category": [-1]}, "row 1, object 1 has class -1, which is none of the 3 names"),
    ({"bbox": [[1, 1, 4, 4]], "category": [0, 1]}, "row 1 has lists of several lengths: 1 of bbox, 2 of category"),
    ({"bbox": [[1, 1, 4]], "category": [0]}, "row 1, object 1 has a bbox that is not four numbers"),
    ({"bbox": [[1, 1, 4, 4]], "category": [None]}, "row 1, object 1 has no class"),
    ({"bbox": [[1, 1, 0, 4]], "category": [0]}, "row 1, object 1 has a box without area, width 0 and height 4"),
    ({"bbox": [[30, 1, 2, 4]], "category": [0]}, "row 1, object 1 has a box outside its image, at [30.0, 1.0, 2.0"),
    ({"bbox": [[float("nan"), 1, 2, 4]], "category": [0]}, 'object 1 has a "bbox" that is not four finite numbers'),
]


@pytest.mark.parametrize(("objects", "message"), BAD, ids=[message[-20:] for _, message in BAD])
def test_a_bad_object_is_one_line_or_left_out(tmp_path: Path, objects: Any, message: str) -> None:
    kind = pa.struct({"bbox": pa.list_(pa.list_(pa.float64())), "category": pa.list_(pa.int64())})
    good = {"bbox": [[8.0, 8.0, 4.0, 4.0]], "category": [0]}
    content = table([[], []], LISTS, NEW_LISTS)
    position = content.schema.get_field_index("objects")
    metadata = content.schema.metadata
    content = content.set_column(position, "objects", pa.array([objects, good], kind)).replace_schema_metadata(metadata)
    parquet(tmp_path / "train.parquet", content)
    assert message in refusal_of(lambda: BoxTables(tmp_path, **OPTIONS).setup("fit"))
    assert sum(map(len, boxes(BoxTables(tmp_path, **OPTIONS, skip_bad_annotations=True)))) == 1


def test_a_group_is_a_column(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    rows: list[Boxes] = [[([10, 4, 6, 8], i % 3)] for i in range(8)]
    parquet(tmp_path / "train.parquet", table(rows, site=["a", "a", "a", "b", "b", "b", "c", "c"]))
    options = OPTIONS | {"val_fraction": 0.25}
    data = BoxTables(tmp_path, group="site", **options)
    _ = data.splits
    held_out = sorted(data.file_name("val", row)[-5:] for row in range(data.size("val")))
    assert held_out == ["7.png", "8.png"] or held_out in (["1.png", "2.png", "3.png"], ["4.png", "5.png", "6.png"])
    assert "of 1 group, " in log.text
    with pytest.raises(InputError, match=r"no image has a place, they have site: give one as --data\.group"):
        BoxTables(tmp_path, group="place", **options).setup("fit")
    _ = BoxTables(tmp_path, group=r"row(\d)-", **options).splits


def test_test_images_without_an_object_are_left_out(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    parquet(tmp_path / "train.parquet", table(TRAIN))
    parquet(tmp_path / "test.parquet", table([[], []], first=7))
    data = BoxTables(tmp_path, **OPTIONS)
    assert data.splits.test is None
    assert "left out 2 test images, of which none has an object" in log.text


def test_a_missing_image_does_not_tell_what_boxes_are(tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(picture(0))
    rows = [{"file_name": f"{i}.png", "objects": {"bbox": [[16, 10, 22, 15]], "category": ["cat"]}} for i in range(4)]
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    data = BoxTables(tmp_path, skip_bad_annotations=True, **OPTIONS)
    assert boxes(data) == [[("cat", [16, 10, 22, 15])]]


def test_configurations(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    parquet(tmp_path / "a.parquet", table(TRAIN))
    parquet(tmp_path / "b.parquet", table(TRAIN[:1]))
    parquet(tmp_path / "odd" / "c.parquet", table(TRAIN[2:], first=7))
    (tmp_path / "README.md").write_text(
        "---\nconfigs:\n- config_name: big\n  default: true\n  data_files:\n  - split: train\n    path: [a.parquet]\n"
        "  - split: test\n    path: odd/*\n- config_name: tiny\n  data_files: b.parquet\n---\n"
    )
    data = BoxTables(tmp_path, **OPTIONS)
    assert boxes(data) == READ
    assert boxes(data, "test") == READ[2:]
    assert "configuration big taken, not tiny (--data.configuration tiny); read as boxes in tables" in log.text
    assert boxes(BoxTables(tmp_path, configuration="tiny", **OPTIONS)) == READ[:1]
    with pytest.raises(InputError, match=r"has no such configuration, only big, tiny: give one"):
        BoxTables(tmp_path, configuration="huge", **OPTIONS).setup("fit")


def test_configurations_of_two_grains(tmp_path: Path) -> None:
    parquet(tmp_path / "a.parquet", table(TRAIN, label=["x", "y", "x"]).drop_columns(["objects"]))
    parquet(tmp_path / "b.parquet", table(TRAIN, kennel=["x", "y", "x"]))
    configs = "- {config_name: default, data_files: a.parquet}\n- {config_name: found, data_files: b.parquet}\n"
    (tmp_path / "README.md").write_text(f"---\nconfigs:\n{configs}---\n")
    assert [layout.reader for layout in find_layouts(tmp_path)] == ["Folder", "BoxTables"]
    with pytest.raises(InputError, match="choose by longtail data Folder"):
        recognise(tmp_path)
    assert recognise(tmp_path, "found").data == "BoxTables"
    assert main(["data", str(tmp_path), "--data.configuration", "found", "--no-copies"]) == 0
    assert recognise(tmp_path, "default").data == "Folder"
    assert len(Folder(tmp_path).list_images()["train"]) == 3
    assert boxes(BoxTables(tmp_path, configuration="found", **OPTIONS)) == READ
    with pytest.raises(InputError, match="holds boxes in tables: give --recipe fasterrcnn_ce"):
        Folder(tmp_path, configuration="found").list_images()
    by_kennel = Folder(tmp_path, configuration="found", label_column="kennel").list_images()["train"]
    assert by_kennel.classes == ["x", "y"]


def test_shapes_are_masks_and_can_be_drawn(tmp_path: Path) -> None:
    pytest.importorskip("faster_coco_eval")
    content = table([[([10, 4, 6, 8], 1)], [([0, 0, 2, 3], 0)]])
    rows = content.column("objects").to_pylist()
    for row in rows:
        x, y, w, h = row[0]["bbox"]
        row[0]["segmentation"] = [[x, y, x + w, y, x + w, y + h, x, y + h]]
    kind = pa.list_(pa.struct([*STRUCTURES.value_type, ("segmentation", pa.list_(pa.list_(pa.float64())))]))
    parquet(tmp_path / "train.parquet", content.set_column(1, "objects", pa.array(rows, kind)))
    data = BoxTables(tmp_path, **OPTIONS | {"masks": True})
    _ = data.splits
    assert data.mask("train", 0).sum() == 48
    assert [layout.words for layout in find_layouts(tmp_path)] == ["shapes in tables"]
    pixels = PolygonFolder(tmp_path, val_fraction=0, batch_size=1, num_workers=0)
    _ = pixels.splits
    assert pixels.pixel_counts == [2 * 24 * 16 - 48 - 6, 6, 48, 0]


def test_other_grains_name_the_recipe(tmp_path: Path) -> None:
    file = parquet(tmp_path / "train.parquet", table(TRAIN))
    message = "holds boxes in tables: give --recipe fasterrcnn_ce"
    with pytest.raises(InputError, match=f"^{tmp_path} {message}$"):
        Folder(tmp_path, batch_size=1).setup("fit")
    with pytest.raises(InputError, match=f"^{file} {message}$"):
        Table(file).list_images()
    with pytest.raises(InputError, match=f"^{tmp_path} holds boxes in tables: give --data box_tables --data.root "):
        COCO(tmp_path, **OPTIONS).setup("fit")
    parquet(file, table(TRAIN, label=["x", "y", "x"]))
    assert [layout.reader for layout in find_layouts(tmp_path)] == ["BoxTables", "Folder"], "it has both"
    Folder(tmp_path, batch_size=1).setup("fit")
    assert boxes(BoxTables(tmp_path, **OPTIONS)) == READ


def test_tables_that_cannot_be_read_say_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = parquet(tmp_path / "train.parquet", table(TRAIN))
    whole = file.read_bytes()
    file.write_bytes(whole[:-9])
    for kind in (COCO, BoxTables, SegmentationFolder):
        with pytest.raises(InputError, match=rf"^{file}: not a readable Parquet file \("):
            kind(tmp_path).setup("fit")
    file.write_bytes(whole)
    with monkeypatch.context() as context:
        context.setitem(sys.modules, "pyarrow", None)
        with pytest.raises(InputError, match=r"Parquet needs pyarrow; pip install \"longtail\[parquet\]\"$"):
            COCO(tmp_path).setup("fit")
    (tmp_path / "README.md").write_text("---\nconfigs:\n- {config_name: a, data_files: b.parquet}\n---\n")
    with pytest.raises(InputError, match=r"README\.md, configuration a: no file fits b\.parquet, of train"):
        COCO(tmp_path).setup("fit")
    (tmp_path / "README.md").unlink()
    parquet(file, table([]))
    with pytest.raises(InputError, match="has no annotated image"):
        BoxTables(tmp_path).setup("fit")


def test_the_splits_of_a_run_hold_for_rows(tmp_path: Path) -> None:
    file = parquet(tmp_path / "train.parquet", table(TRAIN))
    data = BoxTables(tmp_path, **OPTIONS)
    data.setup("fit")
    record = SplitRecord.of(data)
    assert record is not None
    parquet(file, table([TRAIN[0], [([1, 1, 2, 2], 0)], TRAIN[2]]))
    later = BoxTables(tmp_path, **OPTIONS)
    later.recall = Recall(record)
    assert boxes(later) == [READ[0], READ[2]]
    assert later.left_out == {("training image", "changed"): 1}
