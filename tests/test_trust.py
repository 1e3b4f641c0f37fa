"""What may be built from a run of somebody else's, and what is imported from the current folder."""

import copy
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from command import FIT_DIGITS, fails, results

import longtail
from longtail.cli.main import main
from longtail.configuration import parse_yaml
from longtail.errors import InputError, causes
from longtail.inference import load_run
from longtail.own_modules import named_in
from longtail.recipes import load_recipe, recipe_names
from longtail.trust import TRAINING, building_from_run, trust, trusted

MARK = "executed"
CODE = f"open({MARK!r}, 'w').close()"
# Callables that do harm when they are called with these arguments, or are none that builds a part of a run.
HOSTILE: dict[str, dict[str, Any]] = {
    "os.system": {"command": f"touch {MARK}"},
    "posix.system": {"command": f"touch {MARK}"},
    "subprocess.run": {"args": ["touch", MARK]},
    "subprocess.Popen": {"args": ["touch", MARK]},
    "builtins.exec": {"source": CODE},
    "builtins.eval": {"source": CODE},
    "runpy.run_path": {"path_name": "stray.py"},
    "importlib.import_module": {"name": "stray"},
    "functools.partial": {"func": "os.system"},
    "shutil.rmtree": {"path": "treasure"},
    "pathlib.Path.unlink": {"self": "treasure/file"},
    "logging.config.fileConfig": {"fname": "treasure/file"},
    "torch.load": {"f": "evil.pt", "weights_only": False},
    "torch.hub.load": {"repo_or_dir": ".", "model": "evil", "source": "local"},
    "torch.fx.graph_module.reduce_graph_module": {"body": {"_code": CODE}, "import_block": CODE},
    "torch.utils.cpp_extension.load": {"name": "evil", "sources": ["evil.cpp"]},
    "torch.nn.Module": {},
    "numpy.load": {"file": "evil.pt", "allow_pickle": True},
    "joblib.load": {"filename": "evil.pt"},
    "timm.create_model": {"model_name": "hf-hub:evil/evil", "pretrained": True},
    "lightning.pytorch.LightningModule.load_from_checkpoint": {"checkpoint_path": "evil.pt"},
    "lightning.pytorch.callbacks.LambdaCallback": {"setup": "os.system"},
    "longtail.data.images.cifar.download_archive": {"address": "file:stray.py", "md5": "", "root": "treasure"},
    "longtail.losses.ldam.torch.hub.load": {"repo_or_dir": ".", "model": "evil", "source": "local"},
    "longtail.writing.write_atomically": {"path": MARK, "content": ""},
    "longtail.__main__.main": {},
    "stray.Payload": {},
    "stray": {},
}
# Places in a configuration where a class is expected, those of the method first.
PLACES = [
    ("model", "init_args", "method"),
    ("model", "init_args", "method", "init_args", "backbone"),
    ("model", "init_args", "method", "init_args", "loss"),
    ("model", "init_args", "optimizer"),
    ("model", "init_args", "schedule"),
    ("model", "init_args", "difficulty"),
    ("model",),
    ("data",),
    ("data", "init_args", "views"),
    ("trainer", "callbacks"),
    ("trainer", "logger"),
    ("trainer", "strategy"),
]
OF_METHOD = PLACES[:3]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run."""
    run = tmp_path_factory.mktemp("runs") / "run"
    assert main([*FIT_DIGITS, "--epochs", "1", "--run", str(run)]) == 0
    return run


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to start in, in which lies what would be executed."""
    (tmp_path / "stray.py").write_text(f"{CODE}\nclass Payload: pass\n")
    (tmp_path / "hubconf.py").write_text(f"{CODE}\ndef evil(): pass\n")
    torch.save({"state_dict": Evil()}, tmp_path / "evil.pt")
    (tmp_path / "treasure").mkdir()
    (tmp_path / "treasure" / "file").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LONGTAIL_RUN", raising=False)
    return tmp_path


class Evil:
    """Leaves its mark when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (CODE,)


def harmed(place: Path) -> bool:
    """Whether anything was executed."""
    return (place / MARK).exists() or not (place / "treasure" / "file").exists() or "stray" in sys.modules


def with_value(run: Path, folder: Path, keys: tuple[str, ...], value: object) -> Path:
    """A run whose configuration holds something else in one place."""
    config = copy.deepcopy(parse_yaml((run / "config.yaml").read_text()))
    inner = config
    for key in keys[:-1]:
        inner = inner[key]
    listed = keys[-1] in ("views", "callbacks")
    inner[keys[-1]] = [value] if listed else value
    folder.mkdir()
    for name in ("last.ckpt", "best.ckpt"):
        (folder / name).symlink_to(run / name)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    content = {**results(run), "config": yaml.safe_dump(config)}
    (folder / "results.json").write_text(json.dumps(content))
    return folder


COMMANDS = {
    "predict": ["predict", "RUN", "a.png"],
    "export": ["export", "RUN"],
    "validate": ["validate", "RUN"],
    "test": ["test", "RUN", "--data.batch_size", "8"],
    "tradeoff": ["tradeoff", "RUN"],
    "resume": ["fit", "--resume", "RUN"],
    "config": ["fit", "--config", "RUN/config.yaml", "--run", "again"],
    "config with data": ["fit", "--config=RUN/config.yaml", "--data", "digits_lt", "--run", "again"],
    "help": ["fit", "--config", "RUN/config.yaml", "--help-all"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_else_is_built_from_a_run(
    command: str, run: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = OF_METHOD if command in ("predict", "export") else PLACES
    for number, (path, options) in enumerate(HOSTILE.items()):
        if "." not in path:
            continue
        keys = places[number % len(places)]
        folder = with_value(run, place / f"run-{number}", keys, {"class_path": path, "init_args": options})
        line = fails(capsys, *(arg.replace("RUN", folder.name) for arg in COMMANDS[command]))
        assert f"names {path}, which" in line or "not the configuration of a run" in line, keys
        assert folder.name in line
        assert not harmed(place), path


@pytest.mark.parametrize("command", ["predict", "validate"])
def test_nor_what_is_named_by_a_plain_string(
    command: str, run: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = OF_METHOD if command == "predict" else [PLACES[3], PLACES[1]]
    for number, (path, options) in enumerate(HOSTILE.items()):
        text = yaml.safe_dump({"class_path": path, "init_args": options}, default_flow_style=True)
        keys = places[number % len(places)]
        folder = with_value(run, place / f"run-{number}", keys, path if number % 3 else text)
        fails(capsys, *(arg.replace("RUN", folder.name) for arg in COMMANDS[command]))
        assert not harmed(place), (path, keys)


@pytest.mark.parametrize("path", HOSTILE)
def test_nor_is_a_predictor(path: str, run: Path, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = with_value(run, place / "run", ("run",), "run")
    (folder / "results.json").write_text(json.dumps({**results(run), "predictor": path}))
    for command in ("predict", "export"):
        assert f"names {path}, which" in fails(capsys, *(arg.replace("RUN", "run") for arg in COMMANDS[command]))
    assert not harmed(place)


def test_pages_build_nothing_and_are_made_of_every_run(run: Path, place: Path) -> None:
    folder = with_value(run, place / "run", PLACES[0], [{"class_path": path} for path in HOSTILE])
    (folder / "results.json").write_text(json.dumps({**results(folder), "predictor": "stray.Payload"}))
    assert main(["report", "run"]) == 0
    assert main(["compare", "run", str(run)]) == 0
    assert not harmed(place)


def test_a_run_of_the_package_is_used_as_it_is(run: Path, place: Path) -> None:
    for command in ("validate", "resume", "config"):
        assert main([arg.replace("RUN", str(run)) for arg in COMMANDS[command]]) == 0


@pytest.mark.parametrize("name", recipe_names())
def test_a_run_of_every_recipe_is_free(name: str) -> None:
    config = load_recipe(name)
    with building_from_run(name, config, TRAINING):
        pass


LOSS = """
from longtail.losses import CrossEntropyLoss


class Own(CrossEntropyLoss):
    pass
"""
RECIPE = {
    "about": "mine",
    "base": "digits_lt/ce",
    "model": {"init_args": {"method": {"init_args": {"loss": "a_loss_of_mine.Own"}}}},
}


def test_a_module_of_ones_own_is_trusted_by_name_once(
    place: Path, capsys: pytest.CaptureFixture[str], forget: Callable[[str], None]
) -> None:
    forget("a_loss_of_mine")
    (place / "a_loss_of_mine.py").write_text(LOSS)
    (place / "mine.yaml").write_text(yaml.safe_dump(RECIPE))
    assert main(["fit", "--recipe", "mine.yaml", "--epochs", "1", "--run", "run"]) == 0, "what one types is free"
    for command in ("validate", "export"):
        line = fails(capsys, *(arg.replace("RUN", "run") for arg in COMMANDS[command]))
        assert "a_loss_of_mine.Own" in line
        assert line.endswith("add --trust a_loss_of_mine")
    assert main(["validate", "run", "--trust", "a_loss_of_mine"]) == 0
    assert main(["validate", "run"]) == 0, "it is kept"
    forget("a_loss_of_mine")  # the parser goes to the folder of the run, where no such module lies
    assert main(["fit", "--resume", "run"]) == 0
    assert type(load_run(place / "run").method.loss).__name__ == "Own"  # type: ignore[attr-defined]
    assert "a_loss_of_mine" in (Path(os.environ["XDG_CONFIG_HOME"]) / "longtail" / "trusted").read_text().split()
    assert "trust" not in (place / "run" / "config.yaml").read_text()


@pytest.mark.parametrize("module", ["os", "os.path", "jsonargparse", "a/b", "", "a b", "longtail"])
def test_not_everything_can_be_trusted(module: str) -> None:
    before = trusted()
    with pytest.raises(InputError, match="--trust takes the name of a module of your own"):
        trust(module)
    assert trusted() == before


def test_the_guard_ends(place: Path) -> None:
    """After a run was read, a recipe may name anything again."""
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(torch.nn.Module, "module")
    config = {"module": {"class_path": "torchvision.ops.FrozenBatchNorm2d", "init_args": {"num_features": 2}}}
    for _ in range(2):
        assert parser.parse_object(config).module.class_path == "torchvision.ops.FrozenBatchNorm2d"
        with building_from_run("run", {}), pytest.raises(Exception, match="not allowed"):
            parser.parse_object(config)


def test_names_in_a_recipe() -> None:
    recipe = {"a": ["my_views.Blur", {"class_path": "pack.age.Thing"}], "b": 1.5, "c": None, "d": "resnet18"}
    assert named_in(recipe) == {"my_views", "pack"}
    assert named_in(["--model.method", "my_methods.Two", "--model.method.loss=my_losses.One"]) >= {
        "my_methods",
        "my_losses",
    }
    assert named_in(["photos/a.b", "./c.d", "/e.f", "1.5"]) == set()


def test_a_file_of_the_folder_is_not_imported_in_the_place_of_a_module(place: Path) -> None:
    """Neither by the command nor by a Python that something starts in it."""
    for name in ("json", "yaml", "torch", "wandb", "rich", "statistics"):
        (place / f"{name}.py").write_text(CODE)
    script = (
        "import subprocess, sys; from longtail.cli import main as command; sys.argv = ['longtail', 'recipes'];"
        "command.main(); subprocess.run([sys.executable, '-c', 'import json, statistics'], check=True);"
        "import importlib.util; sys.exit(importlib.util.find_spec('wandb') is not None)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(longtail.__file__).parent.parent)}
    commands = [sys.executable, "-m", "longtail", "recipes"], [sys.executable, "-P", "-c", script]
    for command in commands if sys.version_info >= (3, 11) else commands[:1]:
        process = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert process.returncode == 0, process.stderr
        assert "digits_lt/bcl" in process.stdout
        assert not (place / MARK).exists()


def test_errors_that_lead_to_one_another_are_looked_at_once() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__context__, second.__context__ = second, first
    assert list(causes(first)) == [first, second]


def test_a_run_may_name_an_optimizer_of_timm(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    muon = ["--model.optimizer", "timm.optim.Muon", "--lr", "0.01"]
    assert main([*FIT_DIGITS, *muon, "--epochs", "1", "--run", str(first)]) == 0
    assert main(["fit", "--recipe", "second/ncm", "--from", str(first), "--run", str(second)]) == 0
    assert results(second)["status"] == "finished"
