"""Tables with images in them, written as Hugging Face's ``datasets`` 4 writes them: ``push_to_hub``, ``to_parquet``,
``save_to_disk`` and the folders that it reads."""

import errno
import io
import json
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from refusal import refusal
from tables import IMAGE, encoded, pa, parquet, with_features

from longtail.data import Folder, Table, VideoFolder
from longtail.data.record import Recall, SplitRecord
from longtail.errors import InputError
from longtail.files.formats.known import read_file, read_folder
from longtail.files.images.folder import IMAGES
from longtail.files.images.passed_over import Why
from longtail.files.images.reading import decode
from longtail.files.listing import Listing
from longtail.files.tables import unpacking
from longtail.files.tables.columns import Columns
from longtail.files.tables.entries import Reading
from longtail.files.tables.labelled import listed_files

NAMES = ["cat", "dog", "owl"]
FEATURES = {"image": {"_type": "Image"}, "label": {"names": NAMES, "_type": "ClassLabel"}}


def plain(grey: int, kind: str = "PNG") -> bytes:
    return encoded(np.full((8, 8, 3), grey), kind)


def table(
    greys: Sequence[Any], labels: Sequence[Any], features: dict[str, Any] | None = None, **columns: Sequence[Any]
) -> Any:
    """A table of plain images, in structures of bytes and path; what is no number stands for itself."""
    images = [{"bytes": plain(grey), "path": f"{grey}.png"} if isinstance(grey, int) else grey for grey in greys]
    content = pa.table(
        {"image": pa.array(images, IMAGE), "label": pa.array(labels)}
        | {name: pa.array(values) for name, values in columns.items()}
    )
    if features is None:
        return content
    return with_features(content, features)


def save(folder: Path, content: Any, split: str | None = None) -> Path:
    """As ``Dataset.save_to_disk``: a stream of Arrow."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        pa.OSFile(str(folder / "data-00000-of-00001.arrow"), "wb") as sink,
        pa.ipc.new_stream(sink, content.schema) as w,
    ):
        w.write_table(content)
    state = {
        "_data_files": [{"filename": "data-00000-of-00001.arrow"}],
        "_fingerprint": "0123456789abcdef",
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": split,
    }
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text(json.dumps({"citation": "", "features": FEATURES, "license": ""}))
    return folder


def samples(listing: Listing) -> list[tuple[int, str]]:
    """The grey of each image, with its class."""
    greys = [np.asarray(decode(path))[0, 0, 0] for path in listing.paths]
    return [(int(grey), listing.classes[target]) for grey, target in zip(greys, listing.targets, strict=True)]


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """A set as ``push_to_hub`` leaves it, in two files for training."""
    parquet(tmp_path / "data/train-00000-of-00002.parquet", table([10, 20], [1, 0], FEATURES))
    parquet(tmp_path / "data/train-00001-of-00002.parquet", table([30], [1], FEATURES))
    parquet(tmp_path / "data/validation-00000-of-00001.parquet", table([40], [0], FEATURES))
    parquet(tmp_path / "data/test-00000-of-00001.parquet", table([50, 60], [-1, -1], FEATURES))
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\nA set.\n")
    return tmp_path


def test_push_to_hub(hub: Path, log: pytest.LogCaptureFixture) -> None:
    reading = Reading()
    listings = read_folder(hub, reading)
    assert {name: samples(listing) for name, listing in listings.items()} == {
        "train": [(10, "dog"), (20, "cat"), (30, "dog")],
        "val": [(40, "cat")],
    }
    assert listings["train"].classes == ["cat", "dog"]
    assert reading.passed_over.counts("image") == [(2, "image", "of a test split without classes", Why.OTHER)]
    train = Path("data/train-00000-of-00002.parquet")
    assert f"images in tables: train in {train} and 1 more file, val in data/validation-00000-of-00001" in log.text
    assert "paths in column image, classes in column label" in log.text
    assert "left out 1 class without an image: owl" in log.text
    first = Path(listings["train"].paths[0])
    assert first.relative_to(hub).as_posix() == ".longtail/images/data/train-00000-of-00002.parquet/row1-10.png"
    time = first.stat().st_mtime_ns
    assert read_folder(hub, Reading())["train"].paths == listings["train"].paths
    assert first.stat().st_mtime_ns == time, "they are unpacked once"
    parquet(hub / train, table([11, 20], [1, 0], FEATURES))
    assert samples(read_folder(hub, Reading())["train"])[0] == (11, "dog"), "the table is another one"
    assert not list(hub.glob("**/*.tmp"))


def test_save_to_disk(tmp_path: Path) -> None:
    save(tmp_path / "all", table([10, 20], [1, 2]), "train")
    (tmp_path / "all" / "cache-0123456789abcdef.arrow").write_bytes(b"of a map")
    assert samples(read_folder(tmp_path / "all", Reading())["all"]) == [(10, "dog"), (20, "owl")]
    save(tmp_path / "dict/train", table([10, 20], [1, 2]))
    save(tmp_path / "dict/valid", table([30], [2]))
    (tmp_path / "dict/dataset_dict.json").write_text('{"splits": ["train", "valid"]}')
    listings = read_folder(tmp_path / "dict", Reading())
    assert {name: samples(listing) for name, listing in listings.items()} == {
        "train": [(10, "dog"), (20, "owl")],
        "val": [(30, "owl")],
    }
    (tmp_path / "dict/train/data-00000-of-00001.arrow").unlink()
    assert "data-00000-of-00001.arrow of state.json is not there; copy the whole folder" in refusal(tmp_path / "dict")


README = """---
dataset_info:
  features:
  - name: img
    dtype: image
  - name: fine
    dtype:
      class_label:
        names:
          '0': cat
          '1': dog
          '10': owl
          '2': elk
  splits:
  - name: train
    num_examples: 2
---
"""


def test_names_in_the_readme_and_plain_bytes(tmp_path: Path) -> None:
    content = pa.table({"fine": [1, 3], "img": pa.array([plain(10, "JPEG"), plain(20)]), "n": [1.5, 2.5]})
    parquet(tmp_path / "default/train/0000.parquet", content)
    listing = read_folder(tmp_path, Reading(columns=Columns(label="fine")))["train"]
    assert listing.classes == ["1", "3"]
    (tmp_path / "default" / "README.md").write_text(README)
    listing = read_folder(tmp_path, Reading())["train"]
    assert samples(listing) == [(10, "dog"), (20, "owl")]
    assert [Path(path).name for path in listing.paths] == ["row1.jpg", "row2.png"]


def test_one_file(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    file = parquet(tmp_path / "pets.parquet", table([10, 20, 30], ["x", "y", "y"], split=["train", "dev", "train"]))
    listings = read_file(file, None, Reading())
    assert {name: samples(listing) for name, listing in listings.items()} == {
        "train": [(10, "x"), (30, "y")],
        "val": [(20, "y")],
    }


def test_images_that_are_named(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), (20, 20, 20)).save(tmp_path / "b.png")
    file = parquet(tmp_path / "t.parquet", table([10, {"bytes": None, "path": "b.png"}], ["x", "y"]))
    assert samples(read_file(file, None, Reading())["all"]) == [(10, "x"), (20, "y")]


def test_which_column(tmp_path: Path) -> None:
    content = table([10, 20], [1, 0])
    content = content.append_column("mask", content["image"]).append_column("fine", pa.array([3, 4]))
    file = parquet(tmp_path / "t.parquet", content)
    assert samples(read_file(file, None, Reading())["all"]) == [(10, "1"), (20, "0")]
    choice = Reading(columns=Columns("mask", "fine"))
    assert samples(read_file(file, None, choice)["all"]) == [(10, "3"), (20, "4")]
    parquet(file, content.rename_columns(["left", "coarse", "right", "fine"]))
    assert "which column has the images? There are left, right: give --data.path_column left" in refusal(file)
    reading = Reading(columns=Columns("left"))
    assert "which column has the classes? There are left, coarse, fine: give --data.label" in refusal(file, reading)


def test_images_beside_the_tables_are_told(hub: Path, log: pytest.LogCaptureFixture) -> None:
    (hub / "images").mkdir()
    (hub / "images" / "a.JPG").touch()
    data = Folder(hub, batch_size=1)
    data.setup("fit")
    data = Folder(hub, batch_size=1)  # the unpacked images are hidden, and of the set
    data.setup("fit")
    assert data.left_out["image file", "beside the tables"] == 1
    assert "1 image file beside the tables" in dict(data.summary())["left out"]


def test_a_folder_that_cannot_be_written(
    hub: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setattr("longtail.files.cache.os.access", lambda path, mode: False)
    data = Folder(hub, batch_size=1)
    data.setup("fit")
    listing = data.list_images()["train"]
    assert not (hub / ".longtail").exists()
    assert listing.home is not None
    assert listing.home.is_relative_to(cache / "longtail")
    files = data.split_files("train")
    assert files is not None
    assert files.names[0] == "data/train-00000-of-00002.parquet/row1-10.png", "wherever the set or the cache lies"


def test_a_row_without_an_image_or_class(tmp_path: Path) -> None:
    file = parquet(tmp_path / "t.parquet", table([10, None, 20, 30], [1, 0, 0, None]))
    assert f"{file}, row 2: there is no image; fill it in or remove the row, or leave such rows out by" in refusal(file)
    reading = Reading(skip=True)
    assert samples(read_file(file, None, reading)["all"]) == [(10, "1"), (20, "0")]
    assert reading.passed_over.counts("image") == [
        (1, "row", "of t.parquet without image", Why.GONE),
        (1, "image", "without a class in t.parquet", Why.FAULTY),
    ]
    parquet(file, table([10, 20], [1, None]))
    assert f"{file}, row 2: the label is empty; fill it in" in refusal(file)
    parquet(file, table([10, 20], [1, 7], FEATURES))
    assert f"{file}, row 2: label is 7, and there are 3 names from 0; correct it" in refusal(file)


def test_bytes_that_are_no_image(tmp_path: Path) -> None:
    odd = {"bytes": b"<html>", "path": "a.png"}
    file = parquet(tmp_path / "t.parquet", table([10, odd, 20, 30, 40], [1, 0, 0, 1, 1]))
    data = Table(file, batch_size=1)
    with pytest.raises(InputError) as error:
        data.setup("fit")
    message = str(error.value)
    assert "t.parquet/row2-a.png: not an image in a known format (" in message
    assert message.endswith("; correct it where it was packed from, or leave such files out by --skip-bad-images")
    data = Table(file, batch_size=1, skip_bad_images=True)
    data.setup("fit")
    assert sum(len(split) for split in (data.split("train"), data.split("val")) if split) == 4
    assert data.left_out == {("image file", "that cannot be read"): 1}


def test_files_that_cannot_be_read(hub: Path) -> None:
    second = hub / "data/train-00001-of-00002.parquet"
    whole = second.read_bytes()
    second.write_bytes(whole[:-20])
    assert f"{second}: not a readable Parquet file (" in refusal(hub)
    second.unlink()
    message = f"{hub / 'data'}: 1 file of 2 for train missing, such as train-00001-of-00002.parquet; copy it there"
    assert refusal(hub) == message
    parquet(second, table([30], [1], {**FEATURES, "label": {"names": ["a", "b"], "_type": "ClassLabel"}}))
    assert "train-00001-of-00002.parquet has other columns or classes than " in refusal(hub)
    parquet(second, table([30], [1], FEATURES).drop_columns(["label"]))
    assert "train-00001-of-00002.parquet: which column has the classes? There are image: give" in refusal(hub)


def test_a_stream_that_was_cut_off(tmp_path: Path) -> None:
    folder = save(tmp_path, table([10, 20], [1, 2]))
    file = folder / "data-00000-of-00001.arrow"
    file.write_bytes(file.read_bytes()[:-200])
    assert f"{file}: not a readable Arrow file (" in refusal(folder)
    file.write_bytes(b"")
    assert f"{file}: not a readable Arrow file (" in refusal(folder)


def test_several_sets_in_one_folder(tmp_path: Path) -> None:
    for name in ("small", "large"):
        parquet(tmp_path / name / "train-00000-of-00001.parquet", table([10, 20], [1, 0], FEATURES))
    message = refusal(tmp_path)
    assert "has several sets of files for train, large/train-00000-of-00001.parquet, small/train-00000-of-" in message
    assert message.endswith(f"give the folder of one, such as --data {tmp_path / 'large'}")
    assert len(read_folder(tmp_path / "small", Reading())["train"]) == 2


CONFIGS = """---
configs:
- config_name: default
  data_files:
  - split: train
    path: [data/validation-*, more/a.parquet]
  - split: validation
    path: data/train-*
- config_name: tests
  data_files: {train: "data/test*"}
---
"""


def test_the_configuration_says_the_splits(hub: Path, log: pytest.LogCaptureFixture) -> None:
    (hub / "README.md").write_text(CONFIGS)
    parquet(hub / "more/a.parquet", table([70], [1], FEATURES))
    listings = read_folder(hub, Reading())
    assert {name: samples(listing) for name, listing in listings.items()} == {
        "train": [(40, "cat"), (70, "dog")],
        "val": [(10, "dog"), (20, "cat"), (30, "dog")],
    }
    assert "configuration default taken, not tests (--data.configuration tests); read as images in" in log.text
    assert "no image has a class" in refusal(hub, Reading(configuration="tests", skip=True))
    data = Folder(hub, batch_size=1, configuration="tests")
    with pytest.raises(InputError, match="row 1: the label is empty"):
        data.setup("fit")
    (hub / "data/train-00000-of-00002.parquet").unlink()
    assert "1 file of 2 for val missing, such as train-00000-of-00002.parquet" in refusal(hub)


def test_a_configuration_of_folders_and_tables(tmp_path: Path) -> None:
    for number, place in enumerate(("a/cat", "a/dog", "b/cat", "c/dog"), start=1):
        (tmp_path / place).mkdir(parents=True)
        Image.new("RGB", (8, 8), (number, number, number)).save(tmp_path / place / "1.png")
    head = "---\nconfigs:\n- config_name: default\n  data_files: {train: [a/**, c/**], dev: b/**}\n---\n"
    (tmp_path / "README.md").write_text(head)
    listings = read_folder(tmp_path, Reading())
    expected = {"train": [(1, "cat"), (2, "dog"), (4, "dog")], "val": [(3, "cat")]}
    assert {name: samples(listing) for name, listing in listings.items()} == expected
    (tmp_path / "b/metadata.csv").write_text("file_name,label\ncat/1.png,dog\n")
    (tmp_path / "a/metadata.csv").write_text("file_name,label\ncat/1.png,dog\ndog/1.png,cat\n")
    head = head.replace("[a/**, c/**], dev: b/**", "a/**, dev: b/**")
    (tmp_path / "README.md").write_text(head)
    listings = read_folder(tmp_path, Reading())
    expected = {"train": [(1, "dog"), (2, "cat")], "val": [(3, "dog")]}
    assert {name: samples(listing) for name, listing in listings.items()} == expected
    (tmp_path / "README.md").write_text("---\nconfigs:\n- {config_name: x, data_dir: a}\n---\n")
    (tmp_path / "a/metadata.csv").unlink()
    data = Folder(tmp_path, batch_size=1, val_fraction=0)
    assert samples(data.list_images()["all"]) == [(1, "cat"), (2, "dog")]


def test_a_class_in_one_split_only(hub: Path) -> None:
    parquet(hub / "data/validation-00000-of-00001.parquet", table([40, 41], [0, 2], FEATURES))
    message = refusal(hub)
    assert "validation-00000-of-00001.parquet, row 2: label owl is not one of the 2 known classes (cat, dog)" in message


def test_folders_of_classes_beside_tables(hub: Path) -> None:
    for name in ("cat", "dog"):
        (hub / name).mkdir()
        (hub / name / "1.jpg").touch()
    assert "has folders of images, cat, dog, and tables with images: give one of them" in refusal(hub)
    shutil.rmtree(hub / "data")
    (hub / "odd.parquet").write_bytes(b"nothing")
    assert read_folder(hub, Reading()) == {}, "it lies beside the folders"


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl", "metadata.parquet"])
def test_imagefolder(tmp_path: Path, name: str) -> None:
    """Images with a table beside them, in the folder of each split."""
    entries = {"train": [("1.png", "cat"), ("2.png", "dog")], "test": [("1.png", "dog")]}
    for split, pairs in entries.items():
        folder = tmp_path / split
        folder.mkdir()
        for grey, (file_name, _) in enumerate(pairs, start=1):
            Image.new("RGB", (8, 8), (grey, grey, grey)).save(folder / file_name)
        columns = {"file_name": [pair[0] for pair in pairs], "label": [pair[1] for pair in pairs]}
        if name.endswith("parquet"):
            parquet(folder / name, pa.table(columns))
        elif name.endswith("csv"):
            (folder / name).write_text("file_name,label\n" + "".join(f"{a},{b}\n" for a, b in pairs))
        else:
            lines = [{"file_name": a, "objects": {"bbox": []}, "label": b} for a, b in pairs]
            (folder / name).write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    listings = read_folder(tmp_path, Reading())
    assert {split: samples(listing) for split, listing in listings.items()} == {
        "train": [(1, "cat"), (2, "dog")],
        "test": [(1, "dog")],
    }


def test_a_bad_line_of_json(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    file = tmp_path / "metadata.jsonl"
    file.write_text('{"file_name": "a.png", "label": "x"}\n\n{"file_name": "a.png"\n')
    assert refusal(file) == f"{file}, line 3: no JSON object; write one in each line"


def test_what_stops_the_unpacking_leaves_nothing_half_written(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = hub / "data/train-00000-of-00002.parquet"
    write = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if "row2" in path.name:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return write(path, content)

    def interrupt(path: Path, content: bytes) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", full)
    assert refusal(first).endswith("row2-20.png: No space left on device: free some space")
    monkeypatch.setattr(Path, "write_bytes", interrupt)
    with pytest.raises(KeyboardInterrupt):
        read_file(first, None, Reading())
    monkeypatch.setattr(Path, "write_bytes", write)
    assert not [path for path in (hub / "data/.longtail").rglob("*") if path.is_file() and path.name != ".lock"]
    assert samples(read_file(first, None, Reading())["all"]) == [(10, "dog"), (20, "cat")]


@pytest.mark.parametrize("locks", [True, False])
def test_several_processes_unpack_once(hub: Path, monkeypatch: pytest.MonkeyPatch, locks: bool) -> None:
    if not locks:  # each for itself, and the files of one stay
        monkeypatch.setattr(unpacking, "alone", lambda home: nullcontext(False))
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: samples(read_folder(hub, Reading())["train"]), range(4)))
    assert results == [[(10, "dog"), (20, "cat"), (30, "dog")]] * 4
    assert len(list(hub.glob(".longtail/images/data/train-00000-of-00002.parquet/*.png"))) == 2


def test_videos_in_a_table(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    videos = []
    for i in range(3):
        file = io.BytesIO()
        frames = [Image.new("RGB", (8, 8), (40 * i, 10 * j, 0)) for j in range(4)]
        frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:], lossless=True)
        videos.append({"bytes": file.getvalue(), "path": f"{i}.webp"})
    features = {"video": {"_type": "Video"}, "label": FEATURES["label"]}
    content = table(videos, [0, 1, 1], features).rename_columns(["video", "label"])
    parquet(tmp_path / "train.parquet", content)
    data = VideoFolder(root=tmp_path, batch_size=1, val_fraction=0, frames=2)
    data.setup("fit")
    assert data.image_counts == [1, 2]
    assert "read as videos in tables: train in train.parquet; paths in column video" in log.text


def test_images_in_a_table_are_predicted(tmp_path: Path) -> None:
    file = parquet(tmp_path / "t.parquet", table([10, 20], [0, 1]))
    files = listed_files(file, IMAGES)
    assert [entry.name for entry in files] == ["t.parquet/row1-10.png", "t.parquet/row2-20.png"]
    assert [int(np.asarray(decode(entry.path))[0, 0, 0]) for entry in files] == [10, 20]


@pytest.mark.parametrize("name", ["train.zip", "data/train.tar.gz"])
def test_an_archive_is_to_be_unpacked(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    (tmp_path / "README.md").touch()
    with pytest.raises(InputError, match=r"holds archives, train\.[a-z.]+: unpack them there"):
        Folder(tmp_path).list_images()


def test_the_splits_of_a_run_hold_for_rows(hub: Path) -> None:
    data = Folder(hub, batch_size=1)
    data.setup("fit")
    record = SplitRecord.of(data)
    assert record is not None
    picture = {"bytes": plain(31), "path": "30.png"}
    parquet(hub / "data/train-00001-of-00002.parquet", table([picture, 70], [1, 0], FEATURES))
    later = Folder(hub, batch_size=1)
    later.recall = Recall(record)
    later.setup("fit")
    assert later.left_out == {
        ("training image", "changed"): 1,
        ("image", "in no split of the run"): 1,
        ("image", "of a test split without classes"): 2,
    }
