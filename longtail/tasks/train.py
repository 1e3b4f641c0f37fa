"""What the command line does with Lightning: configure, fit, resume and evaluate a run."""

import logging
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import lightning.pytorch as pl
from jsonargparse import ArgumentError, Namespace
from lightning.pytorch.callbacks import EMAWeightAveraging
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from longtail.checkpoint import load_state, read_checkpoint
from longtail.configuration import parse_yaml, read_run_config
from longtail.data.base import LongTailData
from longtail.data.names import find_class
from longtail.errors import InputError
from longtail.messages import command
from longtail.reports.results import Evaluation, Results, load_results, save_results
from longtail.reports.terminal import evaluation_table, show
from longtail.tasks.base import Task
from longtail.tasks.checkpoints import AtomicCheckpointIO, RunCheckpoints, TrainingStopped
from longtail.tasks.divergence import Divergence
from longtail.tasks.inputs import fit_to_network
from longtail.tasks.overview import Overview
from longtail.tasks.precision import choose_precision
from longtail.tasks.rates import about_rate
from longtail.tasks.recorder import Progress, Recorder, new_results
from longtail.tasks.refusals import building, explain
from longtail.tasks.views import split_off, with_options
from longtail.trust import building_from_run
from longtail.writing import write_atomically

logger = logging.getLogger(__name__)


class TrainingCLI(LightningCLI):
    """LightningCLI with the task and the data module in subclass mode, and the options of a run.

    The arguments are parsed, then the data module is built, then the set is read, then the task and the trainer are
    built, which depend on the counts of the set.

    Args:
        args: the options.
        prepare: called with the data module before the set is read.

    Raises:
        InputError: on a wrong option, and by whatever cannot use what it was given. What else goes wrong in the code
            that is built comes as it is.
    """

    def __init__(self, args: Sequence[str], prepare: Callable[[LongTailData], None] | None = None) -> None:
        self.prepare = prepare
        self.label_counts: list[int] = []  # those of the set, once it is read
        super().__init__(
            Task,
            LongTailData,
            subclass_mode_model=True,
            subclass_mode_data=True,
            save_config_callback=None,
            seed_everything_default=0,
            trainer_defaults={
                "gradient_clip_val": None,
                "num_sanity_val_steps": 0,
                "enable_model_summary": False,
                "log_every_n_steps": 1,
            },
            parser_kwargs={"exit_on_error": False, "prog": "longtail fit"},
            auto_configure_optimizers=False,
            run=False,
            args=list(args),
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """The options that belong to the run as a whole, and what the model learns from the data."""
        parser.add_argument("--run", type=Path, required=True, help="folder of the run")
        parser.add_argument("--recipe", type=str | None, default=None, help="name of the recipe, for the record")
        parser.add_argument("--monitor", type=str | None, default=None, help="validation metric of the best epoch")
        parser.add_argument("--ema", type=float | None, default=None, help="decay of averaged weights, such as 0.999")
        parser.add_argument("--features", type=Path | None, default=None, help="folder for those of frozen networks")
        for target in ("model.init_args", "model.init_args.method.init_args"):
            parser.link_arguments("data", f"{target}.class_counts", self._class_counts, apply_on="instantiate")

    def _class_counts(self, data: LongTailData) -> list[int]:
        return self.label_counts

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse, and say in one line what is wrong."""
        rest, views = split_off(cast(list[str], args))
        try:
            super().parse_arguments(parser, rest)
            if views and self.config.data is not None:
                given = self.config.as_dict()["data"].get("init_args", {}).get("views")
                super().parse_arguments(parser, [*rest, f"--data.views={with_options(given, views)}"])
        except ArgumentError as error:
            raise InputError(explain(str(error))) from error
        if self.config.data is None:
            raise InputError(f"no data given: {LongTailData.needs}")
        fit_to_network(self.config)

    def instantiate_classes(self) -> None:
        """Build the data module, read the set, and build what follows from its counts."""
        with building():
            data_config = Namespace(data=self.config.data)  # type: ignore[no-untyped-call]  # it has no types
            data = self.parser.instantiate(data_config).data
        if self.prepare is not None:
            self.prepare(data)
        self.label_counts = data.label_counts
        config = self.config.clone()
        config.data = data
        with building():
            self.config_init = self.parser.instantiate(config)
        if self.config.trainer.precision is None:
            precision, why = choose_precision(self.config_init.model.method, str(self.config.trainer.accelerator))
            logger.info(f"precision {precision}, as {why}; --precision gives another")
            self.config.trainer.precision = self.config_init.trainer.precision = precision
        self.datamodule, self.model = data, self.config_init.model
        self.trainer = self.instantiate_trainer()

    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:  # Lightning's signature
        """The trainer, with the loggers, checkpoints and records of the run."""
        run = Path(self.config.run)
        loggers = self.config_init.trainer.logger
        if loggers is None or loggers is True:
            loggers = [TensorBoardLogger(run / "logs", name="tensorboard"), CSVLogger(run / "logs", name="csv")]
        self.results = new_results(run.name, self.config.recipe, int(self.config.seed_everything), self.dump())
        self.recorder = Recorder(run, self.results)
        metrics = self.model.monitors
        self.checkpoints = RunCheckpoints(run, self.config.monitor or next(iter(metrics)), metrics)
        self.divergence = Divergence(self.checkpoints.last)
        callbacks: list[pl.Callback] = [self.divergence, Overview(), self.recorder, self.checkpoints]
        if self.config_init.trainer.enable_progress_bar is not False:
            callbacks.insert(callbacks.index(self.checkpoints), Progress(self.recorder))
        if self.config.ema is not None:
            if not 0 < self.config.ema < 1:
                raise InputError(f"--ema must be between 0 and 1, got {self.config.ema}")
            # before the checkpoints, which have to hold the average of the step they are taken after
            callbacks.insert(0, EMAWeightAveraging(decay=self.config.ema))
        own_callbacks = self.config_init.trainer.callbacks or []
        plugins = [*(self.config_init.trainer.plugins or []), AtomicCheckpointIO()]
        with building():
            return super().instantiate_trainer(
                logger=loggers,
                callbacks=[*own_callbacks, *callbacks],
                plugins=plugins,
                enable_checkpointing=False,
                use_distributed_sampler=False,
                default_root_dir=run,
                **kwargs,
            )

    def dump(self) -> str:
        """The resolved configuration as YAML."""
        return str(self.parser.dump(self.config, skip_none=False, skip_link_targets=True))


def configure(
    args: Sequence[str], of_runs: Sequence[Path] = (), recipe: str | None = None, first: Path | None = None
) -> TrainingCLI:
    """Parse, build and read everything that command-line arguments name; see ``TrainingCLI``.

    Args:
        args: options for ``TrainingCLI``.
        of_runs: configurations of runs, which come before them; with one, nothing is built but what may be from a run.
        recipe: YAML that comes before both.
        first: the run that parts of the recipe were taken from, so that the whole counts as one of a run.
    """
    configs = [*([] if recipe is None else [recipe]), *map(str, of_runs)]
    args = [*(option for config in configs for option in ("--config", config)), *args]
    parts: list[Any] = [read_run_config(file) for file in of_runs]
    if first is not None:
        parts.append(parse_yaml(recipe or ""))
    if not parts:
        return TrainingCLI(args)
    with building_from_run(first or of_runs[0], parts):
        return TrainingCLI(args)


def fit(
    args: Sequence[str],
    run: Path,
    resume: bool = False,
    of_runs: Sequence[Path] = (),
    recipe: str | None = None,
    first: Path | None = None,
) -> None:
    """Train a run, then evaluate its last checkpoint and the one best on validation.

    Args:
        args: options for ``TrainingCLI``.
        run: folder of the run.
        resume: go on from its last checkpoint.
        of_runs: configurations of runs, which come before the options.
        recipe: YAML that comes before both.
        first: see ``configure``.
    """
    quiet()
    cli = configure([*args, f"--run={run}"], of_runs, recipe, first)
    trainer, task, data = cli.trainer, cli.model, cli.datamodule
    last = cli.checkpoints.last
    if resume:
        load_state(task, read_checkpoint(last)["state_dict"], last)
        before = load_results(run)
        for key in ("seconds", "history", "started", "images_per_second"):
            cli.results[key] = before[key]
    task.check(data)  # what is wrong is said before anything is written
    if left_out(trainer, "val") and task.by_difficulty(data):
        raise InputError(
            "the difficulty of the classes is measured on validation images: leave out --trainer.limit_val_batches 0"
        )
    for name in ("val", "test"):
        check_spread(trainer, data, name)
    if line := about_rate(task.optimizer, any(arg.startswith("--model.optimizer.lr") for arg in args)):
        logger.info(line)
    features = cli.config.features or run.parent / "features"
    data = cli.datamodule = task.prepare(data, trainer, Path(features), resume)
    if trainer.is_global_zero:
        run.mkdir(parents=True, exist_ok=True)
        write_atomically(run / "config.yaml", cli.dump())
    try:
        trainer.fit(task, datamodule=data, ckpt_path=last if resume else None, weights_only=True)
    except (InputError, TrainingStopped):
        raise
    except Exception:  # what fails after a loss that was not finite fails because of it
        cli.divergence.check(trainer, task, alone=True)
        raise

    cli.results["best_epoch"] = cli.checkpoints.best_epoch
    epochs = {"last": trainer.current_epoch, "best": cli.checkpoints.best_epoch}
    splits = [name for name in ("val", "test") if data.split(name) is not None and not left_out(trainer, name)]
    cli.results["evaluations"] = [
        evaluate(cli, split, checkpoint, epoch)
        for split in splits
        for checkpoint, epoch in epochs.items()
        if epoch is not None
    ]
    if trainer.is_global_zero:
        results = cast(Results, cli.results)
        save_results(run, results)
        evaluations = [e for e in cli.results["evaluations"] if e["split"] == splits[-1]] if splits else []
        show(evaluation_table(results, evaluations)) if evaluations else sys.stdout.write("no split to evaluate\n")


def left_out(trainer: pl.Trainer, split: str) -> bool:
    """Whether the trainer is told to take no batch of "val" or "test"; it passes over such a split in silence."""
    return bool(getattr(trainer, f"limit_{split}_batches") == 0)


def check_spread(trainer: pl.Trainer, data: LongTailData, name: str) -> None:
    """Check that every process has something of a split to evaluate; raises InputError."""
    split, processes = data.split(name), trainer.world_size
    if split is not None and not left_out(trainer, name) and len(split) < processes:
        raise InputError(
            f"{data.source} has {len(split)} {name} {data.noun}{'s' * (len(split) > 1)} for {processes} processes: "
            f"give --trainer.devices {len(split)} or less"
        )


def evaluate(cli: TrainingCLI, split: str, checkpoint: str, epoch: int) -> Evaluation:
    """Evaluate a checkpoint of the run on a split."""
    path = cli.checkpoints.last if checkpoint == "last" else cli.checkpoints.best
    load_state(cli.model, read_checkpoint(path)["state_dict"], path)
    run = cli.trainer.validate if split == "val" else cli.trainer.test
    run(cli.model, datamodule=cli.datamodule, verbose=False)
    return {"checkpoint": checkpoint, "epoch": epoch, **cli.model.evaluation}  # type: ignore[typeddict-item]


def evaluate_run(split: str, run: Path, args: Sequence[str]) -> None:
    """Evaluate a finished run again on a split, last checkpoint and best, and show the table.

    Raises:
        InputError: see ``open_run``; or if the run was configured to take no batch of the split.
    """
    cli, results = open_run(split, run, args)
    if left_out(cli.trainer, split):
        raise InputError(f"a limit of 0 batches leaves nothing to evaluate: give --trainer.limit_{split}_batches 1.0")
    check_spread(cli.trainer, cli.datamodule, split)
    epochs = {"last": results["history"][-1]["epoch"], "best": results["best_epoch"]}
    evaluations = [evaluate(cli, split, name, epoch) for name, epoch in epochs.items() if epoch is not None]
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
    movable = movable_options(run) if names else frozenset()
    for name in names:
        if name.rsplit(".", 1)[-1] not in movable:
            raise InputError(f"{name} could mix the splits of the run: leave it out")
    cli = configure([*args, f"--run={run}", "--trainer.logger=false"], [run / "config.yaml"])
    if cli.datamodule.split(split) is None:
        name = "validation" if split == "val" else split
        raise InputError(f"{cli.datamodule.source} has no {name} split: train with images held out for it")
    if (cli.datamodule.classes, cli.datamodule.group_counts) != (results["classes"], results["train_counts"]):
        raise InputError(f"{cli.datamodule.source} is not what the run was trained on: its classes or counts differ")
    if not results["history"]:
        raise InputError(f"{run} has no finished epoch: go on by {command('longtail', 'fit', '--resume', run)}")
    return cli, results


def movable_options(run: Path) -> frozenset[str]:
    """The options of a run's data set that leave its splits as they are."""
    config = read_config(run)
    with building_from_run(run, config):
        return find_class(config["data"]["class_path"]).movable


def read_config(run: Path) -> dict[str, Any]:  # YAML
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


def quiet() -> None:
    """Leave out what Lightning says about itself."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
    if not sys.warnoptions:
        warnings.filterwarnings("ignore", module="lightning.*")
        warnings.filterwarnings("ignore", category=DeprecationWarning)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
