"""Two processes of one group, for what is counted or gathered over several."""

import multiprocessing
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

# They are forked from a process that has imported this, and so start at once.
multiprocessing.set_forkserver_preload(["pytest", "hypothesis", "longtail.methods", "longtail.tasks"])


def two_processes(function: Callable[[int], Any], folder: Path) -> list[Any]:
    """What ``function`` returns for ranks 0 and 1, each in a process of its own; they meet in the folder."""
    mp.start_processes(_process, (function, folder), nprocs=2, start_method="forkserver")
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


def _process(rank: int, function: Callable[[int], Any], folder: Path) -> None:
    meeting, patience = f"file://{folder}/rendezvous", timedelta(minutes=1)
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2, timeout=patience)
    torch.save(function(rank), folder / f"{rank}.pt")
    dist.destroy_process_group()
