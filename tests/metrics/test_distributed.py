"""Two processes with uneven shares count as one."""

from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from longtail.metrics.calibration import CalibrationError
from longtail.metrics.per_class import PerClassAccuracy

CLASSES = 6
SHARES = (slice(0, 17), slice(17, 20))


def everything() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    targets = torch.randint(CLASSES - 1, (20,), generator=generator)  # the last class is absent
    return torch.randn(20, CLASSES, generator=generator), targets


def figures(rows: slice) -> dict[str, torch.Tensor]:
    logits, targets = everything()
    per_class, calibration = PerClassAccuracy(CLASSES), CalibrationError()
    for metric in (per_class, calibration):
        metric.update(logits[rows], targets[rows])
    return {**per_class.compute(), "calibration_error": calibration.compute()}


def process(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    torch.save(figures(SHARES[rank]), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_equal_one(tmp_path: Path) -> None:
    mp.spawn(process, (str(tmp_path),), nprocs=2)
    alone = figures(slice(None))
    for rank in range(2):
        together = torch.load(tmp_path / f"{rank}.pt")
        torch.testing.assert_close(together, alone, equal_nan=True)
