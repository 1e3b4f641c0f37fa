"""``longtail data``: every grain, copies planted across the splits, what cannot be used, and what is typed wrong."""

import inspect
import io
import json
import os
import re
import shlex
import subprocess
import sys
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from command import fails
from PIL import Image
from reports.sample import HOSTILE, Tags

import longtail
from longtail.cli.first_recipe import limits_of
from longtail.cli.look import DATA_HELP
from longtail.cli.main import main
from longtail.data.base import LongTailData
from longtail.data.names import shipped, short_names
from longtail.generated.shapes import write_shapes
from longtail.own_modules import class_at
from longtail.recipes import load_recipe
from longtail.tasks.base import Task
from longtail.tasks.limits import group_limits


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longtail.models.downloads.obtainable", lambda name: False)


def scene(seed: int, side: int = 64) -> Image.Image:
    """A smooth picture that is like no other."""
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC)


def write(path: Path, seed: int, side: int = 64) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scene(seed, side).save(path)


def state(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file below a folder, but what readers keep, and its size and time."""
    files = [path for path in folder.rglob("*") if path.is_file() and ".longtail" not in path.parts]
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in files}


def look(capsys: pytest.CaptureFixture[str], tmp_path: Path, *args: str) -> tuple[dict[str, Any], str]:
    """What ``longtail data`` says of a set, for programs and for people."""
    assert main(["data", *args, "--json", str(tmp_path / "about.json")]) == 0
    streams = capsys.readouterr()
    assert not streams.err
    return json.loads((tmp_path / "about.json").read_text()), streams.out


def line(out: str, name: str) -> str:
    """What is said of one thing."""
    return next(row for row in out.splitlines() if row.startswith(f"{name} "))[12:]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 cats, 6 dogs and 2 owls to train on, and 3, 2 and 0 for validation. Of these a cat is one of the first to the
    byte, a dog is one in another size and quality, and a cat among the dogs is one of the training cats."""
    root = tmp_path_factory.mktemp("set") / "photos"
    seeds = iter(range(100))
    for split, counts in {"train": (12, 6, 2), "val": (2, 1, 0)}.items():
        for name, count in zip(("cat", "dog", "owl"), counts, strict=True):
            for i in range(count):
                write(root / split / name / f"{i}.png", next(seeds))
    (root / "val/owl").mkdir()
    (root / "val/cat/same.png").write_bytes((root / "train/cat/3.png").read_bytes())
    scene(12).resize((40, 40)).save(root / "val/dog/like.jpg", quality=40)  # train/dog/0.png
    (root / "train/dog/cat.png").write_bytes((root / "train/cat/5.png").read_bytes())
    (root / "train/cat/bad.png").write_text("no image")
    (root / "train/cat/notes.txt").touch()
    return root


def test_a_folder_of_images(photos: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    before = state(photos.parent)
    summary, out = look(
        capsys, tmp_path, str(photos), "--html", str(tmp_path / "page.html"), "--model.many", "10", "--model.few", "8"
    )
    assert state(photos.parent) == before
    assert out.startswith(f"format      {photos}: images in a folder for each class\n")
    assert line(out, "data") == f"{photos}: 26 images of 3 classes"
    assert line(out, "splits") == "21 train, 5 val, no test"
    assert line(out, "left out") == "1 file of another kind (.txt), 1 image file that cannot be read"
    assert "bad.png (not an image" in out
    assert line(out, "groups").startswith("1 many-shot (more than 10 training images), 0 medium-shot, 2 few-shot")
    assert line(out, "validation") == "3 of 3 classes have fewer than 5 images: owl (0), dog (2), cat (3)"
    assert line(out, "duplicates") == (
        "1 exact and 1 near copies of training images among the 5 validation images, such as val/cat/same.png of "
        "train/cat/3.png; 1 exact copy within the training images; 1 content under several classes"
    )
    assert summary["samples"] == {"train": [12, 7, 2], "val": [3, 2, 0]}
    copies = {copy["name"]: copy for overlap in summary["overlaps"] for copy in overlap["copies"]}
    assert {name: (copy["exact"], copy["other_name"]) for name, copy in copies.items()} == {
        "val/cat/same.png": (True, "train/cat/3.png"),
        "val/dog/like.jpg": (False, "train/dog/0.png"),
    }
    assert shlex.split(line(out, "next")) == ["longtail", "fit", "--data", str(photos), "--data.skip_bad_images=true"]
    assert line(out, "recipe").startswith("logit_adjusted: 22 training images of 3 classes on a CPU")  # one is bad
    page = (tmp_path / "page.html").read_text()
    assert page.count("data:image/jpeg") == 3 + 3 + 2 + 2 * 2
    assert "bad.png" in page


def test_options_of_the_data_are_those_of_fit(photos: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    flat = str(photos / "train")
    out = look(capsys, tmp_path, flat, "--data.val_fraction=0.5", "--data.group", r"/(\w+)\.png")[1]
    assert re.search(r"note +val: \d+ images of \d+ groups", out)
    summary, out = look(capsys, tmp_path, flat, "--data.val_fraction", "0.1", "--data.test_fraction", "0.1")
    assert summary["sizes"] == {"train": 17, "val": 2, "test": 2}
    assert "--data.val_fraction 0.26 is the smallest that gives one to every class" in line(out, "validation")
    assert out.count("--data.val_fraction 0.26") == 1
    assert "--data.val_fraction 0.1" in line(out, "next")
    assert "no validation images" in look(capsys, tmp_path, flat, "--data.val_fraction", "0")[1]
    assert "bad.png" in fails(capsys, "data", flat, "--data.skip_bad_images", "false")
    rows = [f"train/{name}/{i}.png,{name}" for name in ("cat", "dog") for i in range(5)]
    table = tmp_path / "table.csv"
    table.write_text("\n".join(["where,label", *rows, "train/cat/gone.png,cat"]))
    args = (str(table), "--data.root", str(photos), "--data.path_column", "where")
    out = look(capsys, tmp_path, *args)[1]
    assert line(out, "format") == f"{table}: a table of images"
    assert line(out, "left out") == "10 images that no row in use names, 1 row of table.csv without image"
    assert shlex.split(line(out, "next"))[3:] == [*args, "--data.skip_bad_images=true"]


def test_a_set_by_its_name(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    summary, out = look(capsys, tmp_path, "digits_lt")
    assert "format" not in out
    assert sum(sum(counts) for counts in summary["samples"].values()) == sum(summary["sizes"].values())
    assert line(out, "duplicates") == (
        f"no image comes twice; {sum(summary['sizes'].values())} images too small or black, and not compared by their "
        "looks"
    )
    assert line(look(capsys, tmp_path, "digits_lt", "--no-copies")[1], "duplicates") == "not looked for"
    assert line(out, "next").startswith("longtail fit --data digits_lt --recipe digits_lt/")


def test_boxes(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The images of validation are made those of training, one to the byte and one encoded anew."""
    root = tmp_path / "shapes"
    write_shapes(root, 20, 6, 48)
    train, val = (sorted((root / split).iterdir()) for split in ("train", "val"))
    val[0].write_bytes(train[4].read_bytes())
    Image.open(train[7]).save(val[2], "JPEG", quality=60)
    summary, out = look(capsys, tmp_path, str(root), "--html", str(tmp_path / "page.html"))
    content = json.loads((root / "annotations/instances_train.json").read_text())
    names = {category["id"]: category["name"] for category in content["categories"]}
    owners: dict[str, set[int]] = {name: set() for name in names.values()}
    for entry in content["annotations"]:
        owners[names[entry["category_id"]]].add(entry["image_id"])
    assert dict(zip(summary["classes"], summary["samples"]["train"], strict=True)) == {
        k: len(v) for k, v in owners.items()
    }
    assert summary["group_counts"] == summary["samples"]["train"]
    assert (summary["overlaps"][0]["exact"], summary["overlaps"][0]["near"]) == (1, 1)
    assert line(out, "recipe") == "maskrcnn_logit_adjusted"
    assert re.search(r"(\d+) frequent .* (\d+) common, (\d+) rare \(fewer than 11\)", line(out, "groups"))


def test_pixels(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Of 64 x 64 pixels in each of four images sky has all but 16 in two; the limits are shares of the mean."""
    root = tmp_path / "streets"
    for split, seeds in {"train": range(4), "val": range(3, 5)}.items():
        for seed in seeds:
            write(root / "images" / split / f"{seed}.png", seed)
            labels = np.zeros((64, 64), np.uint8)
            labels[:4, :4] = seed % 2
            (root / "annotations" / split).mkdir(parents=True, exist_ok=True)
            Image.fromarray(labels).save(root / "annotations" / split / f"{seed}.png")
    (root / "classes.txt").write_text("sky\nroad\n")
    summary, out = look(capsys, tmp_path, str(root), "--html", str(tmp_path / "page.html"), "--model.few", "0.001")
    assert summary["group_counts"] == [4 * 64 * 64 - 32, 32]
    assert summary["samples"] == {"train": [4, 2], "val": [2, 1]}
    assert summary["thresholds"] == {"many": 2 * 64 * 64, "few": 8}
    assert line(out, "duplicates").startswith("1 exact copy of training images among the 2 validation images, such as")
    assert line(out, "recipe") == "segmentation/logit_adjusted"


def test_clips(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Folders of frames; one for validation has the frames of one to train on."""
    root = tmp_path / "videos"
    for split, counts in {"train": {"run": 3, "walk": 2}, "val": {"run": 1, "walk": 1}}.items():
        for name, count in counts.items():
            for i in range(count):
                for frame in range(3):
                    seed = 100 * len(name) + 10 * i + frame
                    if split == "val":
                        seed = 310 + frame if name == "run" else 1000 + frame
                    write(root / split / name / str(i) / f"{frame}.png", seed)
    summary, out = look(capsys, tmp_path, "VideoFolder", "--data.root", str(root), "--data.frames", "2")
    assert summary["samples"] == {"train": [3, 2], "val": [1, 1]}
    assert line(out, "duplicates").startswith("1 exact copy of training videos among the 2 validation videos, such as")
    assert line(out, "recipe") == "clips/logit_adjusted"
    assert "training videos" in line(out, "groups")


def test_names_from_outside_stay_text(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Classes and files with names that would be markup on the page, and control characters in the terminal."""
    labels = [name for name in HOSTILE if name.isprintable()]
    rows = []
    for i, label in enumerate(labels):
        for j in range(2):
            name = f"{i}<img src=x onerror=alert({j})>.png"
            write(tmp_path / name, 2 * i + j)
            rows.append(f'"{name}","{label.replace(chr(34), chr(34) * 2)}",{"train" if j else "val"}')
    write(tmp_path / "copy<script>.png", 1)
    rows.append(f'"copy<script>.png","{labels[1].replace(chr(34), chr(34) * 2)}",val')
    (tmp_path / "table.csv").write_text("\n".join(["path,label,split", *rows]))
    out = look(capsys, tmp_path, str(tmp_path / "table.csv"), "--html", str(tmp_path / "page.html"))[1]
    assert "[bold]markup[/bold]" in out
    page = Tags((tmp_path / "page.html").read_text())
    assert page.tags.count("script") == 1
    assert page.tags.count("img") == len(labels) + 2
    assert not [name for name in page.attributes if name.startswith("on")]


def test_what_is_said_fits_narrow_and_plain_terminals(
    photos: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Terminal(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    root = tmp_path / "set"
    for i, name in enumerate(("कखग" * 9, "b", "c")):
        for j in range(3 * i + 2):
            write(root / name / f"{j}.png", 10 * i + j)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "dumb")
    for encoding in ("ascii", "utf-8"):
        output = Terminal(io.BytesIO(), encoding=encoding)
        monkeypatch.setattr(sys, "stdout", output)
        assert main(["data", str(root)]) == 0
        output.flush()
        lines = output.buffer.getvalue().decode(encoding).splitlines()  # type: ignore[attr-defined]  # of BytesIO
        bars = [row for row in lines if row.rstrip().endswith(("#", "█"))]
        assert len(bars) == 3
        assert max(map(len, bars)) <= 40
        assert re.match("c +6  .*█ *$" if encoding == "utf-8" else "c +6  .*# *$", bars[0])


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["missing/"], "no folder or table at missing/"),
        (["photos.zip"], "photos.zip is an archive: unpack it, and give the folder"),
        (["empty"], "empty is empty: give a folder with images"),
        (["text"], "no images .* in class folders below it"),
        (["voc"], "boxes in Pascal VOC's format and images with a class for each pixel: choose by longtail data"),
        (["two.csv"], "two.csv, line 3: 1 field where the header has 2"),
        (["--html", "page.html"], "give what to look at: longtail data WHAT"),
        (["empty", "--model.many", "x"], '--model.many: expected a number, got "x"'),
        (["empty", "--model.few", "nan"], '--model.few: expected a number, got "nan"'),
        (["good", "--html", "gone/page.html"], "gone: no such folder; make it, or choose another place for page.html"),
        (["good", "--json", "empty"], "empty is a folder: give the name of a file"),
        (["good", "--epochs", "3"], "trainer"),
        (["good", "--data.val_fraction", "2"], r"val_fraction must be in \[0, 1\), got 2"),
        (["good", "--data.nothing", "2"], "nothing"),
        (["good", "--model.many", "5", "--model.few", "9"], "few must not be above many"),
    ],
)
def test_what_is_wrong_gets_one_line(
    args: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("empty", "text/cat", "text/dog", "voc/Annotations", "voc/SegmentationClass", "voc/JPEGImages"):
        Path(name).mkdir(parents=True)
    Path("text/cat/a.txt").touch()
    Path("voc/Annotations/1.xml").write_text("<annotation><bndbox></bndbox></annotation>")
    for name in ("voc/JPEGImages/1.jpg", "voc/SegmentationClass/1.png", "good/a/1.png", "good/b/2.png"):
        write(Path(name), 0)
    Path("photos.zip").touch()
    Path("two.csv").write_text("path,label\ngood/a/1.png,a\nb\n")
    before = state(tmp_path)
    assert re.search(message, fails(capsys, "data", *args))
    assert state(tmp_path) == before


def test_bad_paths_are_told_before_torch_is_imported(tmp_path: Path) -> None:
    (tmp_path / "photos.zip").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.csv").write_text("path,label\na.jpg,cat\nb\n")
    commands = [["data", name] for name in ("gone/", "photos.zip", "empty", "bad.csv")]
    code = (
        f"import sys; from longtail.cli.main import main; codes = [main(args) for args in {commands!r}];"
        "sys.exit(codes != [2] * 4 or any(name in sys.modules for name in ('torch', 'lightning', 'timm')))"
    )
    variables = {**os.environ, "PYTHONPATH": str(Path(longtail.__file__).parents[1])}
    process = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=variables, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    assert len(process.stderr.splitlines()) == 4


@pytest.mark.parametrize("data", shipped().values())
def test_recipe_and_grain_of_a_set_are_those_of_a_task(data: type[LongTailData], tmp_path: Path) -> None:
    place: Any = SimpleNamespace(root=tmp_path)
    for name in ("grain", "recipe"):  # the latter may follow from the former
        value = getattr(data, name)
        getter = value.func if isinstance(value, cached_property) else getattr(value, "fget", None)
        setattr(place, name, value if getter is None else getter(place))
    recipe, grain = place.recipe, place.grain
    task = class_at(load_recipe(recipe)["model"]["class_path"], Task)
    assert task is not None
    assert getattr(task, "grain", grain).key == grain.key
    options, unit = inspect.signature(task).parameters, task.group_unit([10, 30])
    assert unit == (20 if grain.noun == "pixel" else 1)
    assert group_limits(task, [10, 30]) == {name: int(unit * options[name].default) for name in ("many", "few")}


def test_limits_are_those_of_the_recipe_where_it_says_them() -> None:
    data: Any = SimpleNamespace(group_counts=[10, 30])
    limits = {"many": None, "few": 5.0}
    assert limits_of(data, "inaturalist2018/ce", limits) == {"many": 90, "few": 5}
    assert limits_of(data, None, limits) == {"many": 100, "few": 5}


def test_a_class_of_the_package_has_the_options_that_are_named() -> None:
    names: set[str] = set()
    for data in shipped().values():
        options = {name for base in data.__mro__ for name in inspect.signature(base.__init__).parameters}
        assert {*data.looks, *filter(None, [data.skips])} <= options
        names |= options
    assert {*re.findall(r"--data\.(\w+)", DATA_HELP)} <= names
    assert {"digits_lt", "coco"} <= short_names().keys()


def test_what_would_stop_a_training_is_left_out_of_the_next_command_too(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """An image that no row names stops nothing; a row without one, a class or with two of them does."""
    for i in range(9):
        write(tmp_path / f"{i}.png", i)
    rows = [f"{i}.png,{'ab'[i % 2]}" for i in range(8)]
    for row, stops in (("", False), ("9.png,a", True), ("8.png,", True), ("0.png,b", True)):
        (tmp_path / "table.csv").write_text("\n".join(["path,label", *rows, row]))
        out = look(capsys, tmp_path, str(tmp_path / "table.csv"), "--no-copies")[1]
        assert line(out, "left out") != "nothing"
        assert ("--data.skip_bad_images=true" in line(out, "next")) is stops
