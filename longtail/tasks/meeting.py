"""Where the processes of a launcher meet before there is a process group."""

import os
from datetime import timedelta
from functools import cache

from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from torch.distributed import TCPStore  # type: ignore[attr-defined] # torch does not export it by name

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
