"""Shards as ``longtail pack`` and others write them, read from a folder and from stores."""

import http.server
import io
import json
import os
import re
import shutil
import tarfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from PIL import Image
from refusal import refusal_of

from longtail.data import Folder, Shards, Table
from longtail.data.images.files import FileData
from longtail.errors import InputError
from longtail.files import stores
from longtail.files.formats.recognise import recognise
from longtail.files.formats.webdataset import has_index, read_shards
from longtail.files.images.reading import decode
from longtail.files.members import Member, member_names, member_of, open_binary
from longtail.files.shards.index import Index
from longtail.files.shards.packing import pack
from longtail.files.tables.entries import Reading
from longtail.files.threads import NoAnswer

COUNTS = {"cat": 4, "dog": 3}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user-cache"))
    monkeypatch.setattr(stores, "_PAUSES", (0, 0))


def encoded(grey: int, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((8, 12, 3), grey, np.uint8)).save(file, kind)
    return file.getvalue()


def photos(root: Path, split: str = "", shift: int = 0) -> Path:
    for c, (name, count) in enumerate(COUNTS.items()):
        (root / split / name).mkdir(parents=True)
        for i in range(count):
            (root / split / name / f"a.{i}.png").write_bytes(encoded(100 * c + 10 * i + shift))
    return root


def packed(data: FileData, folder: Path, limit: int = 3000, group: str = "") -> Path:
    listings = data.list_images()
    pack(folder, listings, {split: data.file_names(split, part) for split, part in listings.items()}, limit, group)
    return folder


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    photos(photos(tmp_path / "photos", "train"), "test", 5)
    return packed(Folder(tmp_path / "photos"), tmp_path / "shards")


def assert_same_images(data: FileData, twin: FileData) -> None:
    """The same splits, with the same images in the same order."""
    ours, theirs = data.list_images(), twin.list_images()
    assert list(ours) == list(theirs)
    for split in ours:
        assert ours[split].classes == theirs[split].classes
        assert ours[split].groups == theirs[split].groups
        np.testing.assert_array_equal(ours[split].targets, theirs[split].targets)
        assert data.file_names(split, ours[split]) == twin.file_names(split, theirs[split])
        for path, partner in zip(ours[split].paths, theirs[split].paths, strict=True):
            with open_binary(path) as file:
                assert file.read() == Path(partner).read_bytes()


def archive(file: Path, members: dict[str, bytes]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return file


def test_shards_are_read_and_written_by_path_or_text(shards: Path, tmp_path: Path) -> None:
    assert Index.read(shards).names == Index.read(str(shards)).names
    ours, theirs = (read_shards(place, Reading()) for place in (shards, str(shards)))
    assert {split: list(listing.paths) for split, listing in ours.items()} == {
        split: list(listing.paths) for split, listing in theirs.items()
    }
    pack(str(tmp_path / "again"), ours, {split: [str(i) for i in range(len(its))] for split, its in ours.items()}, 3000)
    assert has_index(str(tmp_path / "again"))


def test_paths_of_members():
    member = Member("set/a.tar", 512, 700, "cat/a[1].jpg")
    assert member_of(str(member)) == member
    assert str(member) == "set/a.tar[512:700]/cat/a[1].jpg"
    assert member_of("photos/a.tar/cat/a.jpg") is member_of("photos/a[1:2]/b.jpg") is None
    members = [str(Member("set/a.tar", 0, 1, "0.jpg")), str(Member("set/b.tar", 0, 1, "0.jpg"))]
    assert member_names(members) == ["a.tar/0.jpg", "b.tar/0.jpg"]
    assert member_names([members[0], "b.jpg"]) is None


def test_a_set_in_shards_is_the_set(tmp_path, shards):
    assert len(list(shards.glob("train-*.tar"))) > 1
    assert_same_images(Folder(shards), Folder(tmp_path / "photos"))
    path = Folder(shards).list_images()["train"].paths[0]
    assert re.fullmatch(r".*/shards/train-00000\d\.tar\[\d+:\d+\]/.*cat/a\.0\.png", path)
    assert decode(path).getpixel((0, 0)) == (0, 0, 0)
    assert packed(Folder(shards), tmp_path / "again").joinpath("index.npz").read_bytes()  # shards can be packed too
    assert_same_images(Folder(tmp_path / "again"), Folder(tmp_path / "photos"))


def test_others_read_them_too(shards):
    """Each sample has a name without points in its last part, an image and the number of its class."""
    numbers = []
    for file in sorted(shards.glob("train-*.tar")):
        with tarfile.open(file) as tar:
            members = tar.getmembers()
            for image, label in zip(members[::2], members[1::2], strict=True):
                assert image.name.endswith(".png")
                assert label.name == image.name.removesuffix(".png") + ".cls"
                assert "." not in image.name.removesuffix(".png").rpartition("/")[2]
                number = int(tar.extractfile(label).read())
                assert list(COUNTS)[number] in image.name
                numbers.append(number)
    assert sorted(numbers) == [0] * 4 + [1] * 3
    assert numbers != sorted(numbers)


def test_tables_with_groups_and_odd_names(tmp_path, log):
    root = tmp_path / "set"
    for i, name in enumerate(["a.png", "b/a.png", "ü 1.2.png", "ü 1_2.png"]):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(encoded(i))
    (root / "t.csv").write_text(
        "path,label,who\na.png,x,p\nb/a.png,y,p\nü 1.2.png,x,q\nü 1_2.png,y,\n", encoding="utf-8"
    )
    packed(Table(root / "t.csv", group="who"), tmp_path / "shards", group="who")
    assert_same_images(Folder(tmp_path / "shards", group="who"), Table(root / "t.csv", group="who"))
    assert "shards: the packed groups" not in log.text
    assert_same_images(Folder(tmp_path / "shards"), Table(root / "t.csv", group="who"))
    message = refusal_of(lambda: Folder(tmp_path / "shards", configuration="big").list_images())
    assert (
        message == f"--data.configuration big: {tmp_path / 'shards'} is read as shards, which have none: leave it out"
    )
    assert "shards: the packed groups, by who, stay on one side of a split each" in log.text


def test_packing_leaves_nothing_half_written(tmp_path, shards):
    data = Folder(tmp_path / "photos")
    assert "is not an empty folder" in refusal_of(lambda: packed(data, shards))
    folder = tmp_path / ".new.0123.tmp"  # of a process that was killed
    folder.mkdir()
    listings = data.list_images()
    names = {split: data.file_names(split, part) for split, part in listings.items()}
    (tmp_path / "photos/train/dog/a.1.png").unlink()
    message = refusal_of(lambda: pack(tmp_path / "new", listings, names, 3000))
    assert message.endswith("dog/a.1.png: cannot be read (No such file or directory); repair it, and pack again")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos", "shards"]


def spoil(shards: Path, harm: str) -> None:
    first = shards / "train-000000.tar"
    index = shards / "index.json"
    if harm == "cut":
        os.truncate(first, 1024)
    elif harm == "missing":
        first.unlink()
    elif harm == "another":
        content = bytearray(first.read_bytes())
        content[600] ^= 1
        first.write_bytes(content)
    elif harm == "class":
        header = json.loads(index.read_text())
        index.write_text(json.dumps({**header, "labels": ["cat"]}))
    elif harm == "arrays":
        (shards / "index.npz").write_bytes(b"PK")
    elif harm == "version":
        index.write_text(index.read_text().replace("shards 1", "shards 9"))
    else:
        index.write_text("{")


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        ("cut", r"train-000000.tar: has 1024 bytes, not the \d+ of its index; copy the whole set again"),
        ("missing", "train-000000.tar: is missing; copy the whole set again"),
        ("another", "train-000000.tar: is another shard than that of its index; copy"),
        ("class", r"index.json: cannot be read \(an image has the label 1 of 1\); copy or pack"),
        ("arrays", "index.npz beside it is of another packing"),
        ("version", "of another version, longtail shards 9"),
        ("index", "index.json: cannot be read .*; copy or pack the set again"),
    ],
)
def test_harmed_shards(shards, harm, words):
    spoil(shards, harm)
    assert re.search(words, refusal_of(lambda: Folder(shards).list_images()))


WITH_CLS = {"0.a.x": b"", "0.jpg": encoded(0, "JPEG"), "0.cls": b"3\n", "1.webp": encoded(9, "WEBP"), "1.cls": b"10"}
WITH_JSON = {
    "d/0.png": encoded(0),
    "d/0.json": b'{"width": 3, "label": "owl", "kind": "b"}',
    "d/1.png": encoded(9),
    "d/1.json": b'{"label": "ant", "kind": "a"}',
}


def test_shards_of_others_are_indexed_once(tmp_path, log):
    root = tmp_path / "set"
    archive(root / "imagenet-train-000000.tar", WITH_CLS)
    archive(root / "imagenet-train-000001.tar", WITH_CLS)
    archive(root / "imagenet-validation-00.tar", WITH_CLS)
    listings = Folder(root).list_images()
    assert {split: part.targets.tolist() for split, part in listings.items()} == {"train": [0, 1, 0, 1], "val": [0, 1]}
    assert listings["train"].classes == ["3", "10"]
    assert decode(listings["val"].paths[1]).size == (12, 8)
    assert Folder(root).file_names("train", listings["train"])[2] == "imagenet-train-000001.tar/0.jpg"
    index = root / ".longtail/shards/auto-auto/index.json"
    time = index.stat().st_mtime_ns
    with ThreadPoolExecutor(2) as pool:  # each waits for the other
        assert len(list(pool.map(lambda _: Folder(root).list_images(), range(2)))) == 2
    assert index.stat().st_mtime_ns == time
    archive(root / "imagenet-train-000001.tar", {**WITH_CLS, "2.jpg": encoded(1, "JPEG"), "2.cls": b"3"})
    assert len(Folder(root).list_images()["train"]) == 5
    assert "not those that were indexed, and are read again" in log.text


def test_labels_in_json_and_folders_of_splits(tmp_path):
    archive(tmp_path / "set/train/0.tar", WITH_JSON)
    archive(tmp_path / "set/val/0.tar", dict(list(WITH_JSON.items())[:2]))
    listings = Folder(tmp_path / "set").list_images()
    assert listings["train"].classes == ["ant", "owl"]
    assert listings["train"].targets.tolist() == [1, 0]
    assert listings["val"].targets.tolist() == [1]
    assert Folder(tmp_path / "set", label_column="kind").list_images()["train"].classes == ["a", "b"]


TWO = {"0.l.png": encoded(0), "0.r.png": encoded(1), "0.cls": b"0", "1.l.png": encoded(2), "1.cls": b"1"}


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"0.jpg": encoded(0, "JPEG"), "1.jpg": encoded(0, "JPEG")}, "is an archive of images without labels"),
        ({"notes.txt": b"", "more.bin": b""}, "holds archives, 0.tar: unpack them there"),
        (TWO, "0.l.png: there are several images of one name, l.png, r.png: give one by --data.path_column"),
        ({**WITH_CLS, "2.png": encoded(1), "2.json": b"{}"}, r"/2.png: there is no label \(.cls or .json\) beside it"),
        ({**WITH_CLS, "2.png": encoded(1), "2.json": b"{"}, "2.png: the label beside it cannot be read"),
        ({"0.png": encoded(1), "0.cls": b"1"}, "all rows have the label 1"),
    ],
)
def test_shards_that_cannot_be_used(tmp_path, members, words):
    archive(tmp_path / "set/0.tar", members)
    assert re.search(words, refusal_of(lambda: Folder(tmp_path / "set").list_images()))


PLAIN = {"0.jpg": encoded(0, "JPEG"), "1.jpg": encoded(0, "JPEG")}


@pytest.mark.parametrize("members", [PLAIN, WITH_JSON])
@pytest.mark.parametrize("place", ["photos.tar", "train/n1.tar", "table"])
def test_archives_beside_a_set_are_passed_over(tmp_path, members, place):
    photos(tmp_path, "train" if place == "train/n1.tar" else "images" if place == "table" else "")
    if place == "table":
        (tmp_path / "labels.csv").write_text("path,label\nimages/cat/a.0.png,x\nimages/cat/a.1.png,y\n")
    archive(tmp_path / place.replace("table", "photos.tar"), members)
    assert recognise(tmp_path).data == "Folder"
    data = Folder(tmp_path)
    classes = next(iter(data.list_images().values())).classes
    assert classes == (["x", "y"] if place == "table" else ["cat", "dog"])
    assert [count for (noun, _), count in data.left_out.items() if noun == "archive"] == [1]


def test_a_test_split_without_labels_is_left_out(tmp_path):
    for name, members in {"test-0": PLAIN, "train-0": WITH_CLS, "val-0": WITH_CLS}.items():
        archive(tmp_path / f"{name}.tar", members)
    (tmp_path / "shards.csv").write_text("shard,images\ntrain-0.tar,2\n")
    assert recognise(tmp_path).words == "images in shards"
    data = Folder(tmp_path)
    assert list(data.list_images()) == ["train", "val"]
    assert data.left_out == {("image", "of a test split without classes"): 2}


def test_names_that_differ_in_case_are_two_samples(tmp_path):
    members = {"a.JPG": encoded(0, "JPEG"), "a.cls": b"0", "A.jpg": encoded(9, "JPEG"), "A.CLS": b"1"}
    archive(tmp_path / "set/0.tar", members)
    assert Folder(tmp_path / "set").list_images()["all"].targets.tolist() == [0, 1]


def test_samples_that_can_be_left_out_or_chosen(tmp_path):
    archive(tmp_path / "set/0.tar", {**WITH_CLS, "2.png": encoded(1), "2.json": b"{}"})
    data = Folder(tmp_path / "set", skip_bad_images=True)
    assert len(data.list_images()["all"]) == 2
    assert data.left_out == {("image", "without a label beside it"): 1}
    archive(tmp_path / "two/0.tar", TWO)
    paths = Folder(tmp_path / "two", path_column="l.png").list_images()["all"].paths
    assert [path.rpartition("/")[2] for path in paths] == ["0.l.png", "1.l.png"]
    assert "there is no r.png beside it" in refusal_of(
        lambda: Folder(tmp_path / "two", path_column="r.png").list_images()
    )


@pytest.mark.parametrize("size", [8000, 10752])  # in a file, and between it and the end of the archive
def test_shards_of_others_that_are_cut(tmp_path, size):
    file = archive(tmp_path / "set/0.tar", {**WITH_CLS, "9.cls": b"3", "9.png": bytes(5000)})
    os.truncate(file, size)
    assert "is cut" in refusal_of(lambda: Folder(tmp_path / "set").list_images())


def test_a_set_that_cannot_be_written_is_indexed_in_the_cache_of_the_user(tmp_path, monkeypatch):
    archive(tmp_path / "set/0.tar", WITH_CLS)
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert len(Folder(tmp_path / "set").list_images()["all"]) == 2
    assert not (tmp_path / "set/.longtail").exists()
    assert list((tmp_path / "user-cache/longtail/shards").glob("*/auto-auto/index.json"))


def test_an_index_of_another_user_is_read_without_a_lock(tmp_path, monkeypatch):
    file = archive(tmp_path / "set/0.tar", WITH_CLS)
    Folder(tmp_path / "set").list_images()
    cache = tmp_path / "set/.longtail/shards"
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*")}
    (cache / ".lock").unlink(missing_ok=True)
    home = str(tmp_path / "user-cache")
    monkeypatch.setattr(os, "access", lambda path, *_: str(path).startswith(home))
    assert len(Folder(tmp_path / "set").list_images()["all"]) == 2
    assert not (cache / ".lock").exists()
    assert not Path(home).exists()
    archive(file, {**WITH_CLS, "2.jpg": encoded(1, "JPEG"), "2.cls": b"3"})
    assert [len(Folder(tmp_path / "set").list_images()["all"]) for _ in range(2)] == [3, 3]
    assert not (cache / ".lock").exists()
    index = cache / "auto-auto/index.json"
    assert index.stat().st_mtime_ns == before[index]


class _Ranges(http.server.SimpleHTTPRequestHandler):
    """Serves parts of files, which Python's server does not."""

    parts, failures = True, 0

    def do_GET(self) -> None:
        if _Ranges.failures:
            _Ranges.failures -= 1
            return self.send_error(503)
        path = Path(self.translate_path(self.path))
        span = re.match(r"bytes=(\d+)-(\d+)", self.headers.get("Range") or "")
        if not (span and path.is_file() and self.parts):
            return super().do_GET()
        start, end = int(span[1]), int(span[2]) + 1
        self.send_response(206)
        data = path.read_bytes()[start:end]
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Of a server of the folder."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Ranges, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("store", ["http", "file", "memory"])
def test_stores(tmp_path, shards, store, address):
    archive(tmp_path / "others/train/0.tar", WITH_JSON)
    base = {"http": address, "file": f"file://{tmp_path}", "memory": "memory://sets"}[store]
    if store == "memory":
        memory = fsspec.filesystem("memory")
        memory.put(str(shards), "sets/shards", recursive=True)
        memory.put(str(tmp_path / "others"), "sets/others", recursive=True)
    data = Shards(f"{base}/shards", batch_size=2)
    assert_same_images(data, Folder(tmp_path / "photos"))
    sample = data.splits.train.images[3, 0][0]
    assert sample["images"].shape[0] == 1
    listing = Shards(f"{base}/others").list_images()["train"]
    assert listing.classes == ["ant", "owl"]
    assert decode(listing.paths[1]).getpixel((0, 0)) == (9, 9, 9)
    assert list((tmp_path / "user-cache/longtail/shards").glob("*/auto-auto/index.json"))
    assert data.list_labelled("test", ["eel", "dog", "cat"]).targets.tolist() == [2] * 4 + [1] * 3
    if store == "memory":
        memory.rm("sets", recursive=True)


def test_stores_that_do_not_answer(tmp_path, shards, monkeypatch, address):
    with pytest.raises(NoAnswer, match=r"127.0.0.1:9/set: the store does not answer after 3 tries \(.*\); check"):
        Shards("http://127.0.0.1:9/set").list_images()
    assert "no-such/set: not there; correct the address" in refusal_of(
        lambda: Shards(f"{address}/no-such/set").list_images()
    )
    assert "Protocol not known" in refusal_of(lambda: Shards("nosuch://set").list_images())
    path = Shards(f"{address}/shards").list_images()["train"].paths[0]
    monkeypatch.setattr(_Ranges, "failures", 2)
    assert decode(path).size == (12, 8)
    monkeypatch.setattr(_Ranges, "failures", 3)
    with pytest.raises(NoAnswer, match=r"shards/train-00000\d.tar: the store does not answer after 3 tries \(503"):
        decode(path)


def test_slow_stores_are_given_up(monkeypatch):
    monkeypatch.setattr(stores, "_PATIENCE", 0.01)
    end = threading.Event()
    with pytest.raises(NoAnswer, match=r"\(TimeoutError\)"):
        stores.answer_of("memory://a", lambda *_: end.wait(5))
    end.set()


def test_a_server_without_parts(tmp_path, shards, address, monkeypatch):
    monkeypatch.setattr(_Ranges, "parts", False)
    message = refusal_of(lambda: stores.read_bytes(f"{address}/shards/train-000000.tar", 512, 700))
    assert "gives whole files and no parts of them" in message
    with pytest.raises(InputError, match="is cut, it ends before byte"):
        stores.read_bytes(str(shards / "train-000000.tar"), 0, 10**6)
    shutil.rmtree(shards)
