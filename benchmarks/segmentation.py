"""Losses of pixels and training steps: ``python -m benchmarks.segmentation [--device cuda] [--json FILE]``.

First the losses alone, forward and backward, beside torch's cross-entropy and beside the same losses on logits that are
brought into rows. Then whole training steps beside one with plain cross-entropy, by architecture. What is compared is
interleaved in one run. A GPU gets larger batches and networks.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.measure import MIB, peak_memory, race, save, table
from longtail.losses import (
    ClassDifficultyLoss,
    CrossEntropyLoss,
    FocalLoss,
    LogitAdjustedLoss,
    PixelLoss,
    SeesawLoss,
)
from longtail.losses.base import Loss, build_loss
from longtail.methods import PixelGML, PixelPlain
from longtail.models import SMP

LOSSES: dict[str, type[Loss]] = {
    "cross-entropy": CrossEntropyLoss,
    "logit-adjusted": LogitAdjustedLoss,
    "CDB-W": ClassDifficultyLoss,
    "focal": FocalLoss,
    "seesaw": SeesawLoss,
}
ARCHITECTURES = ("DeepLabV3Plus", "UPerNet", "Segformer")
IGNORED = 255


def of_rows(loss: Loss) -> Callable[[Tensor, Tensor], Tensor]:
    """The usual way: the logits of labelled pixels as rows."""

    def run(logits: Tensor, targets: Tensor) -> Tensor:
        known = targets != IGNORED
        value: Tensor = loss(logits.movedim(1, -1)[known], targets[known])
        return value

    return run


def losses(device: torch.device, repeats: int) -> list[dict[str, Any]]:
    """Time and memory of the losses, forward and backward."""
    shape = (16, 150, 512, 512) if device.type == "cuda" else (2, 150, 256, 256)
    counts = torch.randint(1, 10**7, (shape[1],))
    logits = torch.randn(shape, device=device).contiguous(memory_format=torch.channels_last).requires_grad_()
    targets = torch.randint(shape[1], (shape[0], *shape[2:]), device=device)
    targets[:, : shape[2] // 20] = IGNORED

    def step(loss: Callable[[Tensor, Tensor], Tensor]) -> Callable[[], object]:
        return lambda: torch.autograd.grad(loss(logits, targets), logits)

    contestants = {"torch's cross-entropy": step(lambda x, y: F.cross_entropy(x, y, ignore_index=IGNORED))}
    for name, loss in LOSSES.items():
        contestants[name] = step(PixelLoss(counts, loss).to(device))
        contestants[f"{name}, rows"] = step(of_rows(build_loss(loss, counts).to(device)))
    times = race(contestants, device, repeats)
    first = times["torch's cross-entropy"].least
    size = logits.numel() * logits.element_size()
    return [
        {
            "loss": name,
            "milliseconds": 1000 * times[name].least,
            "ratio": times[name].least / first,
            "logits": peak_memory(run, device) / size,
        }
        for name, run in contestants.items()
    ]


def steps(device: torch.device, repeats: int) -> list[dict[str, Any]]:
    """Time of training steps."""
    cuda = device.type == "cuda"
    classes, encoder = (150, "resnet50") if cuda else (11, "resnet18")
    shape = (16, 3, 512, 512) if cuda else (8, 3, 180, 240)
    images = torch.randn(shape, device=device).contiguous(memory_format=torch.channels_last)
    targets = torch.randint(classes, (shape[0], *shape[2:]), device=device)
    counts = torch.randint(1, 10**7, (classes,)).tolist()
    records: list[dict[str, Any]] = []
    for architecture in ARCHITECTURES:
        methods: dict[str, nn.Module] = {
            name: PixelPlain(counts, SMP(encoder, architecture), loss) for name, loss in LOSSES.items()
        }
        methods["GML"] = PixelGML(counts, SMP(encoder, architecture))

        def step(method: nn.Module) -> Callable[[], object]:
            method.to(device, memory_format=torch.channels_last)
            optimizer = torch.optim.AdamW(method.parameters())

            def run() -> None:
                optimizer.zero_grad()
                with torch.autocast(device.type, torch.bfloat16):
                    loss = method(images, targets)["loss"]
                loss.backward()
                optimizer.step()

            return run

        contestants = {name: step(method) for name, method in methods.items()}
        times = race(contestants, device, repeats)
        first = times["cross-entropy"].least
        records += [
            {
                "architecture": architecture,
                "method": name,
                "milliseconds": 1000 * times[name].least,
                "ratio": times[name].least / first,
                "peak_mib": peak_memory(contestants[name], device) / MIB if cuda else None,
            }
            for name in contestants
        ]
    return records


def main() -> None:
    """Measure, print tables, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    known = parser.parse_args()
    device = torch.device(known.device)
    torch.manual_seed(0)
    alone, whole = losses(device, known.repeats), steps(device, known.repeats)
    save(known.json, device, losses=alone, steps=whole)
    rows = [[row["loss"], f"{row['milliseconds']:.0f}", f"{row['ratio']:.2f}", f"{row['logits']:.1f}"] for row in alone]
    print(table(["Loss", "ms", "Times torch's", "Peak, in sizes of the logits"], rows))
    rows = [[row["architecture"], row["method"], f"{row['milliseconds']:.0f}", f"{row['ratio']:.2f}"] for row in whole]
    print("\n" + table(["Architecture", "Method", "ms a step", "Times cross-entropy"], rows))


if __name__ == "__main__":
    main()
