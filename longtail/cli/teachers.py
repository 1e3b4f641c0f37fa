"""Teachers: the runs that a recipe learns from, trained before it where they are not there."""

import sys
from collections.abc import Sequence
from pathlib import Path

from longtail.cli.agreement import agreed
from longtail.cli.interrupts import run_command
from longtail.cli.options import without
from longtail.cli.run_folder import run_folder
from longtail.errors import InputError
from longtail.launch import launch
from longtail.messages import command, escape
from longtail.plain import JSON


def teacher_runs(
    recipes: JSON, given: Sequence[str], folder: str | None, data: str | None, options: list[str]
) -> list[Path]:
    """The finished runs of the teachers of a recipe, of which those that are not there are trained.

    Args:
        recipes: what the recipe has under "teacher", the recipe of its teacher, or a list of several.
        given: the runs that the user names.
        folder: of the student, where it is named.
        data: what it is trained on.
        options: of the student, of which the teachers are given those that are not of its model or views.

    Raises:
        InputError: if there are too many, or one was not trained to its end.
    """
    several = isinstance(recipes, list)
    names: list[str | None] = list(recipes) if isinstance(recipes, list) else [recipes]
    if given and several:  # any runs will do
        names = [None] * len(given)
    if len(given) > len(names):
        raise InputError(f"the recipe has one teacher: give --teacher once, got {len(given)}")
    runs = []
    for i, name in enumerate(names):
        mark = f"-{Path(name).stem}" if several and name else ""
        beside = run_folder(name, data) if folder is None else Path(f"{Path(folder)}-teacher{mark}")
        runs.append(Path(given[i]) if given else beside)
        _train_teacher(name, runs[-1], options)
    return runs


def taught_by(recipe: dict[str, JSON], recipes: JSON, runs: Sequence[Path]) -> dict[str, JSON]:
    """The configuration of a student whose method gets its teachers.

    Args:
        recipe: of the student.
        recipes: as for `teacher_runs`; a method with one teacher describes its network, one with several takes any.
        runs: of the teachers.

    Raises:
        InputError: if one cannot be used.
    """
    if not isinstance(recipes, list):
        return _with_options(recipe, teacher_checkpoint=str(runs[0] / "last.ckpt"))
    from longtail.inference.runs import load_method, method_config
    from longtail.methods.base import Method
    from longtail.reports.results import load_results

    configs, checkpoints = [], []
    for run in runs:
        results = load_results(run)
        _, checkpoint = load_method(run, results, Method)  # type: ignore[type-abstract]  # asked by isinstance
        configs.append(method_config(run, results, checkpoint))
        checkpoints.append(str(checkpoint))
    return _with_options(recipe, teachers=configs, teacher_checkpoints=checkpoints)


def _with_options(recipe: dict[str, JSON], **options: JSON) -> dict[str, JSON]:
    from longtail.recipes import merge

    return merge(recipe, {"model": {"init_args": {"method": {"init_args": options}}}})


def _train_teacher(recipe: str | None, run: Path, options: list[str]) -> None:
    """Train a teacher as a run of its own, unless it is there."""
    if launch().by != "lightning":  # else the first process has seen to it
        agreed("teacher", lambda: _trained(recipe, run, options))


def _trained(recipe: str | None, run: Path, options: list[str]) -> None:
    if (run / "results.json").is_file():
        from longtail.reports.results import load_results

        if load_results(run)["status"] == "finished":
            return
    if (run / "config.yaml").is_file():
        args = ["--resume", str(run)]
    elif recipe is not None:
        args = ["--recipe", recipe, "--run", str(run), *without(options, ("--model.", "--data.views"))]
    else:
        raise InputError(f"--teacher {escape(run)}: no run is there; train it first, or leave --teacher out")
    sys.stdout.write(f"first the teacher: {command('longtail', 'fit', *args)}\n")
    sys.stdout.flush()
    code = run_command(["fit", *args])
    if code:
        raise InputError(f"the teacher {run} was not trained to its end: give the same command again to go on")
