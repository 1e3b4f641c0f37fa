"""What ``--data`` means: names, paths and classes, those of the package and those of somebody else."""

import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import fails, results
from PIL import Image

import longtail.data
from longtail.cli.data import data_options
from longtail.cli.first_recipe import first_recipe
from longtail.cli.fit import FIT_HELP
from longtail.cli.main import main
from longtail.data.base import LongTailData
from longtail.data.names import find_class, import_path, shipped, short_names
from longtail.errors import InputError
from longtail.tasks.refusals import building

OURS = "longtail.data."
MY_SETS = '''
from pathlib import Path

from longtail.data import COCO, Folder as OurFolder
from longtail.data.base import LongTailData, Located
from longtail.data.images.digits import DigitsLT
from longtail.data.sampling import Sampling
from longtail.errors import InputError


class Folder(OurFolder):
    """Ours, with a difference."""


class Boxes(COCO):
    """It has no short name of its own."""


class Digits(DigitsLT):
    """The digits, halved: a set with a short name, which a path may be given to."""

    short_name = "my_digits"
    needs = "give --data my_digits, or --data FILE.half"
    movable = DigitsLT.movable | {"root"}

    def __init__(
        self, root: Path = Path("."), fail: str = "", batch_size: int = 16, sampling: Sampling | None = None
    ) -> None:
        super().__init__(0.1, batch_size=batch_size, sampling=sampling)
        self.root, self.fail = root, fail
        if fail == "constructor":
            raise ValueError("a fault of my own")

    @classmethod
    def located(cls, path: Path) -> Located:
        if path.suffix != ".half":
            raise InputError(f"{path} is no half: {cls.needs}")
        return Located(cls, {"root": path})

    def read(self):
        if self.fail == "reader":
            raise ValueError("a fault of my own")
        if self.fail == "attribute":
            raise AttributeError("a fault of my own")
        return super().read()


class Draws(Sampling):
    """One that cannot be made."""

    def __init__(self) -> None:
        raise ValueError("a fault of my own")

    def __call__(self, labels, difficulty, epochs, seed):
        raise AssertionError


class NoSet:
    """Something else."""
'''
RECIPE = """
about: digits of my own
base: digits_lt/ce
data:
  class_path: my_sets.Digits
  init_args: {batch_size: 16}
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forget: Callable[[str], None]) -> Path:
    """A folder to work in, with a data set of somebody else's, a recipe that names it, and things to point at."""
    (tmp_path / "my_sets.py").write_text(MY_SETS)
    (tmp_path / "mine.yaml").write_text(RECIPE)
    (tmp_path / "photos").mkdir()
    for file in ("train.csv", "train.json", "train.mp3", "digits.half"):
        (tmp_path / file).touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    forget("my_sets")
    return tmp_path


OURS_TOO = ["--trust", "my_sets"]
FOLDER, TABLE = "--data.root=photos", "--data.table=train.csv"
ADDRESS = "s3://bucket/set"
SHARDS = ["--data", OURS + "Shards", f"--data.root={ADDRESS}"]


@pytest.mark.parametrize(
    ("kind", "value", "options"),
    [
        (None, "photos", ["--data", OURS + "Folder", FOLDER]),
        (None, "./train.csv", ["--data", OURS + "Table", TABLE]),
        (OURS + "Folder", "photos/", [FOLDER]),
        (OURS + "Folder", "train.csv", ["--data", OURS + "Table", TABLE]),
        (OURS + "Table", "photos", ["--data", OURS + "Folder", FOLDER]),
        (OURS + "Table", "train.csv", [TABLE]),
        ("Table", "photos", ["--data", OURS + "Folder", FOLDER]),
        (OURS + "VideoFolder", "photos", [FOLDER]),
        (OURS + "VideoFolder", "train.csv", ["--data", OURS + "VideoTable", TABLE]),
        (OURS + "VideoTable", "photos", ["--data", OURS + "VideoFolder", FOLDER]),
        (OURS + "VideoTable", "train.csv", [TABLE]),
        (OURS + "SegmentationFolder", "photos", [FOLDER]),
        (OURS + "COCO", "photos", [FOLDER]),
        (OURS + "COCO", "lvis", ["--data", OURS + "LVIS"]),
        (OURS + "ImageNetLT", "photos", [FOLDER]),
        (OURS + "Folder", "imagenet_lt", ["--data", OURS + "ImageNetLT"]),
        (OURS + "Folder", "my_sets.Digits", ["--data", "my_sets.Digits"]),
        (OURS + "Folder", "DigitsLT", ["--data", "DigitsLT"]),
        ("my_sets.Folder", "photos", [FOLDER]),
        ("my_sets.Boxes", "photos", [FOLDER]),
        ("my_sets.Boxes", "coco", ["--data", OURS + "COCO"]),
        *((kind and OURS + kind, ADDRESS, SHARDS) for kind in (None, "Folder", "Table", "Shards")),
        ("my_sets.Digits", "digits.half", ["--data.root=digits.half"]),
        ("my_sets.Digits", "my_digits", ["--data", "my_sets.Digits"]),
    ],
)
def test_the_class_that_the_recipe_names_says_what_a_path_means(
    place: Path, kind: str | None, value: str, options: list[str]
) -> None:
    assert data_options(value, kind) == options


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (OURS + "SegmentationFolder", "train.csv", r"train\.csv is no folder.*--data FOLDER with images/"),
        (OURS + "COCO", "train.csv", r"train\.csv is no folder.*--data coco --data\.root FOLDER"),
        (OURS + "COCO", "train.json", r"--data FOLDER, that of the images, and --data\.train train\.json"),
        (OURS + "CIFAR10LT", "train.csv", r"train\.csv is no folder, as CIFAR10LT wants"),
        (OURS + "DigitsLT", "photos", r"DigitsLT reads nothing from photos.*a recipe for images of your own"),
        (OURS + "EGTEA", "train.csv", r"--data egtea --data\.root FOLDER"),
        (OURS + "Folder", "train.mp3", r"train\.mp3 is no folder.*--data TABLE"),
        (OURS + "Table", "train.mp3", r"train\.mp3 is no table.*--data FOLDER"),
        ("my_sets.Folder", "train.csv", r"nothing that Folder reads.*--data longtail\.data\.Table --data\.table train"),
        *(
            (kind, ADDRESS, rf"{ADDRESS} is nothing that \w+ reads: give .*--data longtail\.data\.Shards --data\.root")
            for kind in (OURS + "COCO", OURS + "VideoFolder", "my_sets.Folder")
        ),
        ("my_sets.Digits", "photos", r"photos is no half: give --data my_digits"),
        ("my_sets.Nothing", "photos", r'no class "my_sets\.Nothing"; choose from .*VideoTable'),
        ("nowhere.Set", "photos", r'no class "nowhere\.Set"'),
        ("my_sets.NoSet", "photos", r"my_sets\.NoSet is no data set: derive it from longtail\.data\.base"),
        (OURS + "Folder", "my_digits", r'"my_digits", and no data set of that name: ade20k, .*yolo$'),
        ("my_sets.Digits", "nothing", r"digits_lt, .*my_digits"),
        (OURS + "Folder", "./nothing", r"no folder or table at \./nothing"),
        (OURS + "Folder", "test.csv", r"no folder or table at test\.csv"),
        (OURS + "Folder", "tain.csv", r"no folder or table at tain\.csv; near it: train\.csv"),
        (OURS + "Folder", "photos.zip", r"no folder or table at photos\.zip"),
        (OURS + "Folder", "photos.ZIP", r"no folder or table at photos\.ZIP"),
        (OURS + "Folder", "Photos", r'no folder or table at "Photos", and no data set of that name'),
        (OURS + "Folder", "nowhere/photos", r"no folder or table at nowhere/photos; nowhere is no folder"),
    ],
)
def test_what_a_class_cannot_read_is_refused_with_the_way_out(place: Path, kind: str, value: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        data_options(value, kind)
    assert "\n" not in str(error.value)


def test_a_path_that_is_not_there_is_said_before_anything_heavy_is_imported(place: Path) -> None:
    code = (
        "import sys; from longtail.cli.main import main; code = main(['fit', '--recipe', 'bcl', '--data', 'no.csv']);"
        "sys.exit(code != 2 or any(m in sys.modules for m in ('torch', 'lightning')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_set_introduces_itself(name: str) -> None:
    data = shipped()[name]
    assert find_class(import_path(data)) is find_class(name) is data
    assert import_path(data) == OURS + name
    assert data.needs.startswith("give "), "it goes on after a colon"
    assert data.movable >= LongTailData.movable
    if data.short_name is not None:
        assert short_names()[data.short_name] is data, "no other has its name"
        assert data.short_name in FIT_HELP.replace(",", "").split(), "the help, which imports nothing, names it"


@pytest.mark.parametrize("options", [["--recipe", "bcl"], ["--recipe", "clips/ce"], ["--recipe", "maskrcnn_ce"]])
def test_a_set_that_is_not_given_is_asked_for_in_its_own_words(
    place: Path, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    words = {"bcl": shipped()["Folder"], "clips/ce": shipped()["VideoFolder"], "maskrcnn_ce": shipped()["COCO"]}
    assert f"no data given: {words[options[1]].needs}" in fails(capsys, "fit", *options)


def test_a_set_from_outside_trains_by_name_and_by_path_and_is_evaluated(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fitting = ["fit", "--recipe", "mine.yaml", "--epochs", "1"]
    for name, data in (("named", ["--data", "my_digits"]), ("path", ["--data", "digits.half"]), ("recipe", [])):
        assert main([*fitting, *data, "--run", name]) == 0
        assert results(Path(name))["data"]["name"] == "Digits"
    counts = [results(Path(name))["train_counts"] for name in ("named", "path", "recipe")]
    assert counts[0] == counts[1] == counts[2]
    assert main(["validate", "path", "--data.root", "elsewhere.half", *OURS_TOO]) == 0
    assert "mix the splits" in fails(capsys, "validate", "path", "--data.factor", "0.2")
    assert "what the run was trained on: leave out --data" in fails(capsys, "validate", "path", "--data", "digits_lt")


def test_a_configuration_names_the_set_as_a_recipe_does(place: Path) -> None:
    random = np.random.default_rng(0)
    for c, number in enumerate((9, 7)):
        folder = place / "photos" / f"class {c}"
        folder.mkdir()
        for i in range(number):
            Image.fromarray(random.integers(0, 255, (20, 20, 3), dtype=np.uint8)).save(folder / f"{i}.png")
    options = ["--epochs", "1", "--workers", "0", "--batch-size", "4", "--backbone", "resnet8_cifar"]
    recipe = ["--recipe", "ce", "--data", "my_sets.Folder", "--data.root", "photos"]
    assert main(["fit", *recipe, "--image-size", "16", *options, "--run", "first"]) == 0
    (place / "photos").rename(place / "pictures")
    assert main(["fit", "--config", "first/config.yaml", "--data", "pictures", "--run", "second", *OURS_TOO]) == 0
    assert results(place / "second")["data"] | {"source": ""} == results(place / "first")["data"] | {"source": ""}
    assert "class_path: my_sets.Folder" in (place / "second" / "config.yaml").read_text()


def test_the_page_about_a_new_data_set_is_true(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its two files, as they stand there, train by name and by path."""
    page = (Path(longtail.__file__).parent.parent / "docs" / "your_data_set.md").read_text(encoding="utf-8")
    for language, file in (("python", "my_sets.py"), ("yaml", "mine.yaml")):
        (place / file).write_text(page.split(f"```{language}\n")[1].split("```")[0], encoding="utf-8")
    random = np.random.default_rng(0)
    (place / "pressed").mkdir()
    for name, number in (("oak", 9), ("fern", 7), ("moss", 3)):
        for i in range(number):
            leaf = Image.fromarray(random.integers(0, 255, (20, 20, 3), dtype=np.uint8))
            leaf.save(place / "pressed" / f"{name}-{i}.png")
    fitting = ["fit", "--recipe", "mine.yaml", "--epochs", "1", "--workers", "0", "--batch-size", "4"]
    fitting += ["--backbone", "resnet8_cifar", "--image-size", "16"]
    for run, data in (("path", ["pressed/"]), ("name", ["herbarium", "--data.root", "pressed"])):
        assert main([*fitting, "--data", *data, "--run", run]) == 0
        assert results(place / run)["classes"] == ["fern", "moss", "oak"]
        assert results(place / run)["train_counts"] == [6, 2, 7]
    assert "images such as oak-1.png" in fails(capsys, *fitting, "--data", "train.csv", "--run", "other")
    (place / "pressed").rename(place / "moved")
    assert main(["validate", "path", "--data.root", "moved", *OURS_TOO]) == 0


def test_a_set_of_the_package_is_two_files_and_a_line_where_names_are_read(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once it is exported the rest follows; and no other file has the names of the sets there are."""
    root = Path(longtail.__file__).parent.parent
    section = (root / "docs" / "your_data_set.md").read_text(encoding="utf-8").split("## In the package\n")[1]
    places = re.findall(r"`((?:longtail|docs)/[\w/]+\.\w+)`", section)
    assert len([name for name in places if "herbarium" in name]) == 2
    assert [name for name in places if "herbarium" not in name and not (root / name).is_file()] == []

    digits = find_class("my_sets.Digits")
    monkeypatch.setattr(longtail.data, "__all__", [*longtail.data.__all__, "Digits"])
    monkeypatch.setattr(longtail.data, "Digits", digits, raising=False)
    assert data_options("my_digits", None) == ["--data", OURS + "Digits"]
    assert first_recipe(digits()) == "logit_adjusted"
    monkeypatch.setattr("longtail.cli.first_recipe.recipe_names", lambda: ["my_digits/bcl", "my_digits/ce"])
    assert first_recipe(digits()) == "my_digits/bcl"

    texts = {file: file.read_text(encoding="utf-8") for file in (root / "longtail").rglob("*.py")}
    for name, data in short_names().items():
        naming = [file for file, text in texts.items() if f'"{name}"' in text or f"'{name}'" in text]
        assert naming == ([] if data is digits else [Path(inspect.getfile(data))])


FAULTS = [
    (["--data.fail", "constructor"], ValueError),
    (["--data.fail", "reader"], ValueError),
    (["--data.fail", "attribute"], AttributeError),
    (["--data.sampling", "my_sets.Draws"], ValueError),
]


@pytest.mark.parametrize(("options", "kind"), FAULTS)
def test_a_fault_of_somebody_elses_code_keeps_its_traceback(
    place: Path, options: list[str], kind: type[Exception]
) -> None:
    with pytest.raises(kind, match=r"^a fault of my own$") as error:
        main(["fit", "--recipe", "mine.yaml", *options, "--run", "run"])
    assert error.traceback[-1].path == place / "my_sets.py"
    assert not (place / "run").exists()


BUILT_WRONGLY = """
def fault():
    with building():
        first, second = [1]

def check(value):
    with building():
        if value > 1:
            raise ValueError(
                f"beta must be at most 1, got {value}"
            )
"""


def test_a_fault_of_the_package_itself_keeps_its_traceback() -> None:
    """No check raised it, so no value of an option is at fault."""
    module: dict[str, Any] = {"__name__": "longtail.made_up", "building": building}
    exec(BUILT_WRONGLY, module)
    with pytest.raises(ValueError, match="not enough values to unpack") as error:
        module["fault"]()
    assert type(error.value) is ValueError
    with pytest.raises(InputError, match="beta must be at most 1, got 2"):
        module["check"](2)


VALUES = [
    ["--model.method.loss", "longtail.losses.ClassBalancedLoss", "--model.method.loss.beta", "2"],
    ["--data.padding", "-1"],
    ["--trainer.accelerator", "nonsense"],
    ["--data.factor", "2"],
]


@pytest.mark.parametrize("options", VALUES, ids=lambda options: options[-2])
def test_a_value_that_is_refused_is_one_line(
    place: Path, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    assert options[-2].rsplit(".", 1)[-1] in fails(capsys, "fit", "--recipe", "digits_lt/ce", *options, "--run", "run")
