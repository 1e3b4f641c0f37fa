"""A run trained, or trained on."""

import contextlib
import logging
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import cast

import lightning.pytorch as pl
from lightning.pytorch.callbacks import WeightAveraging

from longtail.checkpoint import load_state, read_checkpoint
from longtail.data.base import LongTailData
from longtail.data.record import FILE_NAME as RECORD
from longtail.data.record import SplitRecord
from longtail.distributed import is_first_process
from longtail.errors import InputError
from longtail.inference.beside import own_part
from longtail.inference.inputs import NORMALISATION
from longtail.reports.results import Results, load_results, save_results
from longtail.reports.terminal import evaluation_table, said, show
from longtail.tasks.checkpoints import TrainingStopped
from longtail.tasks.evaluation import check_counts, check_spread, evaluate, left_out, read_config, splits_of, trained_on
from longtail.tasks.facts import facts_of
from longtail.tasks.rates import about_rate, check_optimizer
from longtail.tasks.training_cli import TrainingCLI, configure, quiet
from longtail.writing import check_unused, locked, remove_unused, write_atomically

logger = logging.getLogger(__name__)


def fit(
    args: Sequence[str],
    run: Path,
    resume: bool = False,
    of_runs: Sequence[Path] = (),
    recipe: str | None = None,
    first: Path | None = None,
    teachers: Sequence[Path] = (),
) -> None:
    """Train a run, then evaluate its last checkpoint and the one best on validation.

    Args:
        args: options for ``TrainingCLI``.
        run: folder of the run.
        resume: go on from its last checkpoint, or from the beginning where it has none yet.
        of_runs: configurations of runs, which come before the options.
        recipe: YAML that comes before both.
        first: see ``configure``.
        teachers: runs that it learns from.

    Raises:
        TrainingStopped: if it was stopped and saved.
        InputError: if another process holds the folder, or something cannot be used.
    """
    quiet()
    with contextlib.ExitStack() as held:
        if resume and is_first_process():
            held.enter_context(locked(run))
        prepare = _splits_before(args, run if resume else first, resume)
        own = own_part(run, read_config(run)["model"]["init_args"]["method"]) if resume else []
        cli = configure([*args, *own, f"--run={run}"], of_runs, recipe, first, prepare)
        if first is not None:
            results = load_results(first)
            if cli.datamodule.classes != results["classes"]:
                raise InputError(
                    f"{cli.datamodule.source} has other classes than {first}: a second stage keeps those of the first, "
                    "leave out --data"
                )
            if prepare is not None and cli.datamodule.recall is None:
                check_counts(cli.datamodule, results)
        for teacher in teachers:
            _check_teacher(cli.datamodule, teacher)
        _fit(cli, args, run, resume, held)


def _splits_before(args: Sequence[str], run: Path | None, resume: bool) -> Callable[[LongTailData], None] | None:
    """What gives the set the splits of the run that is gone on from, if there is one and it is still on its set.

    Raises:
        InputError: an option would make other splits.
    """
    names = [arg.split("=")[0] for arg in args if arg.startswith("--data")]
    if run is None:
        return None
    if names:
        kind = trained_on(run)
        if not resume and not {"--data", *(f"--data.{name}" for name in kind.roots)}.isdisjoint(names):
            return None
        for name in names:
            if name.rsplit(".", 1)[-1] in kind.split_options:
                raise InputError(f"{name} could mix the splits of {run}: leave it out")
    return splits_of(run, measured_alone=False)


def _check_teacher(data: LongTailData, run: Path) -> None:
    """Check that a run was trained on images as those that it is to teach on.

    Raises:
        InputError: if its classes or the normalisation of its images are others.
    """
    results = load_results(run)
    ours, theirs = dict(data.input), dict(results["data"]["input"])
    if data.classes != results["classes"]:
        raise InputError(f"the teacher {run} has other classes than {data.source}: give a run on the same classes")
    if any(theirs.get(name) != ours.get(name) for name in NORMALISATION):
        raise InputError(
            f"the teacher {run} was trained on images of other mean and std: give a run that took them as this one does"
        )


def _check_trains(trainer: pl.Trainer) -> None:
    """Check that no option leaves the trainer without a step; raises InputError."""
    for option, value in (
        ("--epochs", trainer.max_epochs),
        ("--trainer.max_steps", trainer.max_steps),
        ("--trainer.limit_train_batches", trainer.limit_train_batches),
    ):
        if value == 0:
            raise InputError(f"{option} 0 trains nothing: give a larger number, or leave it out")


def _fit(cli: TrainingCLI, args: Sequence[str], run: Path, resume: bool, held: contextlib.ExitStack) -> None:
    trainer, task, data = cli.trainer, cli.model, cli.datamodule
    last = cli.checkpoints.last
    go_on = resume and not stopped_early(run)
    if resume and not go_on:
        logger.info(f"{run} has no checkpoint yet: it starts from its beginning")
    if go_on:
        before = load_results(run)
        if data.recall is None:
            check_counts(data, before)
        load_state(task, read_checkpoint(last)["state_dict"], last)
        for key in ("seconds", "history", "started", "images_per_second"):
            cli.results[key] = before[key]
    task.check(data)  # what is wrong is said before anything is written
    _check_trains(trainer)
    if left_out(trainer, "val") and (what := task.by_validation(data)):
        raise InputError(f"{what} on validation images: leave out --trainer.limit_val_batches 0")
    for name in ("val", "test"):
        check_spread(trainer, data, name)
    check_optimizer(task.optimizer, task.method)
    if line := about_rate(task.optimizer, any(arg.startswith("--model.optimizer.lr") for arg in args)):
        logger.info(line)
    if trainer.is_global_zero:  # before features are computed, which takes minutes
        sys.stdout.write(said(data.summary()))
        sys.stdout.flush()
    held.enter_context(cli.processes.running(cli.trainer, cli.checkpoints.stops, partial(facts_of, cli)))
    features = cli.config.features or run.parent / "features"
    images, data = data, task.prepare(data, trainer, Path(features), go_on)
    cli.datamodule = data
    if trainer.is_global_zero:
        if not resume:
            if not run.exists():
                held.callback(remove_unused, run)  # where nothing can be written into it
            run.mkdir(parents=True, exist_ok=True)
            held.enter_context(locked(run))
            check_unused(run)
        write_atomically(run / "config.yaml", cli.results["config"])
        if not (run / RECORD).exists() and (record := SplitRecord.of(images)) is not None:
            record.write(run)
    try:
        trainer.fit(task, datamodule=data, ckpt_path=last if go_on else None, weights_only=True)
    except (InputError, TrainingStopped):
        raise
    except Exception:  # what fails after a loss that was not finite fails because of it
        cli.divergence.check(trainer, task, alone=True)
        raise

    # Lightning's would put the last average in the place of the weights that are to be measured.
    trainer.callbacks = [callback for callback in trainer.callbacks if not isinstance(callback, WeightAveraging)]  # type: ignore[attr-defined]
    cli.results["best_epoch"] = cli.checkpoints.best_epoch
    epochs = {"last": trainer.current_epoch, "best": cli.checkpoints.best_epoch}
    splits = [name for name in ("val", "test") if data.split(name) is not None and not left_out(trainer, name)]
    cli.results["evaluations"] = [evaluation for split in splits for evaluation in evaluate(cli, split, epochs)]
    if trainer.is_global_zero:
        results = cast(Results, cli.results)
        save_results(run, results)
        evaluations = [e for e in cli.results["evaluations"] if e["split"] == splits[-1]] if splits else []
        show(evaluation_table(results, evaluations)) if evaluations else sys.stdout.write("no split to evaluate\n")


def stopped_early(run: Path) -> bool:
    """Whether a run ended before it could write its first checkpoint, so that nothing is lost if it begins again."""
    if any((run / name).exists() for name in ("last.ckpt", "best.ckpt")):
        return False
    if not (run / "results.json").exists():
        return True
    results = load_results(run)
    return results["status"] != "finished" and len(results["history"]) <= 1
