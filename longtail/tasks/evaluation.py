"""A run evaluated: at its end, and again later."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import lightning.pytorch as pl
import torch
from torch import Tensor

from longtail.checkpoint import load_state, read_checkpoint
from longtail.configuration import read_run_config
from longtail.data.base import LongTailData
from longtail.data.names import find_class
from longtail.data.record import SplitRecord
from longtail.errors import InputError
from longtail.inference.beside import check_beside, check_needs, own_part
from longtail.messages import SPLITS, command, plural
from longtail.plain import JSON
from longtail.reports.results import Evaluation, Results, load_results, save_results
from longtail.reports.terminal import evaluation_table, show
from longtail.tasks.facts import facts_of
from longtail.tasks.training_cli import TrainingCLI, configure, quiet
from longtail.trust import building_from_run

MEASURING = ("--trainer.logger=false", "--total_batch_size=null")  # by --batch-size
WEIGHTS = "--model.method.backbone.weights"


def left_out(trainer: pl.Trainer, split: str) -> bool:
    """Whether the trainer is told to take no batch of "val" or "test"; it passes over such a split in silence."""
    return bool(getattr(trainer, f"limit_{split}_batches") == 0)


def check_spread(trainer: pl.Trainer, data: LongTailData, name: str) -> None:
    """Check that every process has something of a split to evaluate; raises InputError."""
    split, processes = data.split(name), trainer.world_size
    if split is not None and not left_out(trainer, name) and len(split) < processes:
        raise InputError(
            f"{data.source} has {plural(len(split), f'{name} {data.noun}')} for {processes} processes: "
            f"give --trainer.devices {len(split)} or less"
        )


def evaluate(cli: TrainingCLI, split: str, epochs: Mapping[str, int | None]) -> list[Evaluation]:
    """Evaluate checkpoints of the run on a split, those with the same weights once.

    Args:
        cli: the run.
        split: "val" or "test".
        epochs: of "last" and "best", None for one that there is not.
    """
    evaluations: list[Evaluation] = []
    before: dict[str, Tensor] = {}
    run = cli.trainer.validate if split == "val" else cli.trainer.test
    for checkpoint, epoch in epochs.items():
        if epoch is None:
            continue
        path = cli.checkpoints.last if checkpoint == "last" else cli.checkpoints.best
        here = cli.trainer.is_global_zero or path.is_file()  # other machines need not share the folder of the run
        state = cli.trainer.strategy.broadcast(read_checkpoint(path)["state_dict"] if here else {})
        if not (before.keys() == state.keys() and all(torch.equal(before[name], state[name]) for name in state)):
            load_state(cli.model, state, path)
            run(cli.model, datamodule=cli.datamodule, verbose=False)
        evaluations.append({"checkpoint": checkpoint, "epoch": epoch, **cli.model.evaluation})  # type: ignore[typeddict-item]
        before = state
    return evaluations


def evaluate_finished(cli: TrainingCLI, split: str, results: Results) -> list[Evaluation]:
    """Evaluate the checkpoints of a finished run, which was built again, on a split; raises InputError if there is not
    something for each process."""
    check_spread(cli.trainer, cli.datamodule, split)
    epochs = {"last": results["history"][-1]["epoch"], "best": results["best_epoch"]}
    with cli.processes.running(cli.trainer, cli.checkpoints.stops, partial(facts_of, cli)):
        return evaluate(cli, split, epochs)


def evaluate_run(split: str, run: Path, args: Sequence[str]) -> None:
    """Evaluate a finished run again on a split, last checkpoint and best, and show the table.

    Raises:
        InputError: see ``open_run``; or if the run was configured to take no batch of the split.
    """
    cli, results = open_run(split, run, args)
    if left_out(cli.trainer, split):
        raise InputError(f"a limit of 0 batches leaves nothing to evaluate: give --trainer.limit_{split}_batches 1.0")
    evaluations = evaluate_finished(cli, split, results)
    others = [e for e in results["evaluations"] if e["split"] != split]
    if cli.trainer.is_global_zero:
        results["evaluations"] = [*others, *evaluations]
        save_results(run, results)
        show(evaluation_table(results, evaluations))


def open_run(split: str, run: Path, args: Sequence[str]) -> tuple[TrainingCLI, Results]:
    """Build a run again from its configuration, to measure it on a split; return it with its results.

    Raises:
        InputError: if the run or the split is not there, or an option would change what was trained on and what was
            held out.
    """
    quiet()
    results = load_results(run)
    names = [arg.split("=")[0] for arg in args if arg.startswith("--data")]
    movable = trained_on(run).movable if names else frozenset()
    for name in names:
        if name.rsplit(".", 1)[-1] not in movable:
            raise InputError(f"{name} could mix the splits of the run: leave it out")
    method = read_config(run)["model"]["init_args"]["method"]
    args = [*args, *moved_weights(run, method, args)]
    options = [*args, f"--run={run}", *MEASURING]
    cli = configure(options, [run / "config.yaml"], prepare=splits_of(run, measured_alone=True))
    if cli.datamodule.split(split) is None:
        raise InputError(f"{cli.datamodule.source} has no {SPLITS[split]} split: train with images held out for it")
    check_counts(cli.datamodule, results)
    if not results["history"]:
        raise InputError(f"{run} has no finished epoch: go on by {command('longtail', 'fit', '--resume', run)}")
    return cli, results


def moved_weights(run: Path, method: dict[str, JSON], args: Sequence[str]) -> list[str]:
    """Options by which a run finds weights that have moved: those that go with ``--weights``, and what it holds itself.

    Args:
        run: its folder.
        method: of its configuration.
        args: options, written out in full.

    Raises:
        InputError: if it needs no weights, or they are not there.
    """
    if all(arg.split("=")[0] != WEIGHTS for arg in args):
        check_beside(run, method)
        return own_part(run, method)
    check_needs(run, method)
    return ["--model.method.backbone.pretrained=false", *own_part(run, method)]


def splits_of(run: Path, measured_alone: bool) -> Callable[[LongTailData], None]:
    """What gives a set the splits in the record of a run, where it has one; see ``LongTailData.keep_splits``."""

    def prepare(data: LongTailData) -> None:
        if (record := SplitRecord.read(run)) is not None:
            data.keep_splits(record, measured_alone)

    return prepare


def check_counts(data: LongTailData, results: Results) -> None:
    """Check that a set has the classes and the counts that a run was trained on; raises InputError."""
    if (data.classes, data.group_counts) != (results["classes"], results["train_counts"]):
        raise InputError(f"{data.source} is not what the run was trained on: its classes or counts differ")


def trained_on(run: Path) -> type[LongTailData]:
    """The class of the set that a run was trained on."""
    config = read_config(run)
    with building_from_run(run, config):
        return find_class(config["data"]["class_path"])


def read_config(run: Path) -> dict[str, JSON]:
    """The configuration of a run; raises InputError where there is none."""
    file = run / "config.yaml"
    config = read_run_config(file)
    try:
        paths = config["data"]["class_path"], config["model"]["init_args"]["method"]["class_path"]
    except (KeyError, TypeError):
        paths = None, None
    if not all(isinstance(path, str) for path in paths):
        raise InputError(f"{file}: not the configuration of a run: give the folder of one")
    return config
