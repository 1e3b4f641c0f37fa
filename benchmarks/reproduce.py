"""The tables of the papers, measured: ``python -m benchmarks.reproduce TABLE [options] [-- options of longtail fit]``.

Trains every cell of a table by ``longtail fit``, one run after the other, and writes docs/reproduction.md from all
results there are. Given again, it goes on where it stopped. Two at a time need two folders of runs, as what a run left
without a checkpoint is removed.
"""

import argparse
import json
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from benchmarks.measure import table as markdown
from benchmarks.tables import MEMORY, TABLES, Options, Row, Table
from longtail.cli.options import short_options
from longtail.errors import InputError
from longtail.recipes import recipe_names
from longtail.reports.results import Results, load_results
from longtail.writing import write_atomically

Record = dict[str, Any]
RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parent.parent / "docs" / "reproduction.md"
# The last parts of the options that say where a run is computed, not what.
MACHINE = {"root", "lists", "download", "accelerator", "num_workers", "precision", "compile", "channels_last", "logger"}
PUBLIC = ("recipe", "seed", "versions", "hardware", "parameters", "thresholds", "train_counts", "best_epoch")
EVALUATION = ("split", "checkpoint", "epoch", "images", "metrics")
UNKNOWN, NOT_MEASURED = "-", "not measured"


@dataclass(frozen=True)
class Run:
    """A cell of a table with one seed; ``settings`` are the options that the user adds, by their full names."""

    table: Table
    row: Row
    column: str
    seed: int
    epochs: int
    with_validation: bool = False
    settings: Options = field(default_factory=dict)
    runs: Path = Path()  # where the first stage of a second one is, and teachers

    @property
    def recipe(self) -> str:
        """Full name of the recipe."""
        folder = self.table.recipes or self.table.name
        return self.row.recipe if "/" in self.row.recipe else f"{folder}/{self.row.recipe}"

    @property
    def held_out(self) -> bool:
        """Whether images are held out that the published run trains on."""
        return self.with_validation and bool(self.table.whole) and not self.row.own_validation

    @property
    def changes(self) -> Options:
        """The given options that change what is computed."""
        return {name: value for name, value in self.settings.items() if name.rsplit(".", 1)[-1] not in MACHINE}

    @property
    def name(self) -> str:
        """Name of the run's folder and file; it says by what the run differs from the published one."""
        parts = [self.row.key, self.column.replace("/", "_"), f"seed{self.seed}"]
        parts += [f"{self.epochs}epochs" * (self.epochs != self.row.epochs), "val" * self.held_out]
        parts += [re.sub(r"[^\w.]+", "_", name.rsplit(".", 1)[-1] + value) for name, value in self.changes.items()]
        return "-".join(part for part in parts if part)

    def options(self) -> list[str]:
        """All options of the run, the given ones last."""
        whole = {} if self.with_validation or self.row.own_validation else self.table.whole
        ours = {"--trainer.max_epochs": str(self.epochs), "--seed_everything": str(self.seed), "--trainer.devices": "1"}
        if self.column in self.table.first:
            ours["--from"] = f"{self.runs / self.table.first[self.column]}-seed{self.seed}"
        options = {**ours, **whole, **self.table.columns[self.column], **self.row.options, **self.settings}
        return [f"{name}={value}" for name, value in options.items()] + [f"--teacher={run}" for run in self.teachers()]

    def teachers(self) -> list[Path]:
        """The runs of other rows that teach this one, without the settings that were given for it."""
        rows = {row.key: row for row in self.table.rows}
        teachers = [rows[key] for key in self.row.teachers]
        short = self.epochs != self.row.epochs
        runs = [replace(self, row=row, epochs=self.epochs if short else row.epochs, settings={}) for row in teachers]
        return [self.runs / self.table.name / run.name for run in runs]


def finished(folder: Path) -> Results | None:
    """Results of a run that was trained to its end and evaluated."""
    try:
        results = load_results(folder)
    except InputError:
        return None
    return results if results["status"] == "finished" and results["evaluations"] else None


def teacher_of(folder: Path) -> Path:
    """Where ``longtail fit`` trains the teacher of a run."""
    return folder.with_name(f"{folder.name}-teacher")


def train(folder: Path, recipe: str, options: Sequence[str]) -> str | None:
    """Bring a run to its end from where it stands; return what went wrong, or None."""
    if finished(folder):
        return None
    for stage in (folder, teacher_of(folder)):
        if stage.exists() and not (stage / "last.ckpt").is_file():
            shutil.rmtree(stage)
    log = folder.with_name(f"{folder.name}.log")
    if folder.exists():
        options = [option for option in options if option.split("=")[0].rsplit(".", 1)[-1] in MACHINE]
        code = longtail(["fit", "--resume", str(folder), *options], log)
    else:
        code = longtail(["fit", "--recipe", recipe, "--run", str(folder), *options], log)
    if code == 0 and finished(folder):
        return None
    said = log.read_text(encoding="utf-8", errors="replace").split("\n")
    return f"exit code {code}: {next((line.strip() for line in reversed(said) if line.strip()), 'no word')}"


def longtail(args: Sequence[str], log: Path) -> int:
    """Run the command ``longtail`` in a process of its own, with what it says in a file; return its exit code."""
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "longtail", *args]
    with log.open("a", encoding="utf-8") as file, subprocess.Popen(command, stdout=file, stderr=file) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.wait()  # it has got it too, and saves what it has
            raise


def compact(run: Run, folder: Path, results: Results) -> Record:
    """What is kept of a run: no images, no paths of this machine."""
    parts = [results, *(finished(teacher) for teacher in (teacher_of(folder), *run.teachers()))]
    return {
        "table": run.table.name,
        "row": run.row.key,
        "column": run.column,
        "epochs": results["history"][-1]["epoch"],
        "held_out": run.held_out,
        "changes": tidy([f"{name}={value}" for name, value in run.changes.items()]),
        "minutes": tidy(sum(part["seconds"] or 0.0 for part in parts if part) / 60),
        **{key: tidy(value) for key, value in results.items() if key in PUBLIC},
        "images": results["data"]["images"],
        "evaluations": [
            {key: tidy(value) for key, value in evaluation.items() if key in EVALUATION}
            | {
                f"class_{key}": tidy(evaluation["per_class"][key])
                for key in ("accuracy", "iou")
                if key in evaluation["per_class"]
            }
            for evaluation in results["evaluations"]
        ],
        "config": tidy(yaml.safe_load(results["config"])),
    }


def tidy(value: Any) -> Any:
    """Five digits of every number, and the last part of every absolute path."""
    if isinstance(value, dict):
        return {key: tidy(item) for key, item in value.items()}
    if isinstance(value, list):
        return [tidy(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.5g}")
    return re.sub(r"(?<![^=])/(\S*/)?", "", value) if isinstance(value, str) else value


@dataclass(frozen=True)
class Group:
    """Runs that differ by their seed alone."""

    table: Table
    row: Row
    records: list[Record]

    @property
    def settings(self) -> list[str]:
        """By what they differ from the published run, its length apart."""
        held_out = ["some training images held out"] * self.records[0]["held_out"]
        return held_out + [f"`{change}`" for change in self.records[0]["changes"]]

    @property
    def place(self) -> tuple[str, str] | None:
        """Row and column of the published figure they may stand beside."""
        as_published = self.records[0]["epochs"] == self.row.epochs and not self.settings
        return (self.row.key, self.records[0]["column"]) if as_published else None

    def figure(self, checkpoint: str, metric: str) -> str:
        """Mean and standard deviation on the test images, in percent."""
        evaluations = [
            evaluation
            for record in self.records
            for evaluation in record["evaluations"]
            if evaluation["split"] == "test"
        ]
        values = [evaluation["metrics"][metric] for evaluation in evaluations if evaluation["checkpoint"] == checkpoint]
        if len(values) < len(self.records) or None in values:
            return UNKNOWN
        deviation = f" ± {100 * statistics.stdev(values):.1f}" if len(values) > 1 else ""
        return f"{100 * statistics.fmean(values):.1f}{deviation}"

    def figures(self, checkpoint: str) -> str:
        """All figures of a cell."""
        texts = [self.figure(checkpoint, metric) for metric in self.table.figures]
        return UNKNOWN if UNKNOWN in texts else " / ".join(texts)

    def cell(self) -> str:
        """What stands beside the published figure."""
        seeds, best = len(self.records), self.figures("best")
        last = f"{self.figures('last')} ({seeds} seed{'s' * (seeds > 1)})"
        return last if best == UNKNOWN else f"{last}; best epoch {best}"

    def line(self) -> list[str]:
        """What stands in the list of runs."""
        epochs, published = self.records[0]["epochs"], self.row.epochs
        hardware = {"{name}, {processes} x {precision}".format(**record["hardware"]) for record in self.records}
        remarks = {record["remark"] for record in self.records if "remark" in record}
        return [
            f"`{self.row.key}`",
            self.records[0]["column"] or "all",
            f"{epochs} of {published}" if epochs >= published else f"**{epochs} of {published}, short**",
            ", ".join(self.settings) or "those of the row",
            self.figures("last"),
            self.figures("best"),
            " / ".join(self.figure("last", group) for group in self.table.groups),
            str(len(self.records)),
            "; ".join([*sorted(hardware), *sorted(remarks)]),
            f"{statistics.fmean(record['minutes'] for record in self.records):.0f}",
        ]


def groups(table: Table, results: Path) -> list[Group]:
    """All that was measured of a table, in the order of its rows."""
    cells: dict[str, list[Record]] = {}
    for file in sorted((results / table.name).glob("*.json")):
        record = json.loads(file.read_text(encoding="utf-8"))
        same = str([record[key] for key in ("row", "column", "epochs", "held_out", "changes")])
        cells.setdefault(same, []).append(record)
    return [
        Group(table, row, records) for row in table.rows for records in cells.values() if records[0]["row"] == row.key
    ]


def section(table: Table, results: Path) -> str:
    """A table, and the list of its runs."""
    of_table, rerun = groups(table, results), any(row.rerun for row in table.rows)
    beside = {group.place: group for group in of_table if group.place}
    lines = []
    for row in table.rows:
        name = f"{row.method} (`{row.key}`)" if row.recipe else row.method
        line, planned = [name, row.backbone, str(row.epochs or UNKNOWN)], table.planned(row)
        for column in table.columns:
            figure, source = row.published.get(column, (UNKNOWN, ""))
            group = beside.get((row.key, column))
            ours = group.cell() if group else NOT_MEASURED if column in planned else UNKNOWN
            others = [f"{row.rerun[column]:.1f}" if column in row.rerun else UNKNOWN] * rerun
            line += [f"{figure}{'*' * (source == MEMORY)}", *others, ours]
        lines.append([*line, "; ".join(dict.fromkeys(source for _, source in row.published.values()))])
    figures = ("published", *["rerun by others"] * rerun, "ours")
    header = [f"{column} {whose}".strip() for column in table.columns for whose in figures]
    text = [f"## {table.title}", table.remark, markdown(["Method", "Backbone", "Epochs", *header, "Source"], lines)]
    if of_table:
        header = ["Row", "Column", "Epochs", "Settings", "Last epoch", "Best epoch", "Many / medium / few", "Seeds"]
        runs = markdown([*header, "Hardware", "Minutes a run"], [group.line() for group in of_table])
        text += ["All runs there are:", runs]
    cells = sum(len(table.planned(row)) for row in table.rows)
    whole = len(beside) == cells and all(len(group.records) > 2 for group in beside.values())
    minutes = sum(record["minutes"] for group in beside.values() for record in group.records)
    cost = f"{minutes:.0f}" if whole else NOT_MEASURED
    return "\n\n".join([*text, f"Minutes for the whole table, {cells} cells with three seeds: {cost}.\n"])


INTRODUCTION = f"""\
# Reproduction

What the papers report, and what the recipes of this package reach. Written by `python -m benchmarks.reproduce` from the
files in `benchmarks/results/`; change those, not this page.

From the root of the repository, one command measures a whole table on one GPU, unattended, and writes this page. Given
again, it goes on where it stopped:

```sh
python -m benchmarks.reproduce cifar100_lt --data DIR
```

The tables: {", ".join(f"`{name}`" for name in TABLES)}. `DIR` is the folder that
`longtail fit --data DIR` takes. `--only bcl cdb_w` measures some rows, `--columns 0.01` some columns, `--seeds 1` takes
one seed instead of three, `--epochs 20` makes short runs. `--with-validation` holds out a part of the training images,
for a best epoch to show beside the last. What follows `--` goes to `longtail fit`: `-- --workers 8`.

- Figures are percent of the test images, of the last epoch: mean and sample standard deviation over the seeds. Of
  LVIS they are average precision; what they are of pixels and of clips stands with the table.
- A best epoch is chosen on validation images, never on test images, and shown only where there are any. The released
  CIFAR code of GML and of LDAM-DRW prints the best epoch on the test images, so published figures may be high.
- Beside a published figure stand only runs of the published length on the whole published training set. Shorter runs
  and runs with other settings are in the lists of runs alone.
- Rerun by others: what the authors of DBM (AAAI 2025) measured when they ran the method again.
- Source: who says so. "Later work" are papers that quote the figure. A star: {MEMORY}.
  A dash: no figure is known.
- Hardware ends with the number of processes and their precision. Minutes include validation and a teacher's training.
"""


def render(results: Path) -> str:
    """The page, from all results there are."""
    return "\n".join([INTRODUCTION, *(section(table, results) for table in TABLES.values())])


def pairs(words: Sequence[str]) -> Options:
    """Options of longtail fit by their full names; one without a value is switched on."""
    options: Options = {}
    for word in short_options(words):
        if word.startswith("--"):
            name, _, value = word.partition("=")
            options[name] = value or "true"
        elif options:
            options[name] = word
    return options


def measure(table: Table, rows: Sequence[Row], known: argparse.Namespace, settings: Options) -> dict[str, str]:
    """Run the rows with every seed, the first seed of all of them first; return what failed, and why."""
    failures = {}
    runs = [
        Run(table, row, column, seed, known.epochs or row.epochs, known.with_validation, settings, known.runs)
        for seed in range(known.seeds)
        for row in rows
        for column in table.planned(row)
        if column in (known.columns or table.columns)
    ]
    there = recipe_names()
    for recipe in dict.fromkeys(run.recipe for run in runs if run.recipe not in there):
        print(f"{NOT_MEASURED}, as there is no such recipe yet: {recipe}")
    for run in (run for run in runs if run.recipe in there):
        folder = known.runs / table.name / run.name
        print(f"{run.name} (log: {folder}.log)", flush=True)
        if problem := train(folder, run.recipe, run.options()):
            failures[run.name] = problem
        elif results := finished(folder):
            file = known.results / table.name / f"{run.name}.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            record = compact(run, folder, results) | ({"remark": known.remark} if known.remark else {})
            write_atomically(file, json.dumps(record) + "\n")
            if known.results == RESULTS:
                write_atomically(PAGE, render(RESULTS))
    return failures


def main(args: Sequence[str]) -> int:
    """Measure a table and write the page; return 1 if a run failed, 130 if it was stopped."""
    own = args[: args.index("--")] if "--" in args else args
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reproduce", description=__doc__)
    parser.add_argument("table", nargs="?", choices=[*TABLES])
    parser.add_argument("--render", action="store_true", help="write the page from the results there are, no more")
    parser.add_argument("--seeds", type=int, default=3, help="how many (default 3)")
    parser.add_argument("--data", help="folder of the images")
    parser.add_argument("--runs", type=Path, default=Path("runs/reproduce"), help="folder of the runs")
    parser.add_argument(
        "--results", type=Path, default=RESULTS, help="folder of the JSON files; in another one the page stays as it is"
    )
    parser.add_argument("--only", nargs="+", metavar="RECIPE", help="rows to measure, by their names on the page")
    parser.add_argument("--columns", nargs="+", metavar="COLUMN", help="columns to measure, such as 0.01")
    parser.add_argument("--epochs", type=int, default=0, help="instead of the published ones")
    parser.add_argument("--with-validation", action="store_true", help="hold out images that the papers train on")
    parser.add_argument("--remark", help="what the page shall say of the hardware beside its name")
    parser.add_argument("--device", help="cpu or cuda; by default what there is")
    known = parser.parse_args(own)
    if known.render:
        write_atomically(PAGE, render(RESULTS))
        return 0
    if known.table is None:
        parser.error("give a table, or --render")
    table = TABLES[known.table]
    keys = [row.key for row in table.rows if row.recipe]
    if unknown := [key for key in known.only or () if key not in keys]:
        parser.error(f"no row {', '.join(unknown)}: choose from {', '.join(keys)}")
    if unknown := [column for column in known.columns or () if column not in table.columns]:
        parser.error(f"no column {', '.join(unknown)}: choose from {', '.join(table.columns)}")
    ours = {"--data.root": known.data, "--trainer.accelerator": known.device}
    settings = {name: value for name, value in ours.items() if value} | pairs(args[len(own) + 1 :])
    try:
        failures = measure(table, [row for row in table.rows if row.key in (known.only or keys)], known, settings)
    except KeyboardInterrupt:
        print("stopped: give the same command again to go on")
        return 130
    for name, problem in failures.items():
        print(f"{name}: failed, {problem}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
