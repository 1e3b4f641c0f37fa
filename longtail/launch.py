"""Who has started this process, and which of how many it is: what the environment tells before there is a process
group."""

import os
from dataclasses import dataclass

# What launchers leave in the environment; a process that is to train alone is started without it.
VARIABLES = frozenset(
    {"LOCAL_RANK", "NODE_RANK", "RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "LOCAL_WORLD_SIZE"}
)
PREFIXES = ("TORCHELASTIC_", "GROUP_", "ROLE_", "SLURM_")
INTERACTIVE = ("bash", "interactive")  # names of jobs in which a command is typed, and started once


@dataclass(frozen=True)
class Launch:
    """The place of this process among those that were started for one command.

    Attributes:
        by: "torchrun" or "slurm", which start all processes; "lightning" for a process that Lightning has started
            beside the first; "" for one that was started alone.
        rank: of this process among all, from 0.
        world: number of processes, where the launcher tells it.
        local_world: of them on this machine.
        restarts: how often torchrun has started the processes again after one was lost.
    """

    by: str = ""
    rank: int = 0
    world: int = 1
    local_world: int = 1
    restarts: int = 0

    @property
    def is_launched(self) -> bool:
        """Whether a launcher has started all processes, so that Lightning starts none."""
        return self.by in ("torchrun", "slurm")

    @property
    def is_one_of_several(self) -> bool:
        """Whether a launcher has started others beside this one."""
        return self.is_launched and self.world > 1


def launch() -> Launch:
    """The place of this process."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        numbers = (_number(name) for name in ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "TORCHELASTIC_RESTART_COUNT"))
        rank, world, local_world, restarts = numbers
        return Launch("torchrun", rank, max(world, 1), max(local_world, 1), restarts)
    if _number("SLURM_NTASKS") > 1 and "SLURM_PROCID" in os.environ and _is_batch():
        world, nodes = _number("SLURM_NTASKS"), _number("SLURM_JOB_NUM_NODES") or _number("SLURM_NNODES")
        return Launch("slurm", _number("SLURM_PROCID"), world, world // max(nodes, 1))
    if "LOCAL_RANK" in os.environ:
        return Launch("lightning", _number("RANK") or _number("LOCAL_RANK") or _number("NODE_RANK"))
    return Launch("", _number("RANK") or _number("NODE_RANK"))


def is_first() -> bool:
    """Whether this is the process of rank 0, which speaks and writes for all."""
    return launch().rank == 0


def follows() -> bool:
    """Whether a launcher has started this process beside the first one."""
    return launch().is_launched and not is_first()


def alone(environment: dict[str, str]) -> dict[str, str]:
    """An environment without what tells of other processes."""
    return {k: v for k, v in environment.items() if k not in VARIABLES and not k.startswith(PREFIXES)}


def _number(name: str) -> int:
    value = os.environ.get(name, "")
    return int(value) if value.isdigit() else 0


def _is_batch() -> bool:
    return os.environ.get("SLURM_JOB_NAME") not in INTERACTIVE
