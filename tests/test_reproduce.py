"""The reproduction of published tables: the page, and how its runs are started, resumed and skipped."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from reports.sample import make_results

from benchmarks import reproduce
from benchmarks.reproduce import PAGE, RESULTS, Run, compact, main, pairs, render, train
from benchmarks.tables import TABLES
from longtail.reports.results import Results

CIFAR = TABLES["cifar100_lt"]
BCL = next(row for row in CIFAR.rows if row.key == "bcl")


def record(row: str, seed: int, top1: float, **fields: Any) -> dict[str, Any]:
    """A made-up JSON file of a run; ``best`` is its accuracy at the best epoch."""
    best = fields.pop("best", None)
    figures = {"top1": top1, "many": 0.9, "medium": 0.5, "few": None}
    evaluations = [{"split": "val", "checkpoint": "last", "metrics": {**figures, "top1": 0.99}}]
    evaluations.append({"split": "test", "checkpoint": "last", "metrics": figures})
    if best is not None:
        evaluations.append({"split": "test", "checkpoint": "best", "metrics": {**figures, "top1": best}})
    hardware = {"name": "a GPU", "processes": 1, "precision": "bf16-mixed"}
    entry = {"row": row, "column": "0.01", "seed": seed, "epochs": 200, "held_out": False, "changes": [], "minutes": 30}
    return {**entry, "hardware": hardware, "evaluations": evaluations, **fields}


def page(folder: Path, *records: dict[str, Any]) -> list[str]:
    """The lines of the page that shows these records, of its first table and list of runs."""
    (folder / CIFAR.name).mkdir()
    for i, entry in enumerate(records):
        (folder / CIFAR.name / f"{i}.json").write_text(json.dumps(entry), encoding="utf-8")
    return render(folder).split("## CIFAR-10-LT")[0].splitlines()


def test_the_page_shows_mean_deviation_and_what_is_not_measured(tmp_path: Path) -> None:
    lines = page(
        tmp_path,
        record("bcl", 0, 0.51),
        record("bcl", 1, 0.52),
        record("bcl", 2, 0.53),
        record("cdb_w", 0, 0.42, epochs=240, best=0.43),
    )
    [bcl] = [line for line in lines if "(`bcl`)" in line]
    assert bcl.split(" | ")[3:7] == ["51.9", "50.2", "52.0 ± 1.0 (3 seeds)", "56.6"]
    [cdb] = [line for line in lines if "(`cdb_w`)" in line]
    assert "| 42.6 | - | 42.0 (1 seed); best epoch 43.0 |" in cdb
    [run] = [line for line in lines if line.startswith("| `bcl`")]
    assert "| 200 of 200 | those of the row | 52.0 ± 1.0 | - | 90.0 ± 0.0 / 50.0 ± 0.0 / - | 3 | a GPU" in run


def test_short_runs_and_other_settings_stay_out_of_the_table(tmp_path: Path) -> None:
    lines = page(
        tmp_path,
        record("bcl", 0, 0.31, epochs=20),
        record("bcl", 1, 0.52, held_out=True, best=0.53),
        record("bcl", 2, 0.53, changes=["--ema=0.999"]),
    )
    [bcl] = [line for line in lines if "(`bcl`)" in line]
    assert bcl.count("not measured") == 3
    short, held_out, ema = (line for line in lines if line.startswith("| `bcl`"))
    assert "| **20 of 200, short** | those of the row | 31.0 | - |" in short
    assert "| 200 of 200 | some training images held out | 52.0 | 53.0 |" in held_out
    assert "| 200 of 200 | `--ema=0.999` | 53.0 | - |" in ema


def test_figures_from_memory_are_marked(tmp_path: Path) -> None:
    text = render(tmp_path)
    assert "| cross-entropy, crop and flip alone (`ce_plain`) | ResNet-32 | 200 | 70.4 | - | not measured |" in text
    assert "| 86.4* | - | not measured | later work; from memory, not checked |" in text


def test_the_page_is_that_of_the_results() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(RESULTS), "python -m benchmarks.reproduce --render"


def test_a_run_is_named_by_what_sets_it_apart() -> None:
    machine = pairs(["--workers", "8", "--data.root=there", "--precision", "bf16-mixed"])
    assert Run(CIFAR, BCL, "0.02", 1, 200, settings=machine).name == "bcl-0.02-seed1"
    variant = Run(CIFAR, BCL, "0.02", 1, 20, True, pairs(["--lr=0.1", "--compile"]))
    assert variant.name == "bcl-0.02-seed1-20epochs-val-lr0.1"
    assert variant.changes == {"--model.optimizer.lr": "0.1"}


def test_all_images_are_trained_on_but_where_validation_is_published_or_asked_for() -> None:
    cdb = next(row for row in CIFAR.rows if row.key == "cdb_w")
    assert "--data.val_fraction=0" in Run(CIFAR, BCL, "0.02", 0, 200).options()
    assert "--data.factor=0.02" in Run(CIFAR, BCL, "0.02", 0, 200).options()
    assert "--data.val_fraction=0" not in Run(CIFAR, BCL, "0.02", 0, 200, with_validation=True).options()
    assert "--data.val_fraction=0" not in Run(CIFAR, cdb, "0.02", 0, 240).options()
    assert Run(CIFAR, cdb, "0.02", 0, 240, with_validation=True).name == "cdb_w-0.02-seed0"


def results(status: str = "finished") -> dict[str, Any]:
    """The results.json of a run that was evaluated if it is finished."""
    entry = record("bcl", 0, 0.5)
    evaluations = [
        {
            **evaluation,
            "epoch": 200,
            "images": 100,
            "per_class": {"images": [100], "accuracy": [0.5]},
            "confusions": [],
            "mistakes": [],
        }
        for evaluation in entry["evaluations"]
    ]
    content: dict[str, Any] = {**make_results(1, epochs=1)}
    content |= {"status": status, "seed": 0, "seconds": 60.0, "train_counts": [5]}
    content["hardware"] = {**content["hardware"], **entry["hardware"]}
    content["data"] = {**content["data"], "images": {"train": 5}}
    content["history"] = [{**content["history"][0], "epoch": 200}]
    return content | {
        "evaluations": evaluations,
        "config": "data:\n  init_args:\n    root: /home/me/data\n    lr: 0.1\n",
    }


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands of longtail; each run of cross-entropy fails, every other one finishes at once."""
    calls: list[list[str]] = []

    def longtail(args: Sequence[str], log: Path) -> int:
        calls.append(list(args))
        run = log.with_suffix("") if log.name.endswith(".log") else log
        run.mkdir(parents=True, exist_ok=True)
        log.write_text("epoch 1\nlongtail: error: no such folder\n\n", encoding="utf-8")
        if run.name.startswith("ce"):
            return 2
        (run / "results.json").write_text(json.dumps(results()), encoding="utf-8")
        return 0

    monkeypatch.setattr(reproduce, "longtail", longtail)
    return calls


def test_a_run_is_skipped_resumed_or_started_again(tmp_path: Path, commands: list[list[str]]) -> None:
    run, teacher = tmp_path / "run", tmp_path / "run-teacher"
    options = ["--data=photos", "--data.root=there"]
    start = ["fit", "--recipe", "r", "--run", str(run), *options]
    resume = ["fit", "--resume", str(run), "--data.root=there"]  # what it computes is in its folder

    def trained() -> list[list[str]]:
        commands.clear()
        assert train(run, "r", options) is None
        return list(commands)

    assert trained() == [start]
    assert trained() == []  # finished

    (run / "results.json").write_text(json.dumps(results("interrupted")), encoding="utf-8")
    (run / "last.ckpt").touch()
    assert trained() == [resume]

    (run / "results.json").write_text(json.dumps(results() | {"evaluations": []}), encoding="utf-8")
    assert trained() == [resume], "trained, but not evaluated"

    (run / "results.json").write_text("{", encoding="utf-8")
    (run / "last.ckpt").unlink()
    (run / "old").touch()
    teacher.mkdir()
    assert trained() == [start]
    assert not (run / "old").exists(), "what was broken is gone"
    assert not teacher.exists()


def test_a_table_is_measured_and_a_failed_run_does_not_stop_the_others(
    tmp_path: Path, commands: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reproduce, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(reproduce, "PAGE", tmp_path / "page.md")
    args = ["cifar100_lt", "--only", "ce", "bcl", "--seeds", "2", "--runs", str(tmp_path / "runs"), "--data", "there"]
    assert main([*args, "--", "--workers", "8"]) == 1
    assert len(commands) == 2 * 2 * 3
    assert all({"--data.root=there", "--data.num_workers=8", "--trainer.devices=1"} <= {*args} for args in commands)

    lines = capsys.readouterr().out.splitlines()
    assert "ce-0.1-seed1: failed, exit code 2: longtail: error: no such folder" in lines
    names = sorted(file.name for file in (tmp_path / "results" / "cifar100_lt").iterdir())
    assert names == [f"bcl-{factor}-seed{seed}.json" for factor in ("0.01", "0.02", "0.1") for seed in (0, 1)]
    text = (tmp_path / "results" / "cifar100_lt" / names[0]).read_text(encoding="utf-8")
    assert json.loads(text)["config"] == {"data": {"init_args": {"root": "data", "lr": 0.1}}}
    assert "mistakes" not in text
    assert "50.0 ± 0.0 (2 seeds)" in (tmp_path / "page.md").read_text(encoding="utf-8")

    commands.clear()
    assert main(args) == 1
    assert len(commands) == 6, "only what failed is run again"


def test_a_row_without_a_recipe_is_left_out(
    tmp_path: Path, commands: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reproduce, "recipe_names", list)
    assert main(["imagenet_lt", "--only", "cibl", "--runs", str(tmp_path)]) == 0
    assert commands == []
    assert "not measured, as there is no such recipe yet: imagenet_lt/cibl" in capsys.readouterr().out


def test_a_taught_row_names_its_teachers_and_counts_their_minutes(tmp_path: Path, commands: list[list[str]]) -> None:
    row = next(row for row in CIFAR.rows if row.key == "best")
    run = Run(CIFAR, row, "0.01", 2, row.epochs, settings={"--model.mixing.p": "1"}, runs=tmp_path)
    names = ["logit_adjusted-0.01-seed2", "bcl-0.01-seed2", "gml-0.01-seed2"]
    assert run.teachers() == [tmp_path / "cifar100_lt" / name for name in names]
    assert [option for option in run.options() if option.startswith("--teacher=")] == [
        f"--teacher={teacher}" for teacher in run.teachers()
    ]
    short = replace(run, epochs=3, with_validation=True)
    assert short.teachers()[0].name == "logit_adjusted-0.01-seed2-3epochs-val"

    for teacher in run.teachers():
        assert train(teacher, "r", []) is None
    done = {**results(), "seconds": 120.0}
    assert compact(run, tmp_path / run.name, cast("Results", done))["minutes"] == 2 + 3 * 1
    for table in TABLES.values():
        assert {key for row in table.rows for key in row.teachers} <= {row.key for row in table.rows}


def test_a_second_stage_names_its_first_one(tmp_path: Path) -> None:
    table = TABLES["second"]
    run = Run(table, table.rows[1], "CDB-W", 2, 30, runs=tmp_path)
    assert run.recipe == "second/crt"
    assert f"--from={tmp_path}/cifar100_lt/cdb_w-0.01-seed2" in run.options()
    assert all(name.split("/")[0] in TABLES for name in table.first.values())
