"""Masks in tables, in the forms of Hugging Face's ``datasets``: a column of images and one of masks."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tables import IMAGE, encoded, pa, parquet, pq, with_features

from longtail.cli.data import data_options
from longtail.data import Folder, MaskTables
from longtail.data.record import Recall, SplitRecord
from longtail.errors import InputError
from longtail.files.formats.recognise import recognise

OPTIONS: dict[str, Any] = {"num_workers": 0, "batch_size": 1, "val_fraction": 0}


def cell(values: Any) -> dict[str, Any]:
    return {"bytes": encoded(values), "path": None}


def write_table(file: Path, masks: Sequence[Any], image: str = "image", mask: str = "label", **extra: Any) -> Path:
    """Images with these masks, None for none, in columns of these names."""
    cells = [None if labels is None else cell(labels) for labels in masks]
    images = [cell(np.full((2, 3, 3), 10 * i)) for i in range(1, len(masks) + 1)]
    columns = {image: pa.array(images, IMAGE), mask: pa.array(cells, IMAGE)}
    content = pa.table(columns | {name: pa.array(values) for name, values in extra.items()})
    features = {name: {"_type": "Image"} for name in columns}
    return parquet(file, with_features(content, features))


A, B = [[0, 0, 1], [1, 1, 255]], [[2, 2, 2], [0, 0, 0]]


@pytest.mark.parametrize(
    ("image", "mask"), [("image", "annotation"), ("pixel_values", "label"), ("picture", "mask"), ("image", "labels")]
)
def test_masks_in_tables(tmp_path: Path, image: str, mask: str, log: pytest.LogCaptureFixture) -> None:
    write_table(tmp_path / "data/train-00000-of-00002.parquet", [A], image, mask)
    write_table(tmp_path / "data/train-00001-of-00002.parquet", [B], image, mask)
    write_table(tmp_path / "data/validation-00000-of-00001.parquet", [B, A], image, mask)
    (tmp_path / "classes.txt").write_text("road\ncar\nsky\n")
    data = MaskTables(tmp_path, **OPTIONS)
    _ = data.splits
    assert data.pixel_counts == [5, 3, 3]
    assert (data.size("train"), data.size("val")) == (2, 2)
    assert data.annotation("train", 0).tolist() == A
    assert np.asarray(data.picture("val", 1))[0, 0, 0] == 20
    assert f"images in column {image}, masks in column {mask}" in log.text
    words = recognise(tmp_path)
    assert (words.data, words.words) == ("MaskTables", "masks in tables")
    expected = ["--data", "longtail.data.MaskTables", f"--data.root={tmp_path}"]
    assert data_options(str(tmp_path), "longtail.data.SegmentationFolder") == expected
    assert data_options(str(tmp_path), "longtail.data.MaskTables") == expected[2:]


def test_names_of_values(tmp_path: Path) -> None:
    write_table(tmp_path / "train.parquet", [[[7, 7, 9], [9, 9, 255]]])
    names = {"9": "car", "7": "road", "255": "void"}
    (tmp_path / "id2label.json").write_text(json.dumps(names))
    data = MaskTables(tmp_path, **OPTIONS)
    assert (data.classes, data.pixel_counts) == (["road", "car"], [2, 3])
    (tmp_path / "id2label.json").write_text('{"seven": "road"}')
    with pytest.raises(InputError, match=r"id2label\.json: no name for each number of a class \("):
        MaskTables(tmp_path, **OPTIONS).setup("fit")
    (tmp_path / "id2label.json").unlink()
    with pytest.raises(InputError, match=r"classes\.txt: no such file or directory; it has the names of the classes"):
        MaskTables(tmp_path, **OPTIONS).setup("fit")
    (tmp_path / "classes.txt").write_text("road\ncar\n")
    assert MaskTables(tmp_path, values=[7, 9], **OPTIONS).pixel_counts == [2, 3]


def test_rows_that_cannot_be_used(tmp_path: Path) -> None:
    file = write_table(tmp_path / "train.parquet", [A, None, [[0, 3, 0], [0, 0, 0]], [[0, 0], [1, 1]]])
    (tmp_path / "classes.txt").write_text("road\ncar\nsky\n")
    with pytest.raises(InputError, match=rf"^{file}, row 2: has no mask \(and 2 more bad files\); repair or remove it"):
        MaskTables(tmp_path, **OPTIONS).setup("fit")
    data = MaskTables(tmp_path, skip_bad_images=True, **OPTIONS)
    assert data.pixel_counts == [2, 3, 0]
    assert data.left_out == {("train file", "that cannot be used"): 3}


@pytest.mark.parametrize("outside", ["/", ".."])
def test_a_path_leads_to_no_file_outside_the_set(tmp_path: Path, outside: str) -> None:
    file = write_table(tmp_path / "set/train.parquet", [A, B])
    picture = tmp_path / "secret.png"
    Image.fromarray(np.asarray(B, np.uint8)).save(picture)
    content = pq.read_table(file)
    masks = content["label"].to_pylist()
    masks[1] = {"bytes": None, "path": str(picture) if outside == "/" else "../secret.png"}
    parquet(file, content.set_column(1, content.schema.field("label"), pa.array(masks, IMAGE)))
    (tmp_path / "set/classes.txt").write_text("road\ncar\nsky\n")
    with pytest.raises(InputError, match=r"train\.parquet, row 2: .*secret\.png is not there; repair or remove it"):
        MaskTables(tmp_path / "set", **OPTIONS).setup("fit")


def test_which_columns(tmp_path: Path) -> None:
    file = write_table(tmp_path / "train.parquet", [A, B], "left", "drawing")
    (tmp_path / "classes.txt").write_text("road\ncar\nsky\n")
    with pytest.raises(InputError, match=r"has no table with a column of images and one of masks: give their column"):
        MaskTables(tmp_path, **OPTIONS).setup("fit")
    assert MaskTables(tmp_path, mask_column="drawing", **OPTIONS).pixel_counts == [5, 3, 3]
    with pytest.raises(InputError, match=r"^--data\.mask_column map: .* has no such images, only left, drawing$"):
        MaskTables(tmp_path, mask_column="map", **OPTIONS).setup("fit")
    write_table(file, [A, B], site=[1, 2])
    message = f"^{file} holds masks in tables: give --recipe segmentation/ce --data {tmp_path}$"
    with pytest.raises(InputError, match=message):
        recognise(file)
    with pytest.raises(InputError, match=f"^{tmp_path} holds masks in tables: give --recipe segmentation/ce$"):
        Folder(tmp_path, batch_size=1).setup("fit")


def test_a_configuration_and_the_splits_of_a_run(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    write_table(tmp_path / "a.parquet", [A, B, A])
    file = write_table(tmp_path / "b.parquet", [A, B])
    (tmp_path / "classes.txt").write_text("road\ncar\nsky\n")
    (tmp_path / "README.md").write_text(
        "---\nconfigs:\n- config_name: one\n  data_files: a.parquet\n- config_name: two\n  data_files: b.parquet\n---\n"
    )
    with pytest.raises(
        InputError, match=r"has several configurations, one, two: give one, by --data\.configuration one"
    ):
        MaskTables(tmp_path, **OPTIONS).setup("fit")
    data = MaskTables(tmp_path, configuration="two", **OPTIONS)
    data.setup("fit")
    record = SplitRecord.of(data)
    assert record is not None
    write_table(file, [A, A])
    later = MaskTables(tmp_path, configuration="two", **OPTIONS)
    later.recall = Recall(record)
    later.setup("fit")
    assert later.size("train") == 1
    assert later.left_out == {("training image", "changed"): 1}
