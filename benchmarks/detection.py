"""Step times and memory of detectors: ``python -m benchmarks.detection [--device cuda] [--json FILE]``.

Mask R-CNN with every way to classify boxes, beside torchvision's own network and loss, interleaved in one run on the
same generated images. On a GPU that is ResNet-50 with a pyramid on 8 images of 800 x 1200 pixels and 1,203 classes; on
a CPU a small network on 4 images of 256 x 320.
"""

import argparse
import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.measure import MIB, peak_memory, race, save, table
from longtail.losses import (
    ClassDifficultyLoss,
    CrossEntropyLoss,
    EqualizationLossV2,
    FederatedLoss,
    LogitAdjustedLoss,
    SeesawLoss,
)
from longtail.methods import RCNN, ObjectnessBoxes, SigmoidBoxes, SoftmaxBoxes
from longtail.models.detectors import DetectorBackbone, ResNet50FPN, TimmFPN

CLASSES = 1203
WAYS = {
    "cross-entropy": lambda counts: SoftmaxBoxes(counts, CrossEntropyLoss),
    "CDB-W": lambda counts: SoftmaxBoxes(counts, ClassDifficultyLoss),
    "logit-adjusted": lambda counts: SoftmaxBoxes(counts, LogitAdjustedLoss),
    "seesaw": lambda counts: ObjectnessBoxes(counts, SeesawLoss),
    "equalization v2": lambda counts: SigmoidBoxes(counts, EqualizationLossV2),
    "federated": lambda counts: SigmoidBoxes(counts, FederatedLoss),
}


def batch(device: torch.device, images: int, height: int, width: int) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    """Noise with ten square instances an image."""
    targets = []
    for _ in range(images):
        corner = torch.rand(10, 2) * torch.tensor([width * 0.7, height * 0.7])
        boxes = torch.cat([corner, corner + torch.randint(16, height // 4, (10, 1))], 1).round()
        masks = torch.zeros(10, height, width, dtype=torch.uint8)
        for mask, (x1, y1, x2, y2) in zip(masks, boxes.int().tolist(), strict=True):
            mask[y1:y2, x1:x2] = 1
        labels = torch.randint(CLASSES, (10,))
        targets.append({"boxes": boxes.to(device), "labels": labels.to(device), "masks": masks.to(device)})
    return [torch.rand(3, height, width, device=device) for _ in range(images)], targets


def main() -> None:
    """Measure, print a table, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    known = parser.parse_args()
    device = torch.device(known.device)
    torch.manual_seed(0)
    gpu = device.type == "cuda"
    backbone: DetectorBackbone = ResNet50FPN() if gpu else TimmFPN(name="resnet18", features=64)
    images, targets = batch(device, *((8, 800, 1200) if gpu else (4, 256, 320)))
    counts = [max(1, round(1000 * 0.995**c)) for c in range(CLASSES)]

    def step(loss: Callable[[], Tensor]) -> Callable[[], None]:
        def run() -> None:
            with torch.autocast(device.type, dtype=torch.bfloat16):
                value = loss()
            value.backward()

        return run

    network = backbone(CLASSES + 1, True, _skip_resize=True).to(device)
    labelled = [{**target, "labels": target["labels"] + 1} for target in targets]
    contestants = {"torchvision": step(lambda: torch.stack(list(network(images, labelled).values())).sum())}
    for name, boxes in WAYS.items():
        method = RCNN(counts, backbone, boxes=boxes).to(device)
        contestants[name] = step(lambda method=method: method(images, targets)["loss"])
    times = race(contestants, device, known.repeats)
    records = [
        {
            "boxes": name,
            "milliseconds": 1000 * time.least,
            "ratio": time.least / times["torchvision"].least,
            "peak_mib": peak_memory(contestants[name], device) / MIB if gpu else None,
        }
        for name, time in times.items()
    ]
    save(known.json, device, images=len(images), steps=records)
    rows = [
        [step["boxes"], f"{step['milliseconds']:.0f}", f"{step['ratio']:.2f}", f"{step['peak_mib'] or math.nan:.0f}"]
        for step in records
    ]
    print(table(["Boxes classified by", "ms a step", "Times torchvision's", "Peak MiB"], rows))


if __name__ == "__main__":
    main()
