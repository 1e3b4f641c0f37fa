"""What a trained run is when it is used."""

import argparse
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from longtail.plain import AnyPath
from longtail.reports.results import Results

P = TypeVar("P", bound="Predictor")


class Predictor(ABC):
    """A trained run, used: what ``longtail predict`` and ``longtail export`` do with it.

    The results of a run name its class. What only some runs are asked for are options of that class: it adds them to
    the parsers of the commands, and takes them by name in ``predict`` and ``export``.

    Attributes:
        task: what the run was trained for, in results and messages.
        tradeoff: whether ``longtail tradeoff`` can adjust its logits: each image has one class, and the task of the run
            gives the logits of a batch (``Task.logits``).
        calibration: whether ``longtail calibrate`` can fit its probabilities, and ``test --prior`` correct its logits,
            as those of a ``Classifier``.
        second_stages: whether the recipes second/... can go on from its runs: each image has one class, and the method
            a backbone whose features a classifier takes.
    """

    task: ClassVar[str]
    tradeoff: ClassVar[bool] = False
    calibration: ClassVar[bool] = False
    second_stages: ClassVar[bool] = False

    @classmethod
    def predict_options(cls, parser: argparse.ArgumentParser) -> None:
        """Add what ``longtail predict`` takes for such runs alone, in a group with a title; by default nothing."""
        return

    @classmethod
    def export_options(cls, parser: argparse.ArgumentParser) -> None:
        """Add what ``longtail export`` takes for such runs alone, in a group with a title; by default nothing."""
        return

    @classmethod
    @abstractmethod
    def load(cls: type[P], run: AnyPath, results: Results, checkpoint: str | None = None) -> P:
        """Load a run.

        Args:
            run: its folder.
            results: of it.
            checkpoint: "best" or "last"; by default the one best on validation if there is one.

        Raises:
            InputError: if the checkpoint is not there or damaged, or is of something else.
        """

    @abstractmethod
    def predict(  # the options are those that a class added to the parser, by their names and types
        self, paths: Sequence[AnyPath], output: AnyPath | None, skip_bad_images: bool, *args: Any, **options: Any
    ) -> None:
        """Use the run on files and folders.

        Args:
            paths: of the files and folders.
            output: where the answer goes; None prints it.
            skip_bad_images: leave out files that cannot be read.
            args: none.
            options: those of ``predict_options``.

        Raises:
            InputError: on a file that cannot be read, or an output that cannot be written.
        """

    @classmethod
    def export_folder(cls, run: Path, **options: Any) -> Path:  # those of ``export``
        """Where ``longtail export`` writes by default: export/ in the folder of the run."""
        return run / "export"

    @abstractmethod
    def export(self, output: AnyPath, *args: Any, **options: Any) -> list[Path]:  # each task has its own
        """Write the run for use without this package, and return the files.

        Args:
            output: folder for them.
            args: none.
            options: those of ``export_options``.

        Raises:
            InputError: if something that is needed is not installed, or what is written differs from the run.
        """
