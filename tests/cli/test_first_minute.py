"""What the command line says in the first minute: mistakes at once, what a run is, hints that can be typed."""

import io
import logging
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from command import FIT_DIGITS, fails
from tqdm import tqdm

import longtail
from longtail.cli.log import last_word
from longtail.cli.main import main
from longtail.cli.options import pairs
from longtail.data.names import shipped
from longtail.files.formats.readers import Reader
from longtail.recipes import load_recipe
from longtail.tasks.overview import Overview

# The tables that somebody writes, each with a mistake, and what is said of it.
TABLES = {
    "short.csv": ("path;label\na.jpg\n", "line 2: 1 field where the header has 2"),
    "who.csv": ("who,klass,age\nx,cat,2\n", "line 1: which column has the paths"),
    "missing.csv": ("path,klass,age\na.jpg,cat,2\n", "line 1: which column has the classes"),
    "empty.csv": ("path,label\na.jpg,1\nb.jpg,\n", "line 3: the label is empty"),
    "gone.csv": ("path,label\na.jpg,cat\nc.jpg,dog\n", "line 3: no such file: "),
}
COMMANDS = [
    *(["--recipe", "bcl", "--data", name] for name in TABLES),
    ["--recipe", "clips/ce", "--data", "gone.csv"],
    ["--recipe", "bcl", "--data", "good.csv", "--data.val", "gone.csv"],
    ["--recipe", "bcl", "--data", "good.csv", "--data.label_column=klass"],
    ["--recipe", "bcl", "--data", "photos.zip"],
    ["--recipe", "bcl", "--data", "nothing.zip"],
    ["--recipe", "photos.zip"],
    ["--recipe", "nothing.zip"],
    ["--recipe", ".", "--data", "good.csv"],
]
MESSAGES = [
    *(rf"^{name}, {re.escape(message)}" for name, (_, message) in TABLES.items()),
    r"^gone\.csv, line 3: no such file: \./c\.jpg",
    r"^gone\.csv, line 3: no such file: \./c\.jpg",
    "^good.csv, line 1: no column called klass, only path, label; .*--data.label_column NAME$",
    "^photos.zip is an archive: unpack it, and give the folder$",
    "^no folder or table at nothing.zip",
    '^"photos.zip" is no recipe: recipes are YAML files; data is given by --data$',
    '^"nothing.zip" is not there, and its name is not that of a recipe: .*by --data$',
    r'^"\." is a folder and no recipe: give it by --data',
]


def test_mistakes_in_a_table_or_a_path_come_before_torch_is_imported(tmp_path: Path) -> None:
    for name, (text, _) in TABLES.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "good.csv").write_text("path,label\na.jpg,cat\nb.jpg,dog\n")
    for name in ("a.jpg", "b.jpg", "photos.zip"):
        (tmp_path / name).touch()
    code = (
        f"import sys; from longtail.cli.main import main; codes = [main(['fit', *args]) for args in {COMMANDS!r}];"
        "sys.exit(any(code != 2 for code in codes) or any(m in sys.modules for m in ('torch', 'lightning', 'timm')))"
    )
    variables = {**os.environ, "PYTHONPATH": str(Path(longtail.__file__).parents[1])}
    place: dict[str, Any] = {"cwd": tmp_path, "env": variables}
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, **place)
    assert process.returncode == 0, process.stderr
    lines = process.stderr.splitlines()
    assert len(lines) == len(MESSAGES)
    for line, message in zip(lines, MESSAGES, strict=True):
        assert re.search(message, line.removeprefix("longtail: error: ")), line
    assert {path.name for path in tmp_path.iterdir()} == {*TABLES, "good.csv", "a.jpg", "b.jpg", "photos.zip"}


def test_the_classes_whose_tables_are_looked_at_are_those_that_read_tables(tmp_path: Path) -> None:
    (tmp_path / "list.csv").touch()
    readers = {}
    for name, data in shipped().items():
        try:
            place = data.located(tmp_path / "list.csv")
        except ValueError:
            continue
        if place.options.keys() == {"table"} and not getattr(data, "several_labels", False):
            readers[name] = place.data.kind  # type: ignore[attr-defined]
    assert readers == {reader.value: reader.kind for reader in Reader if reader.kind is not None}


def test_options_and_their_values() -> None:
    args = ["--a", "1", "--flag", "--data.root=x=y", "--last"]
    assert pairs(args) == [("--a", "1"), ("--data.root", "x=y")]
    assert pairs([]) == []


def test_a_name_that_is_near_a_recipe_is_still_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='did you mean "bcl"'):
        load_recipe("blc")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run in a folder whose name has to be quoted, and what was printed of it beside it."""
    run = tmp_path_factory.mktemp("with space") / "my run's"
    with pytest.MonkeyPatch.context() as patch:
        out = io.StringIO()
        patch.setattr(sys, "stdout", out)
        args = ["--epochs", "1", "--trainer.limit_train_batches", "2", "--precision", "32-true", "--batch-size", "16"]
        assert main([*FIT_DIGITS, "--run", str(run), *args, "--model.few", "2"]) == 0
    run.with_name("out").write_text(out.getvalue())
    return run


def test_the_first_screen_of_a_run(run: Path) -> None:
    """scikit-learn has 1797 digits; 10 classes from 120 images to 1 are what the recipe takes of those to train on."""
    lines = run.with_name("out").read_text().splitlines()[:6]
    screen = {line[:10].strip(): line[10:] for line in lines}
    assert list(screen) == ["data", "splits", "classes", "left out", "groups", "training"]
    counts = [int(120 * (1 / 120) ** (c / 9)) for c in range(10)]
    held_out = re.fullmatch(r"(\d+) train, (\d+) val, (\d+) test", screen["splits"])
    assert held_out is not None
    train, val, test = map(int, held_out.groups())
    assert train == pytest.approx(sum(counts), abs=10)  # the profile rounds in its own way
    assert screen["data"].endswith(f": {train + val + test:,} images of 10 classes")
    assert screen["classes"] == "largest 0 with 120 training images; smallest 9 with 1 training image"
    assert screen["left out"] == "nothing"
    assert screen["groups"] == "1 many-shot (more than 100 training images), 8 medium-shot, 1 few-shot (fewer than 2)"
    assert screen["training"] == "1 epoch of 2 steps, 16 images a step; precision 32-true on the CPU"


def test_hints_can_be_typed_as_they_stand(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hint = run.with_name("out").read_text().splitlines()[-1].removeprefix("next: ")
    assert shlex.split(hint) == ["longtail", "report", str(run)]
    line = fails(capsys, "fit", "--recipe", "digits_lt/ce", "--run", str(run))
    assert shlex.split(line.partition("continue it by ")[2]) == ["--resume", str(run)]


def test_nothing_is_cut_where_the_output_is_a_file(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["compare", str(run), *[str(run)] * 5, "--output", str(tmp_path / "page.html")]) == 0
    out = capsys.readouterr().out
    heads = next(line for line in out.splitlines() if line.count(run.name) > 1)
    assert len(heads) > 80
    assert heads.count(f"{run.name} #") == 5
    assert "…" not in out


def test_what_the_page_of_a_comparison_warns_of_stands_in_the_terminal(
    run: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["compare", str(run), str(run), "--output", str(tmp_path / "page.html")]) == 0
    out = capsys.readouterr().out
    assert "One seed only: " in out
    assert "how much of a change is chance cannot be told" in out
    assert "One seed only: " in (tmp_path / "page.html").read_text()


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


def test_messages_stand_on_lines_of_their_own_beside_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    assert main(["recipes"]) == 0
    bar = tqdm(total=10, desc="epoch 1/3", file=screen, mininterval=0)
    bar.update(4)
    logging.getLogger("longtail.data").info("left out 3 files")
    last_word("longtail: stopped and saved")
    pieces = [piece.rstrip() for piece in re.split(r"[\r\n]", screen.getvalue())]
    assert {"left out 3 files", "longtail: stopped and saved"} <= set(pieces)
    assert screen.getvalue().endswith("\nlongtail: stopped and saved\n")


def expected(seconds: float, epochs: int, device: str = "cpu", capsys: Any = None, small: float | None = None) -> str:
    """What is said of a run of epochs of 100 batches that take so long each; those of the first cost a part."""
    now = iter(seconds * step for step in range(1000))
    overview = Overview(lambda: next(now))
    task: Any = SimpleNamespace(device=torch.device(device), time_options=["fewer --epochs", "a smaller --image-size"])
    task.data = SimpleNamespace(step_cost=lambda epoch, epochs: 1.0 if epoch or small is None else small)
    trainer: Any = SimpleNamespace(
        num_training_batches=100,
        max_epochs=epochs,
        max_steps=-1,
        accumulate_grad_batches=1,
        is_global_zero=True,
        lightning_module=task,
    )
    for epoch in range(epochs):
        trainer.current_epoch = epoch
        overview.on_train_epoch_start(trainer, task)
        for i in range(100):
            overview.on_train_batch_end(trainer, task, None, None, i)
    text: str = capsys.readouterr().out
    return text


def test_the_time_of_a_run_is_told_after_some_steps_and_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("longtail.tasks.overview.Task", SimpleNamespace)
    # 2 s a batch: told after the 11th of 300, so that 289 batches are left
    line = "the training will take about 9 min 38 s, its validations not counted\n"
    assert expected(2.0, 3, capsys=capsys) == line
    # 40 s a batch: told after the 3rd of 300, so that 297 batches are left
    line = "the training will take about 3 h 18 min, its validations not counted"
    shorter = "; it gets shorter by fewer --epochs, a smaller --image-size, or on a GPU\n"
    assert expected(40.0, 3, capsys=capsys) == line + shorter
    assert expected(40.0, 3, "cuda", capsys) == f"{line}\n"
    assert expected(0.001, 3, capsys=capsys) == ""  # over before it could be told
    # 2 s a batch of the first epoch, of which 89 are left, and 8 s one of the other two: 178 + 1600
    line = "the training will take about 29 min 38 s, its validations not counted\n"
    assert expected(2.0, 3, capsys=capsys, small=0.25) == line
