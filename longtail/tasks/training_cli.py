"""The command line of a training: what is parsed, what is built from it, and in which order."""

import logging
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import lightning.pytorch as pl
import yaml
from jsonargparse import ArgumentError, Namespace
from lightning.pytorch.callbacks import EMAWeightAveraging
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from longtail.configuration import parse_yaml, read_run_config
from longtail.data.base import LongTailData
from longtail.errors import InputError
from longtail.tasks.base import Task
from longtail.tasks.checkpoints import AtomicCheckpointIO, RunCheckpoints
from longtail.tasks.divergence import Divergence
from longtail.tasks.inputs import fit_to_network
from longtail.tasks.overview import Overview
from longtail.tasks.precision import choose_precision
from longtail.tasks.processes import Processes
from longtail.tasks.recorder import Progress, Recorder, new_results
from longtail.tasks.refusals import building, explain
from longtail.tasks.spread import SyncedNorms, batch_of_process, check_strategy
from longtail.tasks.views import split_off, with_options
from longtail.trust import building_from_run

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
        parser.add_argument(
            "--total_batch_size", type=int | None, default=None, help="images of a step of training over all processes"
        )
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
                defaults = self.config.as_dict()["data"].get("init_args", {}).get("views")
                super().parse_arguments(parser, [*rest, f"--data.views={with_options(defaults, views)}"])
        except ArgumentError as error:
            raise InputError(explain(str(error))) from error
        if self.config.data is None:
            raise InputError(f"no data given: {LongTailData.needs}")
        fit_to_network(self.config)

    def instantiate_classes(self) -> None:
        """Build the data module, read the set, and build what follows from its counts."""
        whole = self.parser.dump(self.config, skip_none=False, skip_link_targets=True)
        self.config_dump = yaml.safe_load(whole)  # under this name Lightning finds the hyperparameters
        with building():
            data_config = Namespace(data=self.config.data)  # type: ignore[no-untyped-call]  # it has no types
            data = self.parser.instantiate(data_config).data
        if self.prepare is not None:
            self.prepare(data)
        total = self.config.total_batch_size
        if total is not None:
            data.batch_size = 1  # until the trainer knows how many processes share a step
        self.label_counts = data.label_counts
        config = self.config.clone()
        config.data = data
        with building():
            self.config_init = self.parser.instantiate(config)
        if self.config.trainer.precision is None:
            precision, why = choose_precision(self.config_init.model.method, str(self.config.trainer.accelerator))
            logger.info(f"precision {precision}, as {why}; --precision gives another")
            self.config.trainer.precision = self.config_init.trainer.precision = precision
            self.config_dump["trainer"]["precision"] = precision
        self.datamodule, self.model = data, self.config_init.model
        self.trainer = self.instantiate_trainer()
        if total is not None:
            data.batch_size = batch_of_process(total, data.size("train"), self.trainer)

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
        self.processes = Processes(run)
        callbacks: list[pl.Callback] = [self.processes, self.divergence, Overview(), self.recorder, self.checkpoints]
        if self.config_init.trainer.enable_progress_bar is not False:
            callbacks.insert(callbacks.index(self.checkpoints), Progress(self.recorder))
        if self.config.ema is not None:
            if not 0 < self.config.ema < 1:
                raise InputError(f"--ema must be between 0 and 1, got {self.config.ema}")
            # before the checkpoints, which have to hold the average of the step they are taken after
            callbacks.insert(0, EMAWeightAveraging(decay=self.config.ema))
        own_callbacks = self.config_init.trainer.callbacks or []
        plugins = [*(self.config_init.trainer.plugins or []), AtomicCheckpointIO()]
        if self.config_init.trainer.sync_batchnorm:
            plugins.append(SyncedNorms())
        check_strategy(self.config_init.trainer.strategy)
        with building():
            return super().instantiate_trainer(
                logger=loggers,
                callbacks=[*own_callbacks, *callbacks],
                plugins=plugins,
                enable_checkpointing=False,
                use_distributed_sampler=False,
                sync_batchnorm=False,  # by the plugin
                default_root_dir=run,
                **kwargs,
            )

    def dump(self) -> str:
        """The resolved configuration as YAML."""
        return str(yaml.safe_dump(self.config_dump, sort_keys=False, allow_unicode=True))


def configure(
    args: Sequence[str],
    of_runs: Sequence[Path] = (),
    recipe: str | None = None,
    first: Path | None = None,
    prepare: Callable[[LongTailData], None] | None = None,
) -> TrainingCLI:
    """Parse, build and read everything that command-line arguments name; see ``TrainingCLI``.

    Args:
        args: options for ``TrainingCLI``.
        of_runs: configurations of runs, which come before them; with one, nothing is built but what may be from a run.
        recipe: YAML that comes before both.
        first: the run that parts of the recipe were taken from, so that the whole counts as one of a run.
        prepare: see ``TrainingCLI``.
    """
    configs = [*([] if recipe is None else [recipe]), *map(str, of_runs)]
    args = [*(option for config in configs for option in ("--config", config)), *args]
    parts: list[Any] = [read_run_config(file) for file in of_runs]
    if first is not None:
        parts.append(parse_yaml(recipe or ""))
    if not parts:
        return TrainingCLI(args, prepare)
    with building_from_run(first or of_runs[0], parts):
        return TrainingCLI(args, prepare)


def quiet() -> None:
    """Leave out what Lightning says about itself."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
    if not sys.warnoptions:
        warnings.filterwarnings("ignore", module="lightning.*")
        warnings.filterwarnings("ignore", category=DeprecationWarning)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
