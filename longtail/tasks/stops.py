"""What stops a run from outside: Ctrl-C and SIGTERM, and worker processes that died."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import lightning.pytorch as pl

from longtail.data.loader import Loader
from longtail.distributed import from_first, gather_to_first
from longtail.signals import SIGNALS, TWICE

EVERY = 10  # steps between two agreements of processes on accelerators, as each waits for the device


class Stops:
    """Lets a run that is asked to stop do so where nothing is lost, and all of its processes at the same step.

    While it trains, the first signal is noted, and a second one raises KeyboardInterrupt, as does any at other times.
    """

    def __init__(self) -> None:
        self.training = False
        self._signal_time: float | None = None  # when

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen for signals; afterwards whoever listened before does so again."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        previous = {number: signal.getsignal(number) for number in SIGNALS}
        try:
            self.listen()
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def listen(self) -> None:
        """Listen for signals, in the place of Lightning, whose handler waits for other processes."""
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        again = self._signal_time is not None and time.monotonic() - self._signal_time > TWICE
        if again or not self.training:
            raise KeyboardInterrupt
        self._signal_time = self._signal_time or time.monotonic()

    def reason(self, trainer: pl.Trainer) -> str | None:
        """Why the run has to stop: empty for a signal, else what happened to its workers; None if it goes on.

        It is the same in all processes, whichever of them it came to. Each has to call.
        """
        lost = [loader.lost for loader in loaders(trainer) if loader.lost is not None]
        reason = lost[0] if lost else None if self._signal_time is None else ""
        if trainer.world_size == 1:
            return reason
        if not trainer.strategy.reduce_boolean_decision(reason is not None, all=False):
            return None
        reasons = gather_to_first([reason]) or []
        return from_first(max((text for text in reasons if text is not None), key=len, default=""))


def loaders(trainer: pl.Trainer) -> list[Loader]:
    """The loaders that a trainer has so far, for training and for evaluation."""
    result: list[Loader] = []
    for group in (trainer.train_dataloader, trainer.val_dataloaders):
        result += [loader for loader in (group if isinstance(group, list) else [group]) if isinstance(loader, Loader)]
    return result


def interval(trainer: pl.Trainer) -> int:
    """Steps between two times that the processes of a run agree."""
    alone = trainer.world_size == 1 or trainer.strategy.root_device.type == "cpu"
    return 1 if alone else EVERY
