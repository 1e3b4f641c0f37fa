"""The logits of a run on one of its splits."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from tqdm import tqdm

from longtail.checkpoint import checkpoint_path, load_state, read_method
from longtail.data.base import LongTailData
from longtail.inference.runs import check_use
from longtail.reports.results import Results
from longtail.tasks.base import Task
from longtail.tasks.evaluation import open_run

PRECISION = "32-true"
ALONE = (
    "accelerator=auto",
    "devices=1",
    "num_nodes=1",
    "strategy=auto",
    f"precision={PRECISION}",
)  # as ``predict`` computes


@dataclass(frozen=True)
class OpenSplit:
    """A checkpoint of a run, and a split of its data to measure it on.

    Attributes:
        checkpoint: that was taken.
        results: of the run.
        task: with the weights of the checkpoint.
        data: of the run.
        split: "val" or "test".
        device: to compute on.
        features: folder where those of a frozen network are kept.
    """

    checkpoint: Path
    results: Results
    task: Task[Any]  # of whatever its data has
    data: LongTailData
    split: Literal["val", "test"]
    device: torch.device
    features: Path

    @torch.inference_mode()
    def logits(self) -> tuple[Tensor, Tensor]:
        """Logits (M, C) in float32 and labels (M,), on the CPU."""
        logits, targets = [], []
        loader = self.data.val_dataloader() if self.split == "val" else self.data.test_dataloader()
        for batch in tqdm(loader, desc=self.results["name"], leave=False, disable=None):
            on_device = {k: value.to(self.device) if isinstance(value, Tensor) else value for k, value in batch.items()}
            logits.append(self.task.logits(self.data.on_after_batch_transfer(on_device, 0)).cpu())
            targets.append(batch["targets"].cpu())
        return torch.cat(logits), torch.cat(targets)


def open_split(
    run: Path, split: Literal["val", "test"], checkpoint: str | None = None, args: Sequence[str] = ()
) -> OpenSplit:
    """Open a run on one of its splits, to compute as ``predict`` does.

    Args:
        run: folder of the run.
        split: of its data.
        checkpoint: "best" or "last"; by default the one best on validation if there is one.
        args: further options, such as ``--data.root``.

    Raises:
        InputError: if the run, its checkpoint or the split is not there, or the run is of another task.
    """
    path = checkpoint_path(run, checkpoint)
    cli, results = open_run(split, run, [*(f"--trainer.{option}" for option in ALONE), *args])
    check_use(results, "tradeoff")
    load_state(cli.model.method, read_method(path), path)
    cli.model.eval().to(cli.trainer.strategy.root_device)
    features = Path(cli.config.features or run.parent / "features")
    return OpenSplit(path, results, cli.model, cli.datamodule, split, cli.trainer.strategy.root_device, features)


def logits_of(
    run: Path, split: Literal["val", "test"], checkpoint: str | None = None, args: Sequence[str] = ()
) -> tuple[Path, Results, Tensor, Tensor]:
    """The checkpoint that was taken, the results of the run, its logits and labels; see ``open_split``."""
    opened = open_split(run, split, checkpoint, args)
    return opened.checkpoint, opened.results, *opened.logits()
