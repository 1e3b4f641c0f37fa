"""The logits of a run on one of its splits."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, cast

import torch
from torch import Tensor
from tqdm import tqdm

from longtail.checkpoint import checkpoint_path, load_state, read_method
from longtail.data.images.base import ImageData, LoadedImages
from longtail.reports.results import Results
from longtail.tasks.classification import Classification
from longtail.tasks.evaluation import open_run

ALONE = (
    "accelerator=auto",
    "devices=1",
    "num_nodes=1",
    "strategy=auto",
    "precision=32-true",
)  # as ``predict`` computes


def logits_of(
    run: Path, split: Literal["val", "test"], checkpoint: str | None = None, args: Sequence[str] = ()
) -> tuple[Path, Results, Tensor, Tensor]:
    """The checkpoint that was taken, the results of the run, logits (M, C) in float32 and labels (M,), on the CPU.

    Args:
        run: folder of the run.
        split: of its data.
        checkpoint: "best" or "last"; by default the one best on validation if there is one.
        args: further options, such as ``--data.root``.

    Raises:
        InputError: if the run, its checkpoint or the split is not there.
    """
    path = checkpoint_path(run, checkpoint)
    cli, results = open_run(split, run, [*(f"--trainer.{option}" for option in ALONE), *args])
    load_state(cli.model.method, read_method(path), path)
    return path, results, *_compute(cli.model, cli.datamodule, split, cli.trainer.strategy.root_device, run.name)


@torch.inference_mode()
def _compute(
    task: Classification, data: ImageData, split: str, device: torch.device, name: str
) -> tuple[Tensor, Tensor]:
    task.eval().to(device)
    logits, targets = [], []
    loader = data.val_dataloader() if split == "val" else data.test_dataloader()
    for batch in tqdm(loader, desc=name, leave=False, disable=None):
        on_device = {key: value.to(device) if isinstance(value, Tensor) else value for key, value in batch.items()}
        views = data.on_after_batch_transfer(cast(LoadedImages, on_device), 0)
        logits.append(task.logits(views).cpu())
        targets.append(batch["targets"].cpu())
    return torch.cat(logits), torch.cat(targets)
