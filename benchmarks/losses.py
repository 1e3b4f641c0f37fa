"""Speed and memory of the losses: ``python -m benchmarks.losses [--device cuda] [--json FILE]``."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.functional import normalize

from benchmarks.measure import MIB, Time, peak_memory, race, save, table
from longtail.difficulty import ClassDifficulty
from longtail.losses import (
    BalancedContrastiveLoss,
    ClassBalancedLoss,
    ClassDifficultyLoss,
    CrossEntropyLoss,
    EqualizationLossV2,
    FocalLoss,
    GaussianMixtureLoss,
    LDAMLoss,
    LogitAdjustedLoss,
    SeesawLoss,
)

Record = dict[str, Any]


def step(loss: Callable[[], Tensor], *leaves: Tensor) -> Callable[[], None]:
    """Forward and backward, with the gradients of the leaves made anew."""

    def run() -> None:
        for leaf in leaves:
            leaf.grad = None
        loss().backward()

    return run


def against(name: str, base: str, times: dict[str, Time], **more: Any) -> Record:
    ours, theirs = times[name], times[base]
    return {
        "loss": name,
        "against": base,
        "milliseconds": ours.least * 1e3,
        "ratio": ours.least / theirs.least,
        "ratio_of_medians": ours.median / theirs.median,
        **more,
    }


def products(queries: Tensor, keys: Tensor) -> Callable[[], object]:
    """The three matrix products that a contrast of queries with keys, forward and backward, cannot do without."""
    queries, keys = queries.detach(), keys.detach()
    gradient = torch.randn(len(queries), len(keys), device=queries.device)
    return lambda: (queries @ keys.T, gradient @ keys, gradient.T @ queries)


def balanced_contrastive(device: torch.device, compiled: bool) -> list[Record]:
    records = []
    for anchors, classes, dim, repeats in ((512, 100, 128, 200), (512, 1000, 1024, 30), (512, 8142, 1024, 10)):
        z = normalize(torch.randn(anchors // 2, 2, dim, device=device), dim=2).requires_grad_()
        p = normalize(torch.randn(classes, dim, device=device)).requires_grad_()
        y = torch.randint(classes, (anchors // 2,), device=device)
        loss = BalancedContrastiveLoss()
        keys = torch.cat([z.detach().flatten(0, 1), p.detach()])
        contestants = {
            "three products": products(z.flatten(0, 1), keys),
            "BalancedContrastiveLoss": step(lambda loss=loss, z=z, y=y, p=p: loss(z, y, p), z, p),
        }
        if compiled:
            fast = torch.compile(loss, fullgraph=True)
            contestants["compiled"] = step(lambda loss=fast, z=z, y=y, p=p: loss(z, y, p), z, p)
        times = race(contestants, device, repeats)
        peak = peak_memory(contestants["BalancedContrastiveLoss"], device)
        scores = anchors * (anchors + classes) * z.element_size()
        for name in list(contestants)[1:]:
            more = {"peak_over_scores": peak / scores} if name != "compiled" else {}
            records.append(against(name, "three products", times, size=[anchors, classes, dim], **more))
    return records


def in_blocks(device: torch.device) -> list[Record]:
    anchors, classes, dim = 512, 1_000_000, 128
    z = normalize(torch.randn(anchors // 2, 2, dim, device=device), dim=2).requires_grad_()
    p = normalize(torch.randn(classes, dim, device=device)).requires_grad_()
    y = torch.randint(classes, (anchors // 2,), device=device)
    loss = BalancedContrastiveLoss()
    run = step(lambda: loss(z, y, p), z, p)
    times = race({"BalancedContrastiveLoss": run}, device, repeats=2)
    milliseconds = times["BalancedContrastiveLoss"].least * 1e3
    size, peak = [anchors, classes, dim], peak_memory(run, device) / MIB
    return [{"loss": "BalancedContrastiveLoss", "size": size, "milliseconds": milliseconds, "peak_mib": peak}]


def gaussian_mixture(device: torch.device) -> list[Record]:
    records = []
    for queries, keys, classes, dim in ((128, 4096, 100, 32), (128, 65_536, 8142, 128)):
        q = normalize(torch.randn(queries, dim, device=device)).requires_grad_()
        k = normalize(torch.randn(keys, dim, device=device)).requires_grad_()
        y, ky = torch.randint(classes, (queries,), device=device), torch.randint(classes, (keys,), device=device)
        ids, key_ids = torch.arange(queries, device=device), torch.randperm(keys, device=device)
        loss = GaussianMixtureLoss(torch.randint(1, 1000, (classes,))).to(device)
        contestants = {
            "three products": products(q, k),
            "GaussianMixtureLoss": step(
                lambda loss=loss, q=q, y=y, k=k, ky=ky, ids=ids, key_ids=key_ids: loss(q, y, k, ky, ids, key_ids), q, k
            ),
        }
        times = race(contestants, device, repeats=10)
        peak = peak_memory(contestants["GaussianMixtureLoss"], device) / (queries * keys * q.element_size())
        size = [queries, keys, classes, dim]
        records.append(against("GaussianMixtureLoss", "three products", times, size=size, peak_over_scores=peak))
    return records


def logit_losses(device: torch.device, compiled: bool) -> list[Record]:
    rows, classes = 4096, 8142
    x = torch.randn(rows, classes, device=device).requires_grad_()
    y = torch.randint(classes, (rows,), device=device)
    counts = torch.randint(1, 1000, (classes,))
    difficulty = ClassDifficulty(classes)
    difficulty.update(torch.rand(classes))
    losses = [
        CrossEntropyLoss(torch.rand(classes)),
        LogitAdjustedLoss(counts),
        FocalLoss(),
        ClassBalancedLoss(counts),
        ClassDifficultyLoss(difficulty),
        LDAMLoss(counts),
        SeesawLoss(classes),
        EqualizationLossV2(classes),
    ]
    contestants = {"F.cross_entropy": step(lambda: F.cross_entropy(x, y), x)}
    for loss in losses:
        loss.to(device)
        name = type(loss).__name__
        contestants[name] = step(lambda loss=loss: loss(x, y), x)
        if compiled:
            fast = torch.compile(loss, fullgraph=True)
            contestants[f"{name}, compiled"] = step(lambda loss=fast: loss(x, y), x)
    times = race(contestants, device, repeats=15)
    logits = x.numel() * x.element_size()
    peaks = {name: peak_memory(run, device) / logits for name, run in contestants.items()}
    return [
        against(name, "F.cross_entropy", times, size=[rows, classes], peak_over_logits=peaks[name])
        for name in contestants
    ]


def line(record: Record) -> list[str]:
    size = " x ".join(f"{n:,}" for n in record["size"])
    ratio = f"{record['ratio']:.2f} ({record['against']})" if "ratio" in record else ""
    memory = [f"{record['peak_mib']:.0f} MiB" for _ in range("peak_mib" in record)]
    memory += [f"{record[key]:.2f} x {key[10:]}" for key in ("peak_over_scores", "peak_over_logits") if key in record]
    return [record["loss"], size, f"{record['milliseconds']:.1f}", ratio, *(memory or [""])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--compiled", action="store_true", help="measure the compiled losses as well")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    options = parser.parse_args()
    device = torch.device(options.device)
    torch.manual_seed(0)
    records = [
        *balanced_contrastive(device, options.compiled),
        *in_blocks(device),
        *gaussian_mixture(device),
        *logit_losses(device, options.compiled),
    ]
    save(options.json, device, losses=records)
    print(table(["Loss", "Size", "ms", "Time ratio", "Peak memory"], [line(record) for record in records]))


if __name__ == "__main__":
    main()
