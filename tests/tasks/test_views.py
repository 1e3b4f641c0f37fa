"""Options of views, for all of them and for one."""

import json
from pathlib import Path

import pytest
import yaml
from command import fails

from longtail.cli.main import main
from longtail.errors import InputError
from longtail.tasks.views import split_off, with_options

SIM, RAND = "longtail.augment.SimView", "longtail.augment.RandView"
BCL = ["--recipe", "digits_lt/bcl"]


def test_an_option_holds_for_all_views_or_for_one(tmp_path: Path) -> None:
    """The recipe of BCL on the digits has three views without a flip."""
    options = ["--data.views.flip", "0.25", "--data.views.1.flip=1", "--trainer.limit_train_batches", "1"]
    options += ["--epochs", "1", "--trainer.limit_val_batches", "0", "--trainer.limit_test_batches", "0"]
    assert main(["fit", *BCL, "--run", str(tmp_path / "r"), *options]) == 0
    views = yaml.safe_load((tmp_path / "r" / "config.yaml").read_text())["data"]["init_args"]["views"]
    assert [view["class_path"] for view in views] == [SIM] * 3
    assert [view["init_args"]["flip"] for view in views] == [0.25, 1, 0.25]
    assert [view["init_args"]["strength"] for view in views] == [0.4] * 3, "as before"


def test_what_is_split_off() -> None:
    args = [
        "--data.views.flip",
        "0",
        "--epochs",
        "2",
        "--data.views.0.strength=1",
        "--data.views",
        "x",
        "--data.view.flip=1",
    ]
    rest, options = split_off(args)
    assert rest == ["--epochs", "2", "--data.views", "x", "--data.view.flip=1"]
    assert options == {"flip": "0", "0.strength": "1"}
    for words in (["--data.views.flip"], ["--data.views.flip", "--epochs", "2"]):
        with pytest.raises(InputError, match=r"--data\.views\.flip needs a value"):
            split_off(words)


def test_a_view_without_the_option_is_left_as_it_is() -> None:
    views = [{"class_path": SIM, "init_args": {"flip": 0.0}}, {"class_path": RAND}]
    strength, n, late = (
        json.loads(with_options(views, options))
        for options in ({"strength": "0.8"}, {"init_args.n": "3"}, {"flip": "0.1", "1.flip": "0.2"})
    )
    assert strength == [
        {"class_path": SIM, "init_args": {"flip": 0.0, "strength": 0.8}},
        {"class_path": RAND, "init_args": {}},
    ]
    assert n[1]["init_args"] == {"n": 3}
    assert [view["init_args"]["flip"] for view in late] == [0.1, 0.2]
    assert views[0] == {"class_path": SIM, "init_args": {"flip": 0.0}}, "what was given stays"


def test_the_view_that_a_set_takes_by_itself_has_options_too() -> None:
    crop = {"class_path": "longtail.augment.PadCrop", "init_args": {"padding": 3}}
    options = {"rotation": "10", "crop": json.dumps(crop), "crop.init_args.padding": "4"}
    [view] = json.loads(with_options(None, options))
    assert view["class_path"] == "longtail.augment.PlainView"
    assert view["init_args"] == {"rotation": 10, "crop": {**crop, "init_args": {"padding": 4}}}


def test_options_that_no_view_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match=r"--data\.views\.2\.flip: there are 2 views, from 0 to 1"):
        with_options([{"class_path": SIM}] * 2, {"2.flip": "0"})
    line = fails(capsys, "fit", *BCL, "--run", str(tmp_path / "r"), "--data.views.flop", "0")
    assert "--data.views.flop: no view has such an option, only flip, " in line
    assert "strength" in line
    line = fails(capsys, "fit", *BCL, "--run", str(tmp_path / "r"), "--data.views.flip", "often")
    assert "--data.views" in line
    assert not (tmp_path / "r").exists()
