"""Where the processes of a launcher meet before there is a process group, and how a group comes about."""

import contextlib
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cache

import lightning.pytorch as pl
import torch
import torch.distributed as dist
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher
from torch.distributed import PrefixStore, Store, TCPStore  # type: ignore[attr-defined] # torch does not export them

from longtail.distributed import check_same, connection_lost
from longtail.errors import InputError
from longtail.launch import Launch, launch
from longtail.messages import first_line
from longtail.plain import JSON
from longtail.roll_call import Facts, difference, with_host

LATE = 1800.0  # seconds; as one process may need longer than another to start, or to read a set
OFTEN = 0.2  # seconds between two looks into the store
MOMENT = 3.0  # seconds in which processes fail that fail alike, and a line is written
_FAILED = "failed"  # has the rank of the first process that failed


class Meeting:
    """The processes of a launcher: the first one decides for all, and one speaks where any fails.

    What they tell goes through a store of keys and values. A process that waits there for another sees that one has
    failed, and ends; in the start of a process group it would wait until a timeout.

    Args:
        here: the place of this process.
        store: the same for all of them.

    Attributes:
        met: whether they have compared what they were told and have read, so that the first one speaks for all.
        differ: whether they were found to differ, which each of them then knows.
    """

    def __init__(self, here: Launch, store: Store) -> None:
        self.here, self.store = here, PrefixStore(f"longtail/{here.restarts}", store)
        self.met = self.differ = False
        self._count = 0

    def agreed(self, matter: str, decide: Callable[[], JSON]) -> JSON:
        """What the first process decides, in all of them. Every process has to call.

        Args:
            matter: names what is decided.
            decide: called in the first process.

        Raises:
            InputError: if the first process has come to another matter.
            SystemExit: in one that waits when another has failed; without a word, as that one speaks.
        """
        self._count += 1
        about, answer = f"{self._count}/about", f"{self._count}/answer"
        if self.here.rank == 0:
            self._tell(about, matter)
            self._tell(answer, decide())
        elif self._wait(about) != matter:
            raise InputError("its command is another than that of process 0: give all processes the same command")
        return self._wait(answer)

    def compare(self, facts: Facts) -> None:
        """Check that all processes tell the same of themselves. Every process has to call.

        Raises:
            InputError: in all of them, with the first fact in which one differs from the first; or in the first, if
                one does not come.
            SystemExit: as in ``agreed``.
        """
        place = f"{self._count}/facts"
        self._tell(f"{place}/{self.here.rank}", with_host(facts))
        self.met = True

        def decide() -> str | None:
            return difference([self._wait(f"{place}/{rank}", rank, LATE) for rank in range(self.here.world)])

        line = self.agreed("comparison", decide)
        self.differ = line is not None
        if self.differ:
            raise InputError(line)

    def speaks(self, patience: float) -> bool:
        """Whether this process, which fails, says why: no other has failed before, or does in so many seconds."""
        until = time.monotonic() + patience
        try:
            while time.monotonic() < until and not self.store.check([_FAILED]):
                time.sleep(OFTEN)
            return int(self.store.compare_set(_FAILED, "", str(self.here.rank))) == self.here.rank
        except RuntimeError as error:
            if not connection_lost(error):
                raise
            # the first one, which served the store, is gone: it has said why where they differ, or before they met
            return self.met and not self.differ

    def has_failed(self) -> bool:
        """Whether any process has failed, as far as that can still be known."""
        try:
            return bool(self.store.check([_FAILED]))
        except RuntimeError as error:
            if not connection_lost(error):
                raise
            return False

    def _tell(self, key: str, value: JSON) -> None:
        self.store.set(key, json.dumps(value))

    def _wait(self, key: str, rank: int = 0, patience: float = math.inf) -> JSON:
        """What a process tells under a key, once it does."""
        until = time.monotonic() + patience
        try:
            while not self.store.check([key]):
                if self.store.check([_FAILED]):
                    time.sleep(MOMENT)  # that one writes its line, and the launcher may end all when one ends
                    raise SystemExit(2)
                if time.monotonic() > until:
                    minutes = round(patience / 60)
                    raise InputError(
                        f"process {rank} did not come within {minutes} minutes: start all of them together"
                    )
                time.sleep(OFTEN)
            return json.loads(self.store.get(key))
        except RuntimeError as error:
            if not connection_lost(error):
                raise
            raise SystemExit(2) from error  # the first one, which served the store, is gone


@cache
def meeting(here: Launch) -> Meeting:
    """That of this process."""
    return Meeting(here, meet(here))


@cache
def meet(here: Launch) -> TCPStore:
    """The store of keys and values that the launcher, or else the first process, serves to all.

    Raises:
        InputError: if there is none at the address.
    """
    if here.by == "slurm":
        cluster = SLURMEnvironment()
        os.environ.setdefault("MASTER_ADDR", cluster.main_address)
        os.environ.setdefault("MASTER_PORT", str(cluster.main_port))
    serves = here.rank == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    patience = timedelta(seconds=LATE)
    try:
        return TCPStore(address, port, here.world, serves, patience, wait_for_workers=False, multi_tenant=True)
    except RuntimeError as error:
        where = f"the processes cannot meet at {address}:{port} ({first_line(error)})"
        raise InputError(f"{where}: start all of them together, with an address that each can reach") from error


@contextlib.contextmanager
def together(here: Launch, patience: timedelta) -> Iterator[None]:
    """The processes of a launcher as one group, each with a GPU of its own where there are any, for work that Lightning
    does not do.

    Args:
        here: the place of this process.
        patience: how long it waits for the others.

    Raises:
        InputError: if another process is gone.
    """
    if torch.cuda.is_available():
        torch.cuda.set_device(here.rank % here.local_world % torch.cuda.device_count())
    store = PrefixStore(f"longtail/group/{here.restarts}", meet(here))
    dist.init_process_group("gloo", store=store, rank=here.rank, world_size=here.world, timeout=patience)
    try:
        yield
    except RuntimeError as error:
        if not connection_lost(error):
            raise
        raise InputError("another process is gone, and this one ends with it: give the command again") from error
    finally:
        dist.destroy_process_group()


def compare(trainer: pl.Trainer, facts: Callable[[], Facts]) -> None:
    """Check that all processes of a trainer tell the same of themselves; those that it starts itself are started.

    Args:
        trainer: before it trains.
        facts: called where there are several.

    Raises:
        InputError: see ``Meeting.compare``.
    """
    here = launch()
    if here.is_one_of_several:
        meeting(here).compare(facts())  # before there is a group, which waits in vain for one that fails
    elif trainer.world_size > 1:
        start_processes(trainer)
        check_same(facts())


def start_processes(trainer: pl.Trainer) -> None:
    """Let the processes of a trainer meet in their group before it trains; those that it starts itself are started."""
    launcher = trainer.strategy.launcher
    # Lightning tells its launchers apart by this class, which has no other name: those that fork start nothing before.
    if trainer.world_size > 1 and isinstance(launcher, _SubprocessScriptLauncher):
        launcher.launch(trainer.strategy.setup_environment, trainer=trainer)
