"""The trade-off of a trained run between frequent and rare classes, measured on its validation split."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from torch import Tensor
from tqdm import tqdm

from longtail.checkpoint import checkpoint_path, load_state, read_method
from longtail.data.images.base import ImageData, LoadedImages
from longtail.metrics.tradeoff import adjusted_accuracy
from longtail.reports.groups import GROUPS, group_of
from longtail.reports.tradeoff import Curve, Point
from longtail.tasks.classification import Classification
from longtail.tasks.evaluation import open_run

STRENGTHS = tuple(step / 4 for step in range(-4, 13))
ALONE = (
    "accelerator=auto",
    "devices=1",
    "num_nodes=1",
    "strategy=auto",
    "precision=32-true",
)  # as ``predict`` computes


def measure(run: Path, checkpoint: str | None = None, args: Sequence[str] = ()) -> Curve:
    """Measure a run under logit adjustment of every strength, without training.

    Args:
        run: folder of the run.
        checkpoint: "best" or "last"; by default the one best on validation if there is one.
        args: further options, such as ``--data.root``.

    Raises:
        InputError: if the run, its checkpoint or its validation split is not there.
    """
    path = checkpoint_path(run, checkpoint)
    cli, results = open_run("val", run, [*(f"--trainer.{option}" for option in ALONE), *args])
    load_state(cli.model.method, read_method(path), path)
    logits, targets = validation_logits(cli.model, cli.datamodule, cli.trainer.strategy.root_device, run.name)
    counts, thresholds = results["train_counts"], results["thresholds"]
    columns = adjusted_accuracy(logits, targets, counts, STRENGTHS, **thresholds)
    rows = zip(*(values.tolist() for values in columns.values()), strict=True)
    points = [
        Point(strength, {key: None if value != value else value for key, value in zip(columns, row, strict=True)})
        for strength, row in zip(STRENGTHS, rows, strict=True)
    ]
    groups = [group_of(counts[target], thresholds) for target in targets.tolist()]
    epoch = results["best_epoch"] if path.stem == "best" else results["history"][-1]["epoch"]
    return Curve(run, results, path.stem, epoch, {group: groups.count(group) for group in GROUPS}, tuple(points))


@torch.inference_mode()
def validation_logits(
    task: Classification, data: ImageData, device: torch.device, name: str = ""
) -> tuple[Tensor, Tensor]:
    """Logits (M, C) in float32 and targets (M,) of the validation split, on the CPU."""
    task.eval().to(device)
    logits, targets = [], []
    for batch in tqdm(data.val_dataloader(), desc=name, leave=False, disable=None):
        on_device = {key: value.to(device) if isinstance(value, Tensor) else value for key, value in batch.items()}
        views = data.on_after_batch_transfer(cast(LoadedImages, on_device), 0)
        logits.append(task.logits(views).cpu())
        targets.append(batch["targets"].cpu())
    return torch.cat(logits), torch.cat(targets)
