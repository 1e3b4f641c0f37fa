"""The processes of a run that trains in several: one that dies ends the others, with one line that names it."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from longtail.distributed import connection_lost
from longtail.errors import InputError
from longtail.files.threads import NoAnswer
from longtail.launch import launch
from longtail.messages import command
from longtail.reports.results import load_results, save_results
from longtail.roll_call import Facts
from longtail.signals import STOPPED
from longtail.tasks.checkpoints import TrainingStopped
from longtail.tasks.meeting import compare
from longtail.tasks.stops import Stops

TOLD = 2  # exit code of a process that has said what a user can put right


class Processes(pl.Callback):
    """Watches the processes that Lightning has started, and in each of those the first one.

    A process that waits for one that is gone would wait for minutes, or fail with an error that does not say why. What
    is written about a loss comes from one process: from the first, or where that is gone from those that are left.

    Args:
        run: folder of the run.
    """

    def __init__(self, run: Path) -> None:
        self.run = run
        self._children: list[subprocess.Popen[bytes]] = []
        self._watching = self._ending = False

    @property
    def _go_on(self) -> str:
        """How to go on: before there is a run folder, as before a training features are computed, from the start."""
        begun = (self.run / "config.yaml").is_file()
        return f"go on by: {command('longtail', 'fit', '--resume', self.run)}" if begun else "give the command again"

    @contextlib.contextmanager
    def running(self, trainer: pl.Trainer, stops: Stops, facts: Callable[[], Facts]) -> Iterator[None]:
        """A context for Lightning's work. All processes have read the same and are to do the same; it can be stopped;
        it ends after the processes that it starts, as they watch this one.

        Args:
            trainer: of the run.
            stops: those of the run.
            facts: what this process tells of itself.

        Raises:
            InputError: if a process differs from the first, or is lost.
        """
        if trainer.world_size > 1 and not self._watching:
            self._watching = True
            here = launch()
            if not here.by:
                self._watch(self._take_over, trainer.strategy.launcher)
            elif here.by == "lightning" and trainer.local_rank > 0:
                self._watch(self._wait_for_first, os.getppid())
        try:
            with stops.listening():
                compare(trainer, facts)
                yield
        except NoAnswer as error:
            raise InputError(f"{error}; what was done is saved, {self._go_on}") from error
        except InputError as error:
            self._end_others(trainer, error)
            raise
        except RuntimeError as error:
            if not connection_lost(error):
                raise
            what = "another process of the run is gone, and this one ends with it"
            raise InputError(f"{what}; {self._go_on}") from error
        for child in self._children:
            child.wait()

    def _watch(self, function: Callable[..., None], *arguments: Any) -> None:  # those of the function
        threading.Thread(target=function, args=arguments, daemon=True).start()

    def _take_over(self, launcher: Any) -> None:  # that of Lightning which starts processes, or another
        while len(getattr(launcher, "procs", [])) < getattr(launcher, "num_processes", 1) - 1:
            time.sleep(0.1)
        self._children = [*getattr(launcher, "procs", [])]
        if self._children:
            launcher.procs.clear()  # Lightning's own watch, which kills all and says nothing, has none left to watch
        for rank, child in enumerate(self._children, 1):
            self._watch(self._wait, rank, child)

    def _wait(self, rank: int, child: "subprocess.Popen[bytes]") -> None:
        code = child.wait()
        if code == 0 or self._ending:
            return
        if code == STOPPED:
            sys.stderr.write("longtail: stopped\n")
        elif code != TOLD:
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
            self._tell(f"process {rank} of the run (pid {child.pid}, counted from 0) {how}")
        self._kill()
        mark_interrupted(self.run)
        os._exit(code if code in (STOPPED, TOLD) else 1)

    def _wait_for_first(self, first: int) -> None:
        while os.getppid() == first:
            time.sleep(0.5)
        if self._ending:
            return
        self._tell(f"process 0 of the run (pid {first}) is gone")
        os._exit(1)

    def _tell(self, what: str) -> None:
        sys.stderr.write(f"longtail: error: {what}, and the others end with it; {self._go_on}\n")
        sys.stderr.flush()

    def _kill(self) -> None:
        self._ending = True
        for child in self._children:
            child.send_signal(signal.SIGKILL)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """End the other processes, unless all of them have agreed to stop; where one is gone, let that be said alone.

        A process that is not the first waits: where all fail, the first one speaks for them and ends them.
        """
        if isinstance(exception, TrainingStopped):
            self._ending = True
        else:
            self._end_others(trainer, exception)

    def _end_others(self, trainer: pl.Trainer, error: BaseException) -> None:
        if trainer.world_size == 1 or self._ending:
            return
        patience = 10 if connection_lost(error) else 3 if trainer.local_rank > 0 else 0
        time.sleep(patience)  # a watch may end this process before
        self._kill()


def mark_interrupted(run: Path) -> None:
    """Write into the results of a run that it was interrupted, as far as there are any."""
    try:
        results = load_results(run)
        results["status"] = "interrupted"
        save_results(run, results)
    except InputError:
        return
