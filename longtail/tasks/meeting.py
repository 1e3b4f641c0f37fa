"""Where the processes of a launcher meet before there is a process group, and groups without a training."""

import contextlib
import os
from collections.abc import Iterator
from datetime import timedelta
from functools import cache

import lightning.pytorch as pl
import torch
import torch.distributed as dist
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher
from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined] # torch does not export them by name

from longtail.distributed import connection_lost
from longtail.errors import InputError
from longtail.launch import Launch


@cache
def meet(here: Launch, patience: timedelta) -> TCPStore:
    """The store of keys and values that the launcher, or else the first process, serves to all.

    Args:
        here: the place of this process.
        patience: how long it waits for the others.
    """
    if here.by == "slurm":
        cluster = SLURMEnvironment()
        os.environ.setdefault("MASTER_ADDR", cluster.main_address)
        os.environ.setdefault("MASTER_PORT", str(cluster.main_port))
    serves = here.rank == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    return TCPStore(address, port, here.world, serves, patience, wait_for_workers=False, multi_tenant=True)


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
    store = PrefixStore(f"longtail/group/{here.restarts}", meet(here, patience))
    dist.init_process_group("gloo", store=store, rank=here.rank, world_size=here.world, timeout=patience)
    try:
        yield
    except RuntimeError as error:
        if not connection_lost(error):
            raise
        raise InputError("another process is gone, and this one ends with it: give the command again") from error
    finally:
        dist.destroy_process_group()


def start_processes(trainer: pl.Trainer) -> None:
    """Let the processes of a trainer meet in their group before it trains; those that it starts itself are started."""
    launcher = trainer.strategy.launcher
    # Lightning tells its launchers apart by this class, which has no other name: those that fork start nothing before.
    if trainer.world_size > 1 and isinstance(launcher, _SubprocessScriptLauncher):
        launcher.launch(trainer.strategy.setup_environment, trainer=trainer)
